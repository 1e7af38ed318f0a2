// The inside of the test double: kernels by name, deferred streams, guarded memory, PTX, launches.
#pragma once
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
