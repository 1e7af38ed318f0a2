// Tests of the test double of the driver, through its C functions, with the PTX of the kernels.
//
//     g++ -O2 -std=c++17 -o driver_test driver_test.cpp -LFOLDER -lcuda -Wl,-rpath,FOLDER
//     ./driver_test KERNELS.ptx
//
// FOLDER has the libcuda.so that driver.cpp is compiled to.
#include <signal.h>

#include "check.h"

// As common.h and the engine's launch.rs have them.
typedef unsigned long long u64;
typedef long long i64;
typedef unsigned int u32;
struct Matrix { u64 at; i64 row; };
struct Matrices { Matrix of[3]; };
struct Put { u64 at; i64 row; i64 add; };
struct Puts { Put of[3]; };
struct Target { u64 at; i64 row; i64 store; };
#include "../kernels/arguments.h"
struct Regions {
  u64 base[RETRODICT_REGIONS];
  u64 stride[RETRODICT_REGIONS];
  u64 slots;
};
const u64 ARENA = u64(1) << RETRODICT_REGION_SHIFT, COUNTER = u64(8) << RETRODICT_REGION_SHIFT;

struct NodeParameters {
  void* function;
  unsigned grid[3], block[3], shared;
  void** arguments;
  void** extra;
  void *kernel, *context;
};

extern "C" {
int cuInit(unsigned);
int cuDeviceGet(int*, int);
int cuDeviceGetName(char*, int, int);
int cuDevicePrimaryCtxRetain(void**, int);
int cuCtxSetCurrent(void*);
int cuCtxSynchronize();
int cuMemGetInfo_v2(size_t*, size_t*);
int cuMemAlloc_v2(u64*, size_t);
int cuMemFree_v2(u64);
int cuMemHostAlloc(void**, size_t, unsigned);
int cuMemFreeHost(void*);
int cuMemcpyHtoD_v2(u64, const void*, size_t);
int cuMemcpyDtoH_v2(void*, u64, size_t);
int cuMemcpyHtoDAsync_v2(u64, const void*, size_t, void*);
int cuMemcpyDtoHAsync_v2(void*, u64, size_t, void*);
int cuMemsetD32_v2(u64, unsigned, size_t);
int cuStreamCreate(void**, unsigned);
int cuStreamSynchronize(void*);
int cuStreamWaitEvent(void*, void*, unsigned);
int cuStreamDestroy_v2(void*);
int cuEventCreate(void**, unsigned);
int cuEventRecord(void*, void*);
int cuEventSynchronize(void*);
int cuEventElapsedTime(float*, void*, void*);
int cuEventDestroy_v2(void*);
int cuModuleLoadData(void**, const void*);
int cuModuleGetFunction(void**, void*, const char*);
int cuModuleUnload(void*);
int cuFuncSetAttribute(void*, int, int);
int cuLaunchKernel(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
int cuGraphCreate(void**, unsigned);
int cuGraphAddKernelNode_v2(void**, void*, void* const*, size_t, const NodeParameters*);
int cuGraphInstantiateWithFlags(void**, void*, u64);
int cuGraphLaunch(void*, void*);
int cuGraphExecDestroy(void*);
int cuGraphDestroy(void*);
int cuGetErrorName(int, const char**);
}

static void returns(int expected, int status, const char* call) {
  check(status == expected, "%s returned %d, not %d", call, status, expected);
}
#define RETURNS(expected, call) returns(expected, call, #call)
#define OK(call) RETURNS(0, call)

static u64 allocate(size_t words) {
  u64 at = 0;
  OK(cuMemAlloc_v2(&at, words * 4));
  return at;
}

static float word_at(u64 at) {
  float word = 0;
  OK(cuMemcpyDtoH_v2(&word, at, 4));
  return word;
}

static void memory() {
  size_t free = 0, total = 0;
  setenv("RETRODICT_DOUBLE_MEMORY", "1000000", 1);
  u64 first = allocate(1100), second = 0;
  OK(cuMemGetInfo_v2(&free, &total));
  check(total == 1000000 && free == 995600, "%zu of %zu bytes are free", free, total);
  RETURNS(2, cuMemAlloc_v2(&second, 995601));
  OK(cuMemAlloc_v2(&second, 995600));
  OK(cuMemFree_v2(second));
  RETURNS(1, cuMemFree_v2(second));
  RETURNS(1, cuMemAlloc_v2(&second, 0));
  unsetenv("RETRODICT_DOUBLE_MEMORY");
  check(first % 256 == 0 && isnan(word_at(first + 4396)), "new memory is aligned and holds NaNs");
  OK(cuMemsetD32_v2(first, 0x3F800000, 1100));
  check(word_at(first + 4396) == 1.f, "cuMemsetD32");
  float word;
  RETURNS(1, cuMemcpyDtoH_v2(&word, first + 4398, 4));
  for (long offset : {-4l, 4400l}) {
    std::string text = message_of_abort([=] {
      *(float*)(first + u64(offset)) = 1.f;
      cuCtxSynchronize();
    });
    check(contains(text, offset < 0 ? "memory before" : "memory behind"), "a write at %ld: '%s'", offset, text.c_str());
  }
  OK(cuMemFree_v2(first));
}

// Work is deferred: pinned memory is read and written when somebody waits.
static void streams() {
  void *pinned, *stream, *other, *start, *end;
  u64 device = allocate(4);
  OK(cuMemHostAlloc(&pinned, 16, 0));
  float* words = (float*)pinned;
  OK(cuStreamCreate(&stream, 1));
  OK(cuStreamCreate(&other, 1));
  OK(cuEventCreate(&start, 0));
  OK(cuEventCreate(&end, 0));
  words[0] = 1.f;
  OK(cuEventRecord(start, stream));
  OK(cuMemcpyHtoDAsync_v2(device, pinned, 4, stream));
  words[0] = 2.f;
  check(isnan(word_at(device)), "a stream that does not block has run without a wait");
  OK(cuEventRecord(end, stream));
  float milliseconds;
  RETURNS(600, cuEventElapsedTime(&milliseconds, start, end));
  OK(cuStreamWaitEvent(other, end, 0));
  OK(cuMemcpyDtoHAsync_v2(&words[1], device, 4, other));
  check(isnan(words[1]), "a copy to pinned memory was made without a wait");
  OK(cuStreamSynchronize(other));
  check(words[1] == 2.f, "a copy read pinned memory early, or a stream did not wait for an event: %g", words[1]);
  OK(cuEventElapsedTime(&milliseconds, start, end));
  float own = 3.f;
  OK(cuMemcpyHtoDAsync_v2(device, &own, 4, stream));
  own = 4.f;
  OK(cuStreamSynchronize(stream));
  check(word_at(device) == 3.f, "memory that is not pinned is read at once");
  OK(cuEventSynchronize(end));
  OK(cuEventDestroy_v2(start));
  OK(cuEventDestroy_v2(end));
  RETURNS(400, cuEventRecord(end, stream));
  OK(cuStreamDestroy_v2(other));
  OK(cuStreamDestroy_v2(stream));
  RETURNS(400, cuStreamSynchronize(stream));
  OK(cuMemFreeHost(pinned));
  OK(cuMemFree_v2(device));
}

struct Setting {
  Regions regions;
  u64 arena, counter, slots;

  Setting() {
    memset(&regions, 0, sizeof regions);
    regions.base[1] = arena = allocate(2048);
    regions.base[8] = counter = allocate(1);
    regions.slots = slots = allocate(1);
    OK(cuMemsetD32_v2(slots, 0, 1));
    OK(cuMemsetD32_v2(counter, 0, 1));
  }
  ~Setting() {
    for (u64 at : {arena, counter, slots}) OK(cuMemFree_v2(at));
  }
};

static void launches(void* module) {
  Setting setting;
  void* clear;
  RETURNS(500, cuModuleGetFunction(&clear, module, "cleared"));
  OK(cuModuleGetFunction(&clear, module, "clear"));
  clear_arguments arguments = {{ARENA + 1, 1000, 0}, 1000};
  void* both[] = {&setting.regions, &arguments};
  OK(cuLaunchKernel(clear, 1, 1, 1, 256, 1, 1, 0, nullptr, both, nullptr));
  arguments.count = 2000; // too late: arguments were copied
  check(isnan(word_at(setting.arena)) && isnan(word_at(setting.arena + 4004)), "clear wrote beyond its numbers");
  check(word_at(setting.arena + 4) == 0.f && word_at(setting.arena + 4000) == 0.f, "clear did not write its numbers");
  RETURNS(701, cuLaunchKernel(clear, 1, 1, 1, 2048, 1, 1, 0, nullptr, both, nullptr));
  RETURNS(1, cuLaunchKernel(clear, 1, 65536, 1, 256, 1, 1, 0, nullptr, both, nullptr));
  RETURNS(1, cuLaunchKernel(clear, 1, 1, 1, 16, 2, 1, 0, nullptr, both, nullptr));
  RETURNS(1, cuLaunchKernel(clear, 1, 1, 1, 256, 1, 1, 50000, nullptr, both, nullptr));
  OK(cuFuncSetAttribute(clear, 8, 50000));
  OK(cuLaunchKernel(clear, 1, 1, 1, 256, 1, 1, 50000, nullptr, both, nullptr));
  RETURNS(1, cuFuncSetAttribute(clear, 8, 232449));
  arguments.count = 1024;
  arguments.values.at = ARENA + 1500;
  std::string text = message_of_abort([&] {
    cuLaunchKernel(clear, 1, 1, 1, 256, 1, 1, 0, nullptr, both, nullptr);
    cuCtxSynchronize();
  });
  check(contains(text, "emulator: kernel clear, block (0, 0, 0), thread "), "a write out of bounds: '%s'", text.c_str());
  OK(cuCtxSynchronize());
}

// Two nodes copy the counter to the output, one before and one after a node that counts: with the
// edges the result is 0 and 1; without them, some order shows another.
static void graphs(void* module) {
  Setting setting;
  void *keep, *end, *graph, *nodes[3], *ready, *stream;
  OK(cuStreamCreate(&stream, 1));
  OK(cuModuleGetFunction(&keep, module, "keep_output"));
  OK(cuModuleGetFunction(&end, module, "end_step"));
  bool wrong = false;
  for (bool with_edges : {true, false})
    for (int repetition = 0; repetition < 8; repetition++) {
      OK(cuMemsetD32_v2(setting.counter, 0, 1));
      OK(cuGraphCreate(&graph, 0));
      for (int i = 0; i < 3; i++) {
        keep_output_arguments output = {{COUNTER, 1}, {ARENA + u64(i), 1, 0}, {COUNTER, 1}, 1, 1, 0, 0};
        end_step_arguments count = {{COUNTER, 1, 0}};
        void* both[] = {&setting.regions, i == 1 ? (void*)&count : (void*)&output};
        NodeParameters p = {i == 1 ? end : keep, {1, 1, 1}, {i == 1 ? 32u : 256u, 1, 1}, 0, both, nullptr, nullptr, nullptr};
        OK(cuGraphAddKernelNode_v2(&nodes[i], graph, i > 0 ? &nodes[i - 1] : nullptr, with_edges && i > 0 ? 1 : 0, &p));
      }
      OK(cuGraphInstantiateWithFlags(&ready, graph, 0));
      OK(cuGraphDestroy(graph));
      OK(cuGraphLaunch(ready, stream));
      OK(cuStreamSynchronize(stream));
      u32 seen[3];
      OK(cuMemcpyDtoH_v2(seen, setting.arena, sizeof seen));
      bool right = seen[0] == 0 && seen[2] == 1;
      if (with_edges) check(right, "a graph in order: %u, %u", seen[0], seen[2]);
      wrong |= !right;
      OK(cuGraphExecDestroy(ready));
    }
  const char* order = getenv("RETRODICT_EMULATOR_ORDER");
  bool forward = order == nullptr || strcmp(order, "forward") == 0;
  check(wrong == !forward, "missing edges %s", wrong ? "show in forward order" : "do not show");
  // A node of another graph is no dependency.
  void *other, *node;
  OK(cuGraphCreate(&graph, 0));
  OK(cuGraphCreate(&other, 0));
  end_step_arguments count = {{COUNTER, 1, 0}};
  void* both[] = {&setting.regions, &count};
  NodeParameters p = {end, {1, 1, 1}, {32, 1, 1}, 0, both, nullptr, nullptr, nullptr};
  OK(cuGraphAddKernelNode_v2(&node, graph, nullptr, 0, &p));
  RETURNS(1, cuGraphAddKernelNode_v2(&nodes[0], other, &node, 1, &p));
  OK(cuGraphInstantiateWithFlags(&ready, graph, 0));
  setenv("RETRODICT_DOUBLE_LOSE_AFTER", "18", 1);
  OK(cuGraphLaunch(ready, stream)); // the 17th
  OK(cuStreamSynchronize(stream));
  const char* name = nullptr;
  std::string text = message_of_abort([&] {
    bool lost = cuGraphLaunch(ready, stream) == 214 && cuStreamSynchronize(stream) == 214 && cuMemFree_v2(setting.arena) == 214;
    unsetenv("RETRODICT_DOUBLE_LOSE_AFTER");
    lost = lost && cuGraphLaunch(ready, stream) == 214 && cuGetErrorName(214, &name) == 0;
    if (lost) fprintf(stderr, "%s\n", name), abort();
  });
  check(contains(text, "CUDA_ERROR_ECC_UNCORRECTABLE"), "a lost device: '%s'", text.c_str());
  unsetenv("RETRODICT_DOUBLE_LOSE_AFTER");
  OK(cuGraphExecDestroy(ready));
  OK(cuGraphDestroy(graph));
  OK(cuGraphDestroy(other));
  OK(cuStreamDestroy_v2(stream));
}

static std::string replaced(std::string text, const char* from, const char* to) {
  size_t at = text.find(from);
  check(at != std::string::npos, "the PTX has no '%s'", from);
  return at == std::string::npos ? text : text.replace(at, strlen(from), to);
}

int main(int count, char** arguments) {
  FILE* file = count == 2 ? fopen(arguments[1], "r") : nullptr;
  if (file == nullptr) {
    fprintf(stderr, "driver_test KERNELS.ptx\n");
    return 2;
  }
  std::string ptx;
  char buffer[4096], name[100];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, file)) > 0;) ptx.append(buffer, n);
  fclose(file);

  int device;
  void *context, *module;
  u64 at;
  RETURNS(3, cuDeviceGet(&device, 0));
  OK(cuInit(0));
  RETURNS(201, cuMemAlloc_v2(&at, 4));
  RETURNS(101, cuDeviceGet(&device, 1));
  OK(cuDeviceGet(&device, 0));
  OK(cuDeviceGetName(name, sizeof name, 0));
  check(strcmp(name, "retrodict test double (no GPU)") == 0, "the device is named '%s'", name);
  OK(cuDevicePrimaryCtxRetain(&context, 0));
  OK(cuCtxSetCurrent(context));
  memory();
  streams();
  RETURNS(200, cuModuleLoadData(&module, "int main() {}"));
  RETURNS(218, cuModuleLoadData(&module, replaced(ptx, ".entry clear(", ".entry clean(").c_str()));
  RETURNS(218, cuModuleLoadData(&module, replaced(ptx, "clear_param_1[32]", "clear_param_1[40]").c_str()));
  OK(cuModuleLoadData(&module, ptx.c_str()));
  launches(module);
  graphs(module);
  OK(cuModuleUnload(module));
  return report();
}
