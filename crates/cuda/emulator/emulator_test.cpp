// Tests of the emulator itself.
//
//     g++ -O2 -std=c++17 -ffp-contract=off -fno-strict-aliasing -DRETRODICT_EMULATOR
//         -o emulator_test emulator_test.cpp
//     ./emulator_test
//
// Add -DEMULATOR_UCONTEXT for the fibers of other processors.
#include <signal.h>

#include "check.h"

#include "emulator.h"

using emulator::launch;

static const char* ORDERS[] = {"forward", "reverse", "shuffled:1", "shuffled:2"};

// --- Warp-wide instructions ---

static float bf16(unsigned bits) { return __uint_as_float(bits << 16); }

// Fragments are filled by the formulas of the PTX manual, section "Matrix Fragments for mma.m16n8k16
// with floating point type", written for an element; the emulator has them for a register.
static void mma_is_a_product() {
  Random random{1};
  float a[16][16], b[16][8], c[16][8], d[16][8];
  unsigned a_bits[16][16], b_bits[16][8];
  for (int i = 0; i < 16; i++)
    for (int k = 0; k < 16; k++) a[i][k] = bf16(a_bits[i][k] = pack_bf16(random.number(), 0.f));
  for (int k = 0; k < 16; k++)
    for (int j = 0; j < 8; j++) b[k][j] = bf16(b_bits[k][j] = pack_bf16(random.number(), 0.f));
  for (auto& row : c)
    for (float& x : row) x = random.number();
  launch("product", {1, 1, 1}, 64, 0, [&] {
    unsigned lane = threadIdx.x % 32, group = lane >> 2, in_group = lane % 4;
    unsigned fa[4] = {}, fb[2] = {};
    float fc[4];
    for (unsigned i = 0; i < 8; i++) {
      unsigned row = (i < 2 || (i >= 4 && i < 6)) ? group : group + 8;
      unsigned column = in_group * 2 + (i & 1) + (i >= 4 ? 8 : 0);
      fa[i / 2] |= a_bits[row][column] << (16 * (i & 1));
    }
    for (unsigned i = 0; i < 4; i++) {
      unsigned row = in_group * 2 + (i & 1) + (i >= 2 ? 8 : 0);
      fb[i / 2] |= b_bits[row][group] << (16 * (i & 1));
    }
    for (unsigned i = 0; i < 4; i++) fc[i] = c[i < 2 ? group : group + 8][in_group * 2 + (i & 1)];
    // Only one of the two warps multiplies: they need not agree.
    if (threadIdx.x < 32) return;
    mma16816(fc, fa, fb);
    for (unsigned i = 0; i < 4; i++) d[i < 2 ? group : group + 8][in_group * 2 + (i & 1)] = fc[i];
  });
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 8; j++) {
      double sum = c[i][j];
      for (int k = 0; k < 16; k++) sum += double(a[i][k]) * double(b[k][j]);
      check(fabs(d[i][j] - sum) < 4e-6, "mma: element %d, %d is %g, not %g", i, j, d[i][j], sum);
    }
}

static void shuffles() {
  float sums[64];
  unsigned down[64], up[64], from[64], segment[64], votes[64];
  unsigned long long wide[64];
  int any[64], all[64];
  launch("shuffles", {1, 1, 1}, 64, 0, [&] {
    unsigned t = threadIdx.x;
    float x = float(t);
    for (int lane = 16; lane > 0; lane /= 2) x += __shfl_xor_sync(0xFFFFFFFFu, x, lane);
    sums[t] = x;
    down[t] = __shfl_down_sync(0xFFFFFFFFu, t, 3);
    up[t] = __shfl_up_sync(0xFFFFFFFFu, t, 5);
    from[t] = __shfl_sync(0xFFFFFFFFu, t, int(t * 7));
    segment[t] = __shfl_down_sync(0xFFFFFFFFu, t, 2, 8);
    wide[t] = __shfl_sync(0xFFFFFFFFu, 0x100000000ull * t, 9);
    votes[t] = __ballot_sync(0xFFFFFFFFu, t % 3 == 0);
    any[t] = __any_sync(0xFFFFFFFFu, t == 40);
    all[t] = __all_sync(0xFFFFFFFFu, t >= 32);
    __syncwarp();
  });
  for (unsigned t = 0; t < 64; t++) {
    unsigned base = t & 32, lane = t % 32;
    check(sums[t] == float(32 * base + 496), "shuffle sum of thread %u: %g", t, sums[t]);
    check(down[t] == (lane + 3 < 32 ? t + 3 : t), "shuffle down of thread %u: %u", t, down[t]);
    check(up[t] == (lane >= 5 ? t - 5 : t), "shuffle up of thread %u: %u", t, up[t]);
    check(from[t] == base + t * 7 % 32, "shuffle of thread %u: %u", t, from[t]);
    check(segment[t] == (t % 8 < 6 ? t + 2 : t), "shuffle in segments of thread %u: %u", t, segment[t]);
    check(wide[t] == 0x100000000ull * (base + 9), "shuffle of 8 bytes of thread %u", t);
    unsigned expected = 0;
    for (unsigned i = 0; i < 32; i++) expected |= unsigned((base + i) % 3 == 0) << i;
    check(votes[t] == expected, "ballot of thread %u: %#x", t, votes[t]);
    check(any[t] == (base == 32) && all[t] == (base == 32), "votes of thread %u", t);
  }
}

// --- Rounding ---

static void rounding() {
  struct { unsigned from, to; const char* what; } cases[] = {
      {0x3F800000, 0x3F80, "1"},
      {0x80000000, 0x8000, "-0"},
      {0x3F808000, 0x3F80, "a tie, to even below"},
      {0x3F818000, 0x3F82, "a tie, to even above"},
      {0x3F808001, 0x3F81, "above a tie"},
      {0x3F807FFF, 0x3F80, "below a tie"},
      {0xBF818000, 0xBF82, "a negative tie"},
      {0x3FFFFFFF, 0x4000, "a carry into the exponent"},
      {0x7F7FFFFF, 0x7F80, "the largest number, to infinity"},
      {0x7F7F7FFF, 0x7F7F, "the largest that stays finite"},
      {0x7F800000, 0x7F80, "infinity"},
      {0xFF800000, 0xFF80, "minus infinity"},
      {0x00000001, 0x0000, "the smallest number"},
      {0x00008001, 0x0001, "a denormal"},
      {0x007FFFFF, 0x0080, "the largest denormal"},
  };
  for (auto& c : cases) {
    unsigned both = pack_bf16(__uint_as_float(c.from), __uint_as_float(c.from));
    check(both == (c.to | c.to << 16), "pack_bf16 of %s (%#x): %#x", c.what, c.from, both);
  }
  check(pack_bf16(1.f, 2.f) == 0x40003F80u, "pack_bf16: the first number is in the low half");
  for (unsigned nan : {0x7F800001u, 0x7FC00000u, 0xFFFFFFFFu, 0xFF800001u, 0x7FFFFFFFu})
    check(std::isnan(bf16(pack_bf16(__uint_as_float(nan), 0.f) & 0xFFFF)), "pack_bf16 of the NaN %#x", nan);
  check(__umulhi(0xD2511F53u, 0x9E3779B9u) == 0xD2511F53ull * 0x9E3779B9ull >> 32, "__umulhi");
}

// --- Blocks and shared memory ---

// Each thread writes a number and reads that of its opposite in the block.
static std::vector<float> opposite(bool with_barrier) {
  std::vector<float> result(256);
  launch("opposite", {1, 1, 1}, 256, 0, [&] {
    __shared__ float shared[256];
    unsigned t = threadIdx.x;
    shared[t] = float(t);
    if (with_barrier) __syncthreads();
    result[t] = shared[255 - t];
  });
  return result;
}

static void barriers() {
  int wrong = 0;
  for (const char* order : ORDERS) {
    emulator::order = emulator::parse_order(order);
    std::vector<float> with = opposite(true), without = opposite(false);
    bool right = true;
    for (unsigned t = 0; t < 256; t++) {
      check(with[t] == float(255 - t), "order %s: thread %u read %g", order, t, with[t]);
      right = right && without[t] == float(255 - t);
    }
    wrong += !right;
  }
  check(wrong > 0, "a missing barrier shows in no order");
}

template <int N>
static float in_template(float x) {
  __shared__ float shared[N];
  shared[threadIdx.x] = x;
  __syncthreads();
  return shared[(threadIdx.x + 1) % N];
}

static void shared_memory() {
  int poisoned = 0, dynamic = 0;
  std::vector<float> next(64), other(32);
  launch("poison", {3, 2, 2}, 64, 1000, [&] {
    __shared__ float shared[64];
    DYNAMIC_SHARED(float, more);
    poisoned += std::isnan(shared[threadIdx.x]);
    dynamic += std::isnan(more[threadIdx.x]) && std::isnan(more[249]);
    __syncthreads();
    shared[threadIdx.x] = more[threadIdx.x] = 1.f;
    next[threadIdx.x] = in_template<64>(float(threadIdx.x));
  });
  check(poisoned == 12 * 64, "static shared memory is poisoned for %d threads", poisoned);
  check(dynamic == 12 * 64, "dynamic shared memory is poisoned for %d threads", dynamic);
  launch("template", {1, 1, 1}, 32, 0, [&] { other[threadIdx.x] = in_template<32>(float(threadIdx.x)); });
  for (unsigned t = 0; t < 64; t++) check(next[t] == float((t + 1) % 64), "shared memory of a template, thread %u", t);
  for (unsigned t = 0; t < 32; t++) check(other[t] == float((t + 1) % 32), "shared memory of another, thread %u", t);
}

static void grid() {
  std::vector<int> seen(2 * 3 * 4 * 96);
  bool sizes = true;
  launch("grid", {2, 3, 4}, 96, 0, [&] {
    sizes = sizes && gridDim.x == 2 && gridDim.y == 3 && gridDim.z == 4 && blockDim.x == 96 && threadIdx.y == 0;
    seen[((blockIdx.z * 3 + blockIdx.y) * 2 + blockIdx.x) * 96 + threadIdx.x]++;
  });
  for (size_t i = 0; i < seen.size(); i++) check(seen[i] == 1, "grid: thread %zu ran %d times", i, seen[i]);
  check(sizes, "grid: sizes");
}

// Threads that run before others, by order.
static void orders() {
  auto sequence = [](const char* order) {
    emulator::order = emulator::parse_order(order);
    std::vector<unsigned> ran;
    launch("sequence", {2, 1, 1}, 64, 0, [&] { ran.push_back(blockIdx.x * 64 + threadIdx.x); });
    return ran;
  };
  auto forward = sequence("forward"), reverse = sequence("reverse");
  for (unsigned i = 0; i < 128; i++)
    check(forward[i] == i && reverse[i] == 127 - i, "order: position %u has %u and %u", i, forward[i], reverse[i]);
  check(sequence("shuffled:5") == sequence("shuffled:5"), "the same seed gives the same order");
  check(sequence("shuffled:5") != sequence("shuffled:6"), "another seed gives another order");
  std::string text = message_of_abort([] { emulator::parse_order("backward"); });
  check(contains(text, "must be forward, reverse or shuffled:SEED"), "a wrong order: '%s'", text.c_str());
}

// --- What must abort ---

template <class Kernel>
static void aborts(const char* what, const char* message, Kernel kernel, unsigned threads = 64) {
  std::string text = message_of_abort([&] { launch("broken", {2, 1, 1}, threads, 0, kernel); });
  bool right = contains(text, "kernel broken, block (") && contains(text, ", thread ") && contains(text, message);
  check(right, "%s: the message is '%s'", what, text.c_str());
}

static void failures_are_reported() {
  for (const char* order : ORDERS) {
    emulator::order = emulator::parse_order(order);
    aborts("a barrier that half of a warp does not reach", "__syncthreads", [] {
      if (threadIdx.x % 32 < 16) __syncthreads();
    });
    aborts("a barrier that a warp does not reach", "the end of the kernel", [] {
      if (threadIdx.x < 32) return;
      __syncthreads();
    });
    aborts("threads at two barriers", "emulator_test.cpp", [] {
      if (threadIdx.x == 7)
        __syncthreads();
      else
        __syncthreads(); // on a line of its own
    });
    aborts("a shuffle that a lane does not execute", "a shuffle", [] {
      if (threadIdx.x != 40) __shfl_xor_sync(0xFFFFFFFFu, 1.f, 1);
    });
    aborts("a shuffle against a barrier", "__syncthreads", [] {
      if (threadIdx.x < 8)
        __shfl_xor_sync(0xFFFFFFFFu, 1, 1);
      else
        __syncthreads();
    });
    aborts("an mma that lanes do not execute", "mma16816", [] {
      float d[4] = {};
      unsigned a[4] = {}, b[2] = {};
      if (threadIdx.x >= 2) mma16816(d, a, b);
    });
    aborts("a warp-wide instruction in a warp that is not full", "in a warp of 8 threads", [] { __syncwarp(); }, 40);
    aborts("a mask that is not full", "full masks only", [] { __shfl_sync(0xFFFFu, 1, 0); });
    aborts("an access out of bounds", "Segmentation fault", [] {
      volatile float* volatile nowhere = nullptr;
      if (threadIdx.x == 33) nowhere[33] = 1.f;
    });
    aborts("an unaligned read", "not aligned", [] {
      alignas(16) static float numbers[8];
      __ldcs((const float4*)(numbers + 1));
    });
    aborts("a trap", "__trap", [] {
      if (threadIdx.x == 5) __trap();
    });
    aborts("a stack that overflows", "Segmentation fault", [] {
      volatile char large[1 << 18];
      for (int i = (1 << 18) - 1; i > 0; i -= 64) large[i] = char(large[i - 1] + 1);
    });
  }
  aborts("a block that is too large", "blocks of 2048 threads", [] {}, 2048);
}

int main() {
  for (const char* order : ORDERS) {
    emulator::order = emulator::parse_order(order);
    mma_is_a_product();
    shuffles();
    shared_memory();
    grid();
  }
  barriers();
  orders();
  rounding();
  failures_are_reported();
  return report();
}
