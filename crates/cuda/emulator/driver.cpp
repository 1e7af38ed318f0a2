// A test double for the NVIDIA driver's library: it runs the kernels on the CPU, so that the host
// code can be tested where there is no GPU.
//
//     g++ -O2 -std=c++17 -march=native -ffp-contract=off -fno-strict-aliasing -DRETRODICT_EMULATOR
//         -fvisibility=hidden -fPIC -shared -o FOLDER/libcuda.so driver.cpp
//
// with FOLDER first in LD_LIBRARY_PATH; libcuda.so is the name that the host code tries first. It
// reads, besides RETRODICT_EMULATOR_ORDER (emulator.h), which also chooses among the valid orders
// of the nodes of a graph (latest first, or at random):
//
//     RETRODICT_DOUBLE_MEMORY=BYTES      size of device memory (8 GiB)
//     RETRODICT_DOUBLE_LOSE_AFTER=N      the N-th launch of a graph, and all that comes after it,
//                                        fails: a lost device
//
// As the driver does, it checks handles, ranges of copies and limits of launches, copies arguments
// when a kernel is launched or added to a graph, and defers work: what is put in a stream runs when
// somebody waits for it, copies from and to pinned memory included. The PTX that is loaded must
// have every kernel, with arguments of the sizes that this double was compiled with. New memory
// holds NaNs; accesses out of bounds of an allocation fault, or are found when somebody waits.
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "../kernels/kernels.cu"

#define API extern "C" __attribute__((visibility("default"))) int

namespace {

enum Status {
  SUCCESS = 0,
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  NOT_INITIALIZED = 3,
  INVALID_DEVICE = 101,
  INVALID_IMAGE = 200,
  INVALID_CONTEXT = 201,
  ECC_UNCORRECTABLE = 214,
  INVALID_PTX = 218,
  INVALID_HANDLE = 400,
  NOT_FOUND = 500,
  NOT_READY = 600,
  LAUNCH_OUT_OF_RESOURCES = 701,
};

const unsigned SHARED_WITHOUT_ASKING = 48 << 10;

void note(const std::string& text) { fprintf(stderr, "retrodict test double of the driver: %s\n", text.c_str()); }

[[noreturn]] void stop(const std::string& text) {
  note(text);
  abort();
}

size_t number_of(const char* variable, size_t otherwise) {
  const char* text = getenv(variable);
  if (text == nullptr) return otherwise;
  char* end;
  size_t number = strtoull(text, &end, 10);
  if (end == text || *end != 0) stop(std::string(variable) + " is '" + text + "'; it must be a whole number");
  return number;
}

// --- Kernels ---

struct Kernel {
  const char* name;
  size_t bytes;
  void (*run)(dim3 grid, unsigned threads, size_t shared, const Regions& regions, const void* arguments);
};

#define KERNEL_OF(kernel) \
  {#kernel, sizeof(kernel##_arguments), \
   [](dim3 grid, unsigned threads, size_t shared, const Regions& regions, const void* arguments) { \
     const auto& a = *(const kernel##_arguments*)arguments; \
     emulator::launch(#kernel, grid, threads, shared, [&] { kernel(regions, a); }); \
   }},
const Kernel KERNELS[] = {RETRODICT_KERNELS(KERNEL_OF)};

struct Function {
  const Kernel* kernel;
  unsigned most_threads, most_shared;
};

struct Module {
  std::vector<std::unique_ptr<Function>> functions;
};

struct Launch {
  const Kernel* kernel;
  dim3 grid;
  unsigned threads, shared;
  Regions regions;
  std::vector<u64> arguments;

  void run() const { kernel->run(grid, threads, shared, regions, arguments.data()); }
};

// --- Streams: queues of work that runs when somebody waits ---

struct Stream {
  bool blocking;
  std::deque<std::function<void()>> queue;
  // Numbers of all works that were put into it, and that were done.
  u64 put = 0, done = 0;

  void add(std::function<void()> work) {
    queue.push_back(std::move(work));
    put++;
  }

  void run_until(u64 number) {
    while (done < number && !queue.empty()) {
      auto work = std::move(queue.front());
      queue.pop_front();
      done++;
      work();
    }
  }
};

struct Event {
  std::shared_ptr<Stream> stream;
  u64 number = 0;
  std::chrono::steady_clock::time_point time;

  bool done() const { return stream->done >= number; }
};

struct Node {
  Launch launch;
  std::vector<size_t> after;
};

struct Graph {
  std::vector<std::unique_ptr<Node>> nodes;
};

struct Allocation {
  size_t bytes;
  char* mapping;
  size_t mapped;
  // What of the mapping may be accessed, beyond the allocation itself.
  char *first, *end;
};

std::mutex lock;
bool initialised, lost;
size_t graph_launches, allocated;
std::map<char*, Allocation> memory;
std::map<char*, size_t> pinned;
std::set<Module*> modules;
std::set<Function*> functions;
std::set<Event*> events;
std::set<Graph*> graphs;
std::map<void*, std::shared_ptr<const Graph>> executables;
std::map<void*, std::shared_ptr<Stream>> streams;
// The legacy default stream.
const auto default_stream = std::make_shared<Stream>(Stream{true, {}, 0, 0});
char the_context;
thread_local void* context;

// Handles of the default stream: null, and CU_STREAM_LEGACY.
std::shared_ptr<Stream> stream_of(void* handle) {
  if (handle == nullptr || handle == (void*)1) return default_stream;
  auto found = streams.find(handle);
  return found == streams.end() ? nullptr : found->second;
}

// The default stream and streams that block wait for each other.
void before_work_in(Stream& stream) {
  if (!stream.blocking) return;
  if (&stream != default_stream.get()) return default_stream->run_until(default_stream->put);
  for (auto& other : streams)
    if (other.second->blocking) other.second->run_until(other.second->put);
}

void add_to(Stream& stream, std::function<void()> work) {
  before_work_in(stream);
  stream.add(std::move(work));
}

void finish(Stream& stream) {
  before_work_in(stream);
  stream.run_until(stream.put);
}

void finish_all() {
  for (auto& stream : streams) stream.second->run_until(stream.second->put);
  default_stream->run_until(default_stream->put);
}

// --- Memory ---

const size_t ALIGNMENT = 256;
const unsigned char FENCE = 0xA5;

// An allocation ends at a page that must not be accessed, as near as its alignment lets it.
Status allocate(char** at, size_t bytes) {
  if (bytes == 0) return INVALID_VALUE;
  size_t total = number_of("RETRODICT_DOUBLE_MEMORY", size_t(8) << 30);
  if (bytes > total - allocated) return OUT_OF_MEMORY;
  size_t page = size_t(sysconf(_SC_PAGESIZE)), padded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  Allocation a;
  a.bytes = bytes;
  a.mapped = (padded + page - 1) / page * page + 2 * page;
  void* mapping = mmap(nullptr, a.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return OUT_OF_MEMORY;
  a.mapping = (char*)mapping;
  a.first = a.mapping + page;
  a.end = a.mapping + a.mapped - page;
  mprotect(a.mapping, page, PROT_NONE);
  mprotect(a.end, page, PROT_NONE);
  *at = a.end - padded;
  memset(a.first, FENCE, size_t(*at - a.first));
  memset(*at, 0xFF, bytes);
  memset(*at + bytes, FENCE, padded - bytes);
  allocated += bytes;
  memory[*at] = a;
  return SUCCESS;
}

void check_fences(char* at, const Allocation& a) {
  auto check = [&](const char* from, const char* to, const char* where) {
    for (; from < to; from++)
      if ((unsigned char)*from != FENCE)
        stop(std::string("memory ") + where + " an allocation of " + std::to_string(a.bytes) + " bytes was written");
  };
  check(a.first, at, "before");
  check(at + a.bytes, a.end, "behind");
}

void check_all_fences() {
  for (auto& a : memory) check_fences(a.first, a.second);
}

bool is_within(const std::map<char*, size_t>& ranges, const char* at, size_t bytes) {
  auto next = ranges.upper_bound((char*)at);
  if (next == ranges.begin()) return false;
  --next;
  return at + bytes <= next->first + next->second;
}

bool on_device(u64 at, size_t bytes) {
  auto next = memory.upper_bound((char*)at);
  if (next == memory.begin()) return false;
  --next;
  return (char*)at + bytes <= next->first + next->second.bytes;
}

// --- PTX ---

// Numbers in square brackets after each `word` of a text: sizes of arrays of bytes.
std::vector<size_t> array_sizes(const std::string& text, const std::string& word) {
  std::vector<size_t> sizes;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    size_t open = text.find('[', at), end = text.find_first_of(",;)", at);
    sizes.push_back(open < end ? strtoull(text.c_str() + open + 1, nullptr, 10) : 0);
  }
  return sizes;
}

Status load(Module& module, const char* image) {
  if (image == nullptr || strstr(image, ".version") == nullptr || strstr(image, ".target") == nullptr) {
    note("the image is not PTX");
    return INVALID_IMAGE;
  }
  const std::string ptx = image;
  std::map<std::string, std::pair<std::string, std::string>> entries;
  for (size_t at = ptx.find(".entry"); at != std::string::npos; at = ptx.find(".entry", at + 1)) {
    size_t name = ptx.find_first_not_of(" \t\n", at + 6), end = ptx.find_first_of(" \t\n(", name);
    size_t body = ptx.find('{', end), after = ptx.find(".entry", end);
    if (body == std::string::npos) return INVALID_PTX;
    entries[ptx.substr(name, end - name)] = {ptx.substr(end, body - end), ptx.substr(body, after - body)};
  }
  for (const Kernel& kernel : KERNELS) {
    auto found = entries.find(kernel.name);
    if (found == entries.end()) {
      note(std::string("the PTX has no kernel ") + kernel.name);
      return INVALID_PTX;
    }
    const std::string& head = found->second.first;
    std::vector<size_t> sizes = array_sizes(head, ".param");
    if (sizes != std::vector<size_t>{sizeof(Regions), kernel.bytes}) {
      note(std::string("the PTX has other arguments of kernel ") + kernel.name + ": compile it again");
      return INVALID_PTX;
    }
    size_t shared = 0;
    for (size_t size : array_sizes(found->second.second, ".shared .align")) shared += size;
    if (shared > SHARED_WITHOUT_ASKING) {
      note(std::string("kernel ") + kernel.name + " has " + std::to_string(shared) + " bytes of static shared memory");
      return INVALID_PTX;
    }
    size_t limit = head.find(".maxntid");
    unsigned threads = emulator::MOST_THREADS;
    if (limit != std::string::npos) threads = unsigned(strtoul(head.c_str() + limit + 8, nullptr, 10));
    module.functions.emplace_back(new Function{&kernel, threads, SHARED_WITHOUT_ASKING});
  }
  return SUCCESS;
}

// --- Launches ---

// As CUDA_KERNEL_NODE_PARAMS begins, in all its versions.
struct NodeParameters {
  Function* function;
  unsigned grid[3], block[3], shared;
  void** arguments;
  void** extra;
};

Status check_launch(const NodeParameters& p, Launch& launch) {
  if (functions.count(p.function) == 0) return INVALID_HANDLE;
  if (p.arguments == nullptr || p.extra != nullptr || p.arguments[0] == nullptr || p.arguments[1] == nullptr) {
    note("a launch takes an array of two pointers, and no `extra`");
    return INVALID_VALUE;
  }
  const Function& function = *p.function;
  auto refuse = [&](const std::string& what, Status status) {
    note(std::string("launch of ") + function.kernel->name + ": " + what);
    return status;
  };
  auto sizes = [](const unsigned* n) {
    return std::to_string(n[0]) + " x " + std::to_string(n[1]) + " x " + std::to_string(n[2]);
  };
  if (p.grid[0] == 0 || p.grid[1] == 0 || p.grid[2] == 0 || p.grid[0] > 0x7FFFFFFF || p.grid[1] > 65535 || p.grid[2] > 65535)
    return refuse("a grid of " + sizes(p.grid), INVALID_VALUE);
  if (p.block[0] == 0 || p.block[1] != 1 || p.block[2] != 1)
    return refuse("a block of " + sizes(p.block) + "; blocks have one dimension here", INVALID_VALUE);
  if (p.block[0] > function.most_threads)
    return refuse(std::to_string(p.block[0]) + " threads; at most " + std::to_string(function.most_threads), LAUNCH_OUT_OF_RESOURCES);
  if (p.shared > function.most_shared)
    return refuse(std::to_string(p.shared) + " bytes of dynamic shared memory; at most " + std::to_string(function.most_shared), INVALID_VALUE);
  launch.kernel = function.kernel;
  launch.grid = {p.grid[0], p.grid[1], p.grid[2]};
  launch.threads = p.block[0];
  launch.shared = p.shared;
  memcpy(&launch.regions, p.arguments[0], sizeof(Regions));
  launch.arguments.resize(function.kernel->bytes / 8);
  memcpy(launch.arguments.data(), p.arguments[1], function.kernel->bytes);
  return SUCCESS;
}

// Runs the nodes in an order that their dependencies allow.
void run(const Graph& graph) {
  using emulator::Order;
  Order& order = emulator::order;
  std::vector<std::vector<size_t>> before(graph.nodes.size());
  std::vector<size_t> missing(graph.nodes.size()), ready;
  for (size_t i = 0; i < graph.nodes.size(); i++) {
    missing[i] = graph.nodes[i]->after.size();
    for (size_t earlier : graph.nodes[i]->after) before[earlier].push_back(i);
    if (missing[i] == 0) ready.push_back(i);
  }
  while (!ready.empty()) {
    size_t pick = order.kind == Order::SHUFFLED ? order.below(unsigned(ready.size())) : 0;
    for (size_t i = 0; i < ready.size(); i++) {
      if (order.kind == Order::FORWARD && ready[i] < ready[pick]) pick = i;
      if (order.kind == Order::REVERSE && ready[i] > ready[pick]) pick = i;
    }
    size_t node = ready[pick];
    ready.erase(ready.begin() + long(pick));
    graph.nodes[node]->launch.run();
    for (size_t later : before[node])
      if (--missing[later] == 0) ready.push_back(later);
  }
}

// Takes the lock; `failed` is what a call returns that needs an initialised driver, or the context
// of the calling thread and a device that is there.
struct Call {
  std::lock_guard<std::mutex> guard{lock};
  Status failed;

  explicit Call(bool of_context) {
    failed = !initialised ? NOT_INITIALIZED : !of_context ? SUCCESS : lost ? ECC_UNCORRECTABLE : SUCCESS;
    if (failed == SUCCESS && of_context && context == nullptr) failed = INVALID_CONTEXT;
  }
};

#define NEED_DRIVER() \
  Call call(false); \
  if (call.failed != SUCCESS) return call.failed
#define NEED_CONTEXT() \
  Call call(true); \
  if (call.failed != SUCCESS) return call.failed
#define NEED(condition, status) \
  if (!(condition)) return status

} // namespace

// --- The driver and its device ---

API cuInit(unsigned flags) {
  std::lock_guard<std::mutex> guard(lock);
  initialised = true;
  return flags == 0 ? SUCCESS : INVALID_VALUE;
}

API cuDriverGetVersion(int* version) {
  *version = 13000;
  return SUCCESS;
}

API cuDeviceGetCount(int* count) {
  NEED_DRIVER();
  *count = 1;
  return SUCCESS;
}

API cuDeviceGet(int* device, int ordinal) {
  NEED_DRIVER();
  NEED(ordinal == 0, INVALID_DEVICE);
  *device = 0;
  return SUCCESS;
}

API cuDeviceGetName(char* name, int length, int device) {
  NEED_DRIVER();
  NEED(device == 0, INVALID_DEVICE);
  NEED(length > 0, INVALID_VALUE);
  snprintf(name, size_t(length), "retrodict test double (no GPU)");
  return SUCCESS;
}

API cuDeviceGetAttribute(int* value, int attribute, int device) {
  NEED_DRIVER();
  NEED(device == 0, INVALID_DEVICE);
  // Those of an H100, by the numbers of CUdevice_attribute.
  static const std::map<int, int> values = {
      {1, 1024},        {2, 1024},       {3, 1024},      {4, 64},        {5, 2147483647}, {6, 65535},
      {7, 65535},       {8, 49152},      {9, 65536},     {10, 32},       {12, 65536},     {13, 1980000},
      {16, 132},        {19, 1},         {31, 1},        {32, 1},        {36, 2619000},   {37, 5120},
      {38, 52428800},   {39, 2048},      {40, 3},        {41, 1},        {75, 9},         {76, 0},
      {78, 1},          {81, 233472},    {82, 65536},    {83, 1},        {90, 1},         {95, 1},
      {97, 232448},     {106, 32},       {111, 1024},    {115, 0}};
  auto found = values.find(attribute);
  *value = found == values.end() ? 0 : found->second;
  return SUCCESS;
}

API cuDeviceTotalMem_v2(size_t* bytes, int device) {
  NEED_DRIVER();
  NEED(device == 0, INVALID_DEVICE);
  *bytes = number_of("RETRODICT_DOUBLE_MEMORY", size_t(8) << 30);
  return SUCCESS;
}

API cuDevicePrimaryCtxRetain(void** to, int device) {
  NEED_DRIVER();
  NEED(device == 0, INVALID_DEVICE);
  *to = &the_context;
  return SUCCESS;
}

API cuDevicePrimaryCtxRelease_v2(int device) {
  NEED_DRIVER();
  return device == 0 ? SUCCESS : INVALID_DEVICE;
}

API cuCtxSetCurrent(void* to) {
  NEED_DRIVER();
  NEED(to == nullptr || to == &the_context, INVALID_CONTEXT);
  context = to;
  return SUCCESS;
}

API cuCtxGetCurrent(void** to) {
  NEED_DRIVER();
  *to = context;
  return SUCCESS;
}

API cuCtxGetDevice(int* device) {
  NEED_CONTEXT();
  *device = 0;
  return SUCCESS;
}

API cuCtxSynchronize() {
  NEED_CONTEXT();
  finish_all();
  check_all_fences();
  return SUCCESS;
}

namespace {

const std::map<int, std::pair<const char*, const char*>> ERRORS = {
    {SUCCESS, {"CUDA_SUCCESS", "no error"}},
    {INVALID_VALUE, {"CUDA_ERROR_INVALID_VALUE", "invalid argument"}},
    {OUT_OF_MEMORY, {"CUDA_ERROR_OUT_OF_MEMORY", "out of memory"}},
    {NOT_INITIALIZED, {"CUDA_ERROR_NOT_INITIALIZED", "initialization error"}},
    {INVALID_DEVICE, {"CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"}},
    {INVALID_IMAGE, {"CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"}},
    {INVALID_CONTEXT, {"CUDA_ERROR_INVALID_CONTEXT", "invalid device context"}},
    {ECC_UNCORRECTABLE, {"CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"}},
    {INVALID_PTX, {"CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"}},
    {INVALID_HANDLE, {"CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"}},
    {NOT_FOUND, {"CUDA_ERROR_NOT_FOUND", "named symbol not found"}},
    {NOT_READY, {"CUDA_ERROR_NOT_READY", "device not ready"}},
    {LAUNCH_OUT_OF_RESOURCES, {"CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"}},
};

} // namespace

API cuGetErrorName(int status, const char** name) {
  auto found = ERRORS.find(status);
  *name = found == ERRORS.end() ? nullptr : found->second.first;
  return found == ERRORS.end() ? INVALID_VALUE : SUCCESS;
}

API cuGetErrorString(int status, const char** text) {
  auto found = ERRORS.find(status);
  *text = found == ERRORS.end() ? nullptr : found->second.second;
  return found == ERRORS.end() ? INVALID_VALUE : SUCCESS;
}

// --- Memory ---

API cuMemGetInfo_v2(size_t* free, size_t* total) {
  NEED_CONTEXT();
  *total = number_of("RETRODICT_DOUBLE_MEMORY", size_t(8) << 30);
  *free = *total - allocated;
  return SUCCESS;
}

API cuMemAlloc_v2(u64* at, size_t bytes) {
  NEED_CONTEXT();
  return allocate((char**)at, bytes);
}

API cuMemFree_v2(u64 at) {
  NEED_CONTEXT();
  if (at == 0) return SUCCESS;
  auto found = memory.find((char*)at);
  NEED(found != memory.end(), INVALID_VALUE);
  finish_all();
  check_fences(found->first, found->second);
  allocated -= found->second.bytes;
  munmap(found->second.mapping, found->second.mapped);
  memory.erase(found);
  return SUCCESS;
}

API cuMemHostAlloc(void** at, size_t bytes, unsigned) {
  NEED_CONTEXT();
  NEED(bytes > 0, INVALID_VALUE);
  *at = malloc(bytes);
  NEED(*at != nullptr, OUT_OF_MEMORY);
  memset(*at, 0xFF, bytes);
  pinned[(char*)*at] = bytes;
  return SUCCESS;
}

API cuMemAllocHost_v2(void** at, size_t bytes) { return cuMemHostAlloc(at, bytes, 0); }

API cuMemFreeHost(void* at) {
  NEED_CONTEXT();
  NEED(pinned.count((char*)at) == 1, INVALID_VALUE);
  finish_all();
  pinned.erase((char*)at);
  free(at);
  return SUCCESS;
}

API cuMemcpyHtoDAsync_v2(u64 to, const void* from, size_t bytes, void* handle) {
  NEED_CONTEXT();
  auto stream = stream_of(handle);
  NEED(stream, INVALID_HANDLE);
  NEED(on_device(to, bytes), INVALID_VALUE);
  // Memory that is not pinned is read before the call returns.
  std::shared_ptr<char> copy;
  if (!is_within(pinned, (const char*)from, bytes)) {
    copy.reset(new char[bytes + 1], std::default_delete<char[]>());
    memcpy(copy.get(), from, bytes);
    from = copy.get();
  }
  add_to(*stream, [to, from, bytes, copy] { memcpy((void*)to, from, bytes); });
  return SUCCESS;
}

API cuMemcpyDtoHAsync_v2(void* to, u64 from, size_t bytes, void* handle) {
  NEED_CONTEXT();
  auto stream = stream_of(handle);
  NEED(stream, INVALID_HANDLE);
  NEED(on_device(from, bytes), INVALID_VALUE);
  add_to(*stream, [=] { memcpy(to, (const void*)from, bytes); });
  if (!is_within(pinned, (char*)to, bytes)) finish(*stream);
  return SUCCESS;
}

API cuMemcpyDtoDAsync_v2(u64 to, u64 from, size_t bytes, void* handle) {
  NEED_CONTEXT();
  auto stream = stream_of(handle);
  NEED(stream, INVALID_HANDLE);
  NEED(on_device(from, bytes) && on_device(to, bytes), INVALID_VALUE);
  add_to(*stream, [=] { memmove((void*)to, (const void*)from, bytes); });
  return SUCCESS;
}

API cuMemsetD32Async(u64 to, unsigned value, size_t count, void* handle) {
  NEED_CONTEXT();
  auto stream = stream_of(handle);
  NEED(stream, INVALID_HANDLE);
  NEED(to % 4 == 0 && on_device(to, count * 4), INVALID_VALUE);
  add_to(*stream, [=] { std::fill_n((unsigned*)to, count, value); });
  return SUCCESS;
}

API cuMemsetD8Async(u64 to, unsigned char value, size_t count, void* handle) {
  NEED_CONTEXT();
  auto stream = stream_of(handle);
  NEED(stream, INVALID_HANDLE);
  NEED(on_device(to, count), INVALID_VALUE);
  add_to(*stream, [=] { memset((void*)to, value, count); });
  return SUCCESS;
}

API cuStreamSynchronize(void* handle) {
  NEED_CONTEXT();
  auto stream = stream_of(handle);
  NEED(stream, INVALID_HANDLE);
  finish(*stream);
  check_all_fences();
  return SUCCESS;
}

// Without a stream: in the default stream, and the caller waits.
namespace {
int then_wait(int status) { return status == SUCCESS ? cuStreamSynchronize(nullptr) : status; }
} // namespace
API cuMemcpyHtoD_v2(u64 to, const void* from, size_t bytes) {
  return then_wait(cuMemcpyHtoDAsync_v2(to, from, bytes, nullptr));
}
API cuMemcpyDtoH_v2(void* to, u64 from, size_t bytes) {
  return then_wait(cuMemcpyDtoHAsync_v2(to, from, bytes, nullptr));
}
API cuMemcpyDtoD_v2(u64 to, u64 from, size_t bytes) {
  return then_wait(cuMemcpyDtoDAsync_v2(to, from, bytes, nullptr));
}
API cuMemsetD32_v2(u64 to, unsigned value, size_t count) {
  return then_wait(cuMemsetD32Async(to, value, count, nullptr));
}
API cuMemsetD8_v2(u64 to, unsigned char value, size_t count) {
  return then_wait(cuMemsetD8Async(to, value, count, nullptr));
}

// --- Streams and events ---

API cuStreamCreate(void** handle, unsigned flags) {
  NEED_CONTEXT();
  auto stream = std::make_shared<Stream>(Stream{flags == 0, {}, 0, 0});
  *handle = stream.get();
  streams[*handle] = stream;
  return SUCCESS;
}

API cuStreamCreateWithPriority(void** handle, unsigned flags, int) { return cuStreamCreate(handle, flags); }

API cuStreamDestroy_v2(void* handle) {
  NEED_CONTEXT();
  auto found = streams.find(handle);
  NEED(found != streams.end(), INVALID_HANDLE);
  finish(*found->second);
  streams.erase(found);
  return SUCCESS;
}

API cuStreamWaitEvent(void* handle, Event* event, unsigned) {
  NEED_CONTEXT();
  auto stream = stream_of(handle);
  NEED(stream && events.count(event) == 1, INVALID_HANDLE);
  if (event->stream)
    add_to(*stream, [other = event->stream, number = event->number] { other->run_until(number); });
  return SUCCESS;
}

API cuEventCreate(void** handle, unsigned) {
  NEED_CONTEXT();
  auto event = new Event;
  events.insert(event);
  *handle = event;
  return SUCCESS;
}

API cuEventRecord(Event* event, void* handle) {
  NEED_CONTEXT();
  auto stream = stream_of(handle);
  NEED(stream && events.count(event) == 1, INVALID_HANDLE);
  add_to(*stream, [=] {
    if (events.count(event) == 1) event->time = std::chrono::steady_clock::now();
  });
  event->stream = stream;
  event->number = stream->put;
  return SUCCESS;
}

API cuEventSynchronize(Event* event) {
  NEED_CONTEXT();
  NEED(events.count(event) == 1, INVALID_HANDLE);
  if (event->stream) event->stream->run_until(event->number);
  check_all_fences();
  return SUCCESS;
}

// Who asks again and again waits, too.
API cuEventQuery(Event* event) { return cuEventSynchronize(event); }
API cuStreamQuery(void* handle) { return cuStreamSynchronize(handle); }

API cuEventElapsedTime(float* milliseconds, Event* start, Event* end) {
  NEED_CONTEXT();
  NEED(events.count(start) == 1 && events.count(end) == 1 && start->stream && end->stream, INVALID_HANDLE);
  NEED(start->done() && end->done(), NOT_READY);
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return SUCCESS;
}
API cuEventElapsedTime_v2(float* milliseconds, Event* start, Event* end) {
  return cuEventElapsedTime(milliseconds, start, end);
}

API cuEventDestroy_v2(Event* event) {
  NEED_CONTEXT();
  NEED(events.erase(event) == 1, INVALID_HANDLE);
  delete event;
  return SUCCESS;
}

// --- Modules and launches ---

API cuModuleLoadData(void** handle, const void* image) {
  NEED_CONTEXT();
  auto module = std::make_unique<Module>();
  Status status = load(*module, (const char*)image);
  if (status != SUCCESS) return status;
  for (auto& function : module->functions) functions.insert(function.get());
  modules.insert(module.get());
  *handle = module.release();
  return SUCCESS;
}

API cuModuleLoadDataEx(void** handle, const void* image, unsigned, int*, void**) {
  return cuModuleLoadData(handle, image);
}

API cuModuleUnload(Module* module) {
  NEED_CONTEXT();
  NEED(modules.erase(module) == 1, INVALID_HANDLE);
  finish_all();
  for (auto& function : module->functions) functions.erase(function.get());
  delete module;
  return SUCCESS;
}

API cuModuleGetFunction(void** handle, Module* module, const char* name) {
  NEED_CONTEXT();
  NEED(modules.count(module) == 1, INVALID_HANDLE);
  for (auto& function : module->functions)
    if (strcmp(function->kernel->name, name) == 0) {
      *handle = function.get();
      return SUCCESS;
    }
  return NOT_FOUND;
}

API cuFuncSetAttribute(Function* function, int attribute, int value) {
  NEED_CONTEXT();
  NEED(functions.count(function) == 1, INVALID_HANDLE);
  if (attribute == 8) { // MAX_DYNAMIC_SHARED_SIZE_BYTES
    NEED(value >= 0 && size_t(value) <= emulator::MOST_SHARED, INVALID_VALUE);
    function->most_shared = unsigned(value);
  }
  return SUCCESS;
}

API cuFuncGetAttribute(int* value, int attribute, Function* function) {
  NEED_CONTEXT();
  NEED(functions.count(function) == 1, INVALID_HANDLE);
  // MAX_THREADS_PER_BLOCK, MAX_DYNAMIC_SHARED_SIZE_BYTES; nothing is known of registers here.
  *value = attribute == 0 ? int(function->most_threads) : attribute == 8 ? int(function->most_shared) : 0;
  return SUCCESS;
}

API cuLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                   unsigned block_y, unsigned block_z, unsigned shared, void* handle, void** arguments, void** extra) {
  NEED_CONTEXT();
  auto stream = stream_of(handle);
  NEED(stream, INVALID_HANDLE);
  auto launch = std::make_shared<Launch>();
  Status status = check_launch(
      {function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared, arguments, extra}, *launch);
  if (status != SUCCESS) return status;
  add_to(*stream, [launch] { launch->run(); });
  return SUCCESS;
}

// --- Graphs ---

API cuGraphCreate(void** handle, unsigned flags) {
  NEED_CONTEXT();
  NEED(flags == 0, INVALID_VALUE);
  auto graph = new Graph;
  graphs.insert(graph);
  *handle = graph;
  return SUCCESS;
}

API cuGraphAddKernelNode_v2(void** handle, Graph* graph, Node* const* after, size_t count, const NodeParameters* p) {
  NEED_CONTEXT();
  NEED(graphs.count(graph) == 1, INVALID_HANDLE);
  auto node = std::make_unique<Node>();
  Status status = check_launch(*p, node->launch);
  if (status != SUCCESS) return status;
  std::set<size_t> distinct;
  for (size_t i = 0; i < count; i++) {
    size_t at = 0;
    while (at < graph->nodes.size() && graph->nodes[at].get() != after[i]) at++;
    if (at == graph->nodes.size() || !distinct.insert(at).second) {
      note("a dependency of a node is not in the graph, or twice among them");
      return INVALID_VALUE;
    }
  }
  node->after.assign(distinct.begin(), distinct.end());
  *handle = node.get();
  graph->nodes.push_back(std::move(node));
  return SUCCESS;
}

API cuGraphAddKernelNode(void** handle, Graph* graph, Node* const* after, size_t count, const NodeParameters* p) {
  return cuGraphAddKernelNode_v2(handle, graph, after, count, p);
}

API cuGraphInstantiateWithFlags(void** handle, Graph* graph, unsigned long long) {
  NEED_CONTEXT();
  NEED(graphs.count(graph) == 1, INVALID_HANDLE);
  auto copy = std::make_shared<Graph>();
  for (auto& node : graph->nodes) copy->nodes.emplace_back(new Node(*node));
  *handle = copy.get();
  executables[*handle] = copy;
  return SUCCESS;
}

API cuGraphInstantiate_v2(void** handle, Graph* graph, void** error, char*, size_t) {
  if (error != nullptr) *error = nullptr;
  return cuGraphInstantiateWithFlags(handle, graph, 0);
}

API cuGraphUpload(void* handle, void* stream) {
  NEED_CONTEXT();
  NEED(executables.count(handle) == 1 && stream_of(stream), INVALID_HANDLE);
  return SUCCESS;
}

API cuGraphLaunch(void* handle, void* stream_handle) {
  NEED_CONTEXT();
  auto stream = stream_of(stream_handle);
  auto found = executables.find(handle);
  NEED(stream && found != executables.end(), INVALID_HANDLE);
  size_t lose_after = number_of("RETRODICT_DOUBLE_LOSE_AFTER", 0);
  graph_launches++;
  if (lose_after != 0 && graph_launches >= lose_after) {
    lost = true;
    default_stream->queue.clear();
    for (auto& other : streams) other.second->queue.clear();
    return ECC_UNCORRECTABLE;
  }
  add_to(*stream, [graph = found->second] { run(*graph); });
  return SUCCESS;
}

API cuGraphExecDestroy(void* handle) {
  NEED_CONTEXT();
  return executables.erase(handle) == 1 ? SUCCESS : INVALID_HANDLE;
}

API cuGraphDestroy(Graph* graph) {
  NEED_CONTEXT();
  NEED(graphs.erase(graph) == 1, INVALID_HANDLE);
  delete graph;
  return SUCCESS;
}
