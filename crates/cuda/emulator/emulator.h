// A GPU on one CPU thread, so that CUDA C kernels can be tested where there is no GPU.
//
// Every CUDA thread of a block is a fiber. A warp runs until all its lanes are at a barrier of the
// block; then the next warp runs. Barriers and warp-wide instructions switch fibers; blocks run one
// after another. One launch at a time: callers that have several threads need a lock.
//
// It aborts, naming kernel, block and thread, where
//  - a barrier of the block is not reached by all its threads: a thread that has returned counts as
//    one that does not reach it, as the CUDA C++ guide has it;
//  - a warp-wide instruction is not executed by all 32 lanes, or its mask is not full;
//  - a kernel reads or writes memory that is not mapped.
// Shared memory holds NaNs (all bits 1) when a block starts, except arrays that are declared in a
// template: g++ ignores their section. Races between barriers are not detected as such; they show
// as results that differ between orders of threads:
//
//     RETRODICT_EMULATOR_ORDER=forward|reverse|shuffled:SEED
//
// The order is that of blocks, of warps and of the lanes of a warp. Shuffled order also switches
// between warps at warp-wide instructions.
//
// Compile with g++ -O2 -std=c++17 -march=native -ffp-contract=off -fno-strict-aliasing
// -DRETRODICT_EMULATOR.
#pragma once

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <utility>
#include <vector>

#if !defined(__x86_64__) || defined(EMULATOR_UCONTEXT)
#define EMULATOR_PORTABLE
#include <ucontext.h>
#endif

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
struct uint3 {
  unsigned x, y, z;
};

static uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;
static const int warpSize = 32;

namespace emulator {

const unsigned LANES = 32, MOST_THREADS = 1024;
// What an H100 has.
const size_t MOST_SHARED = 232448;

// --- Order of threads and blocks ---

struct Order {
  enum Kind { FORWARD, REVERSE, SHUFFLED } kind = FORWARD;
  uint64_t state = 0;

  // SplitMix64 (Steele et al., 2014).
  uint64_t random() {
    uint64_t x = state += 0x9E3779B97F4A7C15ull;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ x >> 27) * 0x94D049BB133111EBull;
    return x ^ x >> 31;
  }

  unsigned below(unsigned bound) { return unsigned((random() >> 32) * bound >> 32); }

  // Writes 0 to count - 1 in this order.
  template <class T>
  void arrange(T* to, unsigned count) {
    for (unsigned i = 0; i < count; i++) to[i] = T(kind == REVERSE ? count - 1 - i : i);
    if (kind == SHUFFLED)
      for (unsigned i = count; i > 1; i--) std::swap(to[i - 1], to[below(i)]);
  }
};

inline Order parse_order(const char* text) {
  Order order;
  if (text == nullptr || strcmp(text, "forward") == 0) return order;
  order.kind = Order::REVERSE;
  if (strcmp(text, "reverse") == 0) return order;
  order.kind = Order::SHUFFLED;
  char* end;
  if (strncmp(text, "shuffled:", 9) == 0 && text[9] != 0 && (order.state = strtoull(text + 9, &end, 10), *end == 0))
    return order;
  fprintf(stderr, "emulator: RETRODICT_EMULATOR_ORDER is '%s'; it must be forward, reverse or shuffled:SEED\n", text);
  abort();
}

// The order of all launches from here on; tests may set it.
static Order order = parse_order(getenv("RETRODICT_EMULATOR_ORDER"));

// --- State ---

enum Event { BARRIER, RETURN, WARP_BARRIER, SHUFFLE, VOTE, MMA };

struct Warp {
  unsigned first, lanes;
  // The position in `order` of the lane that runs.
  unsigned position;
  // At a barrier of the block, or done.
  bool parked;
  // What the first lane to stop is at, and where in the source.
  Event event;
  const char* site;
  unsigned char order[LANES];
};

struct Fragments {
  float* d;
  const unsigned *a, *b;
};

#ifdef EMULATOR_PORTABLE
typedef ucontext_t Context;
#else
typedef void* Context; // the stack pointer
#endif

// The scheduler's own context comes after those of the threads.
const unsigned HOME = MOST_THREADS;

static const char* kernel_name;
static unsigned current = HOME, warp_count;
static Warp warps[MOST_THREADS / LANES];
static unsigned char warp_order[MOST_THREADS / LANES];
static Context contexts[MOST_THREADS + 1];
static uint64_t values[MOST_THREADS], results[MOST_THREADS];
static unsigned char sources[MOST_THREADS];
static Fragments fragments[MOST_THREADS];
static void (*body)(const void*);
static const void* body_data;
static char* dynamic_shared;

// --- Failures ---

[[noreturn]] inline void fail(unsigned thread, const char* format, ...) {
  fprintf(stderr, "emulator: kernel %s, block (%u, %u, %u), thread %u: ", kernel_name, blockIdx.x, blockIdx.y,
          blockIdx.z, thread);
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  fflush(stderr);
  abort();
}

inline const char* name_of(Event event) {
  const char* names[] = {"__syncthreads", "the end of the kernel", "__syncwarp", "a shuffle", "a vote", "mma16816"};
  return names[event];
}

[[noreturn, gnu::noinline]] inline void diverged(unsigned thread, Event event, const char* site, unsigned other,
                                                  Event other_event, const char* other_site) {
  fail(thread, "is at %s (%s), but thread %u is at %s (%s)", name_of(event), site, other, name_of(other_event),
       other_site);
}

// A fault in a kernel is reported with its thread; others go to the handler that was there before.
static struct sigaction previous_handlers[NSIG];

inline void on_fault(int signal, siginfo_t* info, void*) {
  if (current == HOME) {
    sigaction(signal, &previous_handlers[signal], nullptr);
    return;
  }
  unsigned thread = current;
  current = HOME;
  fail(thread, "%s at address %p: an access out of bounds, or not aligned", strsignal(signal), info->si_addr);
}

inline void catch_faults() {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) sigaction(signal, &action, &previous_handlers[signal]);
}

// Room to handle a signal when a fiber has overflown its stack.
inline void give_signal_stack() {
  stack_t stack;
  if (sigaltstack(nullptr, &stack) == 0 && !(stack.ss_flags & SS_DISABLE)) return;
  static char room[64 << 10];
  stack.ss_sp = room;
  stack.ss_size = sizeof room;
  stack.ss_flags = 0;
  sigaltstack(&stack, nullptr);
}

// --- Fibers ---

// An odd number of pages: with a power of two, stacks would share few entries of the TLB.
const size_t STACK = 33 * 4096;
static char* stacks;

inline __attribute__((always_inline)) void arrive(Event event, const char* site);

[[noreturn]] inline void run_thread() {
  body(body_data);
  arrive(RETURN, "-");
  abort();
}

#ifdef EMULATOR_PORTABLE
inline void switch_to(unsigned from, unsigned to) { swapcontext(&contexts[from], &contexts[to]); }

inline void prepare(unsigned thread, char* top) {
  Context& context = contexts[thread];
  getcontext(&context);
  context.uc_stack.ss_sp = stacks + thread * STACK;
  context.uc_stack.ss_size = size_t(top - (stacks + thread * STACK));
  context.uc_link = nullptr;
  makecontext(&context, run_thread, 0);
}
#else
// Saves the stack pointer, and on the stack where to resume; the compiler saves the registers that
// it needs. Inline, and with a jump: a return after a switch would be mispredicted.
#ifdef __AVX512F__
#define WIDE_REGISTERS                                                                                             \
  , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27",    \
      "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define WIDE_REGISTERS
#endif
inline __attribute__((always_inline)) void switch_to(unsigned from, unsigned to) {
  void *save = &contexts[from], *load = contexts[to];
  asm volatile(
      "leaq -128(%%rsp), %%rsp\n\t" // the red zone
      "pushq %%rbp\n\t"
      "leaq 1f(%%rip), %%rdx\n\t"
      "pushq %%rdx\n\t"
      "movq %%rsp, (%0)\n\t"
      "movq %1, %%rsp\n\t"
      "popq %%rdx\n\t"
      "jmpq *%%rdx\n"
      "1:\n\t"
      "popq %%rbp\n\t"
      "leaq 128(%%rsp), %%rsp\n\t"
      : "+a"(save), "+c"(load)
      :
      : "rdx", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3",
        "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc",
        "memory" WIDE_REGISTERS);
}

// Lays the stack out as if run_thread was about to be called.
inline void prepare(unsigned thread, char* top) {
  void** words = (void**)top;
  words[-1] = nullptr;
  words[-2] = (void*)run_thread;
  contexts[thread] = words - 2;
}
#endif

inline void make_stacks() {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* memory = mmap(nullptr, MOST_THREADS * STACK, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) {
    perror("emulator: no memory for stacks");
    abort();
  }
  stacks = (char*)memory;
  for (unsigned t = 0; t < MOST_THREADS; t++) mprotect(stacks + t * STACK, 4096, PROT_NONE);
}

inline __attribute__((always_inline)) void resume(unsigned thread) {
  if (thread == current) return;
  unsigned from = current;
  current = thread;
  threadIdx.x = thread;
  switch_to(from, thread);
}

// --- Scheduling ---

// D += A B of a warp, its fragments as the PTX manual has them for mma.m16n8k16 of bf16. The sums
// are f32, in order of k; a GPU's are not rounded alike.
inline void multiply_fragments(const Warp& warp) {
  typedef float Four __attribute__((vector_size(16)));
  float a[16][16];
  alignas(16) float b[16][8], d[16][8];
  auto low = [](unsigned pair) { unsigned bits = pair << 16; float x; memcpy(&x, &bits, 4); return x; };
  auto high = [](unsigned pair) { unsigned bits = pair & 0xFFFF0000u; float x; memcpy(&x, &bits, 4); return x; };
  for (unsigned lane = 0; lane < LANES; lane++) {
    const Fragments& own = fragments[warp.first + lane];
    unsigned group = lane / 4, pair = lane % 4 * 2;
    for (unsigned i = 0; i < 4; i++) {
      unsigned row = group + 8 * (i % 2), k = pair + 8 * (i / 2);
      a[row][k] = low(own.a[i]);
      a[row][k + 1] = high(own.a[i]);
      d[group + 8 * (i / 2)][pair + i % 2] = own.d[i];
    }
    for (unsigned i = 0; i < 2; i++) {
      b[pair + 8 * i][group] = low(own.b[i]);
      b[pair + 8 * i + 1][group] = high(own.b[i]);
    }
  }
  for (unsigned row = 0; row < 16; row++) {
    Four left = *(Four*)d[row], right = *(Four*)(d[row] + 4);
    for (unsigned k = 0; k < 16; k++) {
      left += a[row][k] * *(Four*)b[k];
      right += a[row][k] * *(Four*)(b[k] + 4);
    }
    *(Four*)d[row] = left;
    *(Four*)(d[row] + 4) = right;
  }
  for (unsigned lane = 0; lane < LANES; lane++) {
    float* own = fragments[warp.first + lane].d;
    for (unsigned i = 0; i < 4; i++) own[i] = d[lane / 4 + 8 * (i / 2)][lane % 4 * 2 + i % 2];
  }
}

// All lanes of a warp are at the same warp-wide instruction.
inline void execute(const Warp& warp) {
  if (warp.lanes != LANES) fail(current, "is at %s (%s) in a warp of %u threads", name_of(warp.event), warp.site, warp.lanes);
  unsigned first = warp.first;
  if (warp.event == MMA) multiply_fragments(warp);
  if (warp.event == SHUFFLE)
    for (unsigned lane = 0; lane < LANES; lane++) results[first + lane] = values[first + sources[first + lane]];
  if (warp.event == VOTE) {
    uint64_t votes = 0;
    for (unsigned lane = 0; lane < LANES; lane++) votes |= values[first + lane] << lane;
    for (unsigned lane = 0; lane < LANES; lane++) results[first + lane] = votes;
  }
}

// The next warp to run, or null where all are parked.
inline Warp* next_warp() {
  for (unsigned i = 0; i < warp_count; i++)
    if (!warps[warp_order[i]].parked) return &warps[warp_order[i]];
  return nullptr;
}

// All warps are parked: at the same barrier, or all threads are done.
inline Warp* end_of_barrier() {
  const Warp& first = warps[warp_order[0]];
  for (unsigned i = 1; i < warp_count; i++) {
    const Warp& other = warps[warp_order[i]];
    if (other.event != first.event || strcmp(other.site, first.site) != 0)
      diverged(other.first, other.event, other.site, first.first, first.event, first.site);
  }
  if (first.event == RETURN) return nullptr;
  for (unsigned i = 0; i < warp_count; i++) {
    Warp& warp = warps[i];
    warp.parked = false;
    if (order.kind == Order::SHUFFLED) order.arrange(warp.order, warp.lanes);
  }
  if (order.kind == Order::SHUFFLED) order.arrange(warp_order, warp_count);
  return &warps[warp_order[0]];
}

// The last lane of a warp has stopped where the others are.
[[gnu::noinline]] inline void end_of_phase(Warp& warp) {
  warp.position = 0;
  Warp* next = &warp;
  if (warp.event == BARRIER || warp.event == RETURN) {
    warp.parked = true;
    next = next_warp();
    if (next == nullptr) next = end_of_barrier();
  } else {
    execute(warp);
    if (order.kind == Order::SHUFFLED && order.below(8) == 0) {
      order.arrange(warp.order, warp.lanes);
      Warp& other = warps[order.below(warp_count)];
      if (!other.parked) next = &other;
    }
  }
  resume(next == nullptr ? HOME : next->first + next->order[0]);
}

// The running thread stops until all that take part in `event` have come to it.
inline __attribute__((always_inline)) void arrive(Event event, const char* site) {
  Warp& warp = warps[current / LANES];
  if (warp.position == 0) {
    warp.event = event;
    warp.site = site;
  } else if (warp.event != event || (warp.site != site && strcmp(warp.site, site) != 0)) {
    diverged(current, event, site, warp.first + warp.order[0], warp.event, warp.site);
  }
  if (++warp.position < warp.lanes)
    resume(warp.first + warp.order[warp.position]);
  else
    end_of_phase(warp);
}

// --- Launches ---

extern "C" {
extern char __start_retrodict_shared[] __attribute__((visibility("hidden")));
extern char __stop_retrodict_shared[] __attribute__((visibility("hidden")));
}
// The section exists even where no kernel has shared memory.
__attribute__((section("retrodict_shared"), used)) static char shared_begin[16];

inline void make_dynamic_shared() {
  size_t page = size_t(sysconf(_SC_PAGESIZE)), size = (MOST_SHARED + page - 1) / page * page;
  void* memory = mmap(nullptr, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    perror("emulator: no shared memory");
    abort();
  }
  // What lies behind it faults.
  mprotect((char*)memory + size, page, PROT_NONE);
  dynamic_shared = (char*)memory + size;
}

inline void run_block(unsigned threads) {
  memset(__start_retrodict_shared, 0xFF, size_t(__stop_retrodict_shared - __start_retrodict_shared));
  warp_count = (threads + LANES - 1) / LANES;
  order.arrange(warp_order, warp_count);
  for (unsigned w = 0; w < warp_count; w++) {
    Warp& warp = warps[w];
    unsigned left = threads - w * LANES;
    warp.first = w * LANES;
    warp.lanes = left < LANES ? left : LANES;
    warp.position = 0;
    warp.parked = false;
    order.arrange(warp.order, warp.lanes);
  }
  // Tops of stacks differ modulo the size of a page, or they would share few lines of the cache.
  for (unsigned t = 0; t < threads; t++) prepare(t, stacks + (t + 1) * STACK - t % 64 * 320);
  resume(warps[warp_order[0]].first + warps[warp_order[0]].order[0]);
}

// Runs `kernel`, a callable without arguments, on every thread of a grid, with `shared` bytes of
// dynamic shared memory.
template <class Kernel>
void launch(const char* name, dim3 grid, unsigned threads, size_t shared, const Kernel& kernel) {
  if (stacks == nullptr) {
    make_stacks();
    make_dynamic_shared();
    catch_faults();
  }
  give_signal_stack();
  kernel_name = name;
  blockIdx = {0, 0, 0};
  if (threads == 0 || threads > MOST_THREADS) fail(0, "blocks of %u threads", threads);
  if (shared > MOST_SHARED) fail(0, "%zu bytes of shared memory; there are %zu", shared, MOST_SHARED);
  gridDim = grid;
  blockDim.x = threads;
  body = [](const void* data) { (*(const Kernel*)data)(); };
  body_data = &kernel;
  char* end_of_shared = dynamic_shared;
  dynamic_shared -= (shared + 127) / 128 * 128;
  std::vector<unsigned> blocks(size_t(grid.x) * grid.y * grid.z);
  order.arrange(blocks.data(), unsigned(blocks.size()));
  for (unsigned block : blocks) {
    blockIdx = {block % grid.x, block / grid.x % grid.y, block / grid.x / grid.y};
    memset(dynamic_shared, 0xFF, size_t(end_of_shared - dynamic_shared));
    run_block(threads);
  }
  dynamic_shared = end_of_shared;
}

// --- What device code calls ---

inline void need_full(unsigned mask, const char* site) {
  if (mask != 0xFFFFFFFFu) fail(current, "the mask %#x (%s); the emulator knows full masks only", mask, site);
}

template <class T>
T shuffle(const char* site, unsigned mask, T value, unsigned source) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles move 4 or 8 bytes");
  need_full(mask, site);
  memcpy(&values[current], &value, sizeof(T));
  sources[current] = (unsigned char)source;
  arrive(SHUFFLE, site);
  memcpy(&value, &results[current], sizeof(T));
  return value;
}

// A lane of the caller's segment of `width` lanes, or the caller where `within` lies outside of it.
inline unsigned in_segment(int within, int width) {
  int lane = int(current % LANES), start = lane / width * width;
  return unsigned(within < 0 || within >= width ? lane : start + within);
}
inline int place_in_segment(int width) { return int(current % LANES) % width; }

template <class T>
T shuffle_index(const char* site, unsigned mask, T value, int lane, int width = 32) {
  return shuffle(site, mask, value, in_segment(lane & (width - 1), width));
}
template <class T>
T shuffle_xor(const char* site, unsigned mask, T value, int bits, int width = 32) {
  // Lanes of earlier segments may be read, of later ones not.
  int lane = int(current % LANES), source = lane ^ bits;
  return shuffle(site, mask, value, unsigned(source / width > lane / width || source >= 32 ? lane : source));
}
template <class T>
T shuffle_down(const char* site, unsigned mask, T value, unsigned by, int width = 32) {
  return shuffle(site, mask, value, in_segment(place_in_segment(width) + int(by), width));
}
template <class T>
T shuffle_up(const char* site, unsigned mask, T value, unsigned by, int width = 32) {
  return shuffle(site, mask, value, in_segment(place_in_segment(width) - int(by), width));
}

struct WarpBarrier {
  const char* site;

  void operator()(unsigned mask = 0xFFFFFFFFu) const {
    need_full(mask, site);
    arrive(WARP_BARRIER, site);
  }
};

inline unsigned ballot(const char* site, unsigned mask, bool vote) {
  need_full(mask, site);
  values[current] = vote;
  arrive(VOTE, site);
  return unsigned(results[current]);
}

inline void mma(const char* site, float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  fragments[current] = {d, a, b};
  arrive(MMA, site);
}

inline unsigned bf16_bits(float x) {
  unsigned bits;
  memcpy(&bits, &x, 4);
  // Any NaN becomes the one that a GPU writes.
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return 0x7FFFu;
  return (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
}

} // namespace emulator

#include "device_functions.h"
