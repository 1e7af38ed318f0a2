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
#include "double.h"

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
