// Types, addresses and small functions that all kernels share.
//
// The same source compiles for a device and, with RETRODICT_EMULATOR, for a CPU, where an emulator
// runs the threads of a block as fibers. No sum uses atomics: every sum has one order, whatever
// seeds share a launch.
#pragma once

typedef unsigned long long u64;
typedef long long i64;
typedef unsigned int u32;

// Rows of numbers in a region, `row` words apart.
struct Matrix { u64 at; i64 row; };
struct Matrices { Matrix of[3]; };
// A destination; `add` is 1 where the result is added to what is there.
struct Put { u64 at; i64 row; i64 add; };
struct Puts { Put of[3]; };
// Part of a parameter, by its offset in the layout of parameters.
struct Target { u64 at; i64 row; i64 store; };

#include "arguments.h"

// The memory of every region: that of seed s begins at base + s * stride (in 4-byte words). The
// z-th seed of a launch is slots[z].
struct Regions {
  float* base[RETRODICT_REGIONS];
  u64 stride[RETRODICT_REGIONS];
  const int* slots;
};

// As in the engine's launch.rs.
enum Region { RECORD, ARENA, PARAMETERS, GRADIENTS, FIRST, SECOND, TABLE, OUTPUTS, COUNTER, CONSTANTS };
enum Store { WRITE, ADD, STEP, STEP_WITHOUT_DECAY };
enum Entry {
  SEED_LOW, SEED_HIGH, STEP_LOW, STEP_HIGH, SHRINK, CORRECTED_RATE, SECOND_CORRECTION, BETA1,
  LESS_BETA1, BETA2, LESS_BETA2, EPSILON
};
#define NOWHERE (~0ull)

#ifdef RETRODICT_EMULATOR
#include "../emulator/emulator.h"
#else
#define DYNAMIC_SHARED(type, name) extern __shared__ __align__(16) type name[]

__device__ __forceinline__ void mma16816(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Two numbers rounded to the nearest bf16, ties to even; the first in the low half.
__device__ __forceinline__ u32 pack_bf16(float low, float high) {
  u32 both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
}
#endif

#define KERNEL extern "C" __global__ void
#define ALL_LANES 0xFFFFFFFFu
// Less than every number.
#define LOWEST __uint_as_float(0xFF800000u)
// The least positive number, which is no subnormal.
#define LEAST_GAP __uint_as_float(0x00800000u)

__device__ __forceinline__ int seed_of(const Regions& regions) { return regions.slots[blockIdx.z]; }

__device__ __forceinline__ float* region(const Regions& regions, int which) {
  return regions.base[which] + u64(seed_of(regions)) * regions.stride[which];
}

__device__ __forceinline__ float* address(const Regions& regions, u64 at) {
  return region(regions, int(at >> RETRODICT_REGION_SHIFT)) + (at & ((1ull << RETRODICT_REGION_SHIFT) - 1));
}

__device__ __forceinline__ float* at(const Regions& regions, const Matrix& m) { return address(regions, m.at); }
__device__ __forceinline__ float* at(const Regions& regions, const Put& p) { return address(regions, p.at); }

// The part of up to three buffers of `each` rows that has a row. No array is indexed with a number
// that the compiler does not know: it would be copied to slow memory first.
__device__ __forceinline__ int part_of(int row, int each) { return row < each ? 0 : row < 2 * each ? 1 : 2; }

template <class Part, class Parts>
__device__ __forceinline__ Part part(const Parts& parts, int which) {
  return which == 0 ? parts.of[0] : which == 1 ? parts.of[1] : parts.of[2];
}

// A row of a matrix that may lie in up to three buffers of `each` rows.
__device__ __forceinline__ const float* row_of(const Regions& regions, const Matrices& m, int each, int row) {
  int which = part_of(row, each);
  Matrix of = part<Matrix>(m, which);
  return at(regions, of) + (row - which * each) * int(of.row);
}

__device__ __forceinline__ void put(float* to, float value, bool add) { *to = add ? *to + value : value; }

// Sums over the lanes of a warp, in one order; all lanes get the sum.
__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) x += __shfl_xor_sync(ALL_LANES, x, lane);
  return x;
}

// AdamW (Loshchilov and Hutter, 2019), in the order of operations of the CPU's: decoupled decay.
struct Adam {
  float shrink, rate, correction, b1, d1, b2, d2, epsilon;

  __device__ __forceinline__ void step(float g, float& p, float& m, float& v) const {
    m = m * b1 + g * d1;
    v = v * b2 + g * g * d2;
    p = p * shrink - rate * m / (sqrtf(v) * correction + epsilon);
  }
};

__device__ __forceinline__ Adam adam_of(const Regions& regions, const Target& target) {
  const float* r = region(regions, RECORD);
  i64 store = target.store;
  return Adam{store == STEP_WITHOUT_DECAY ? 1.f : r[SHRINK], r[CORRECTED_RATE], r[SECOND_CORRECTION],
              r[BETA1], r[LESS_BETA1], r[BETA2], r[LESS_BETA2], r[EPSILON]};
}

// Where the gradient of a parameter goes: into its buffer, or into a step of AdamW.
struct Destination {
  float *gradient, *p, *m, *v;
  bool add, steps;

  __device__ __forceinline__ Destination(const Regions& regions, const Target& target)
      : add(target.store == ADD), steps(target.store >= STEP) {
    if (steps) {
      p = region(regions, PARAMETERS) + target.at;
      m = region(regions, FIRST) + target.at;
      v = region(regions, SECOND) + target.at;
      gradient = nullptr;
    } else {
      gradient = region(regions, GRADIENTS) + target.at;
      p = m = v = nullptr;
    }
  }

  // `adam` is read only where a step is made.
  __device__ __forceinline__ void take(const Adam& adam, i64 i, float g) const {
    if (!steps) return put(gradient + i, g, add);
    float first = m[i], second = v[i], value = p[i];
    adam.step(g, value, first, second);
    m[i] = first;
    v[i] = second;
    p[i] = value;
  }
};

// Philox 4x32-10 (Salmon et al., 2011), as the engine's random.rs.
struct Words4 { u32 x, y, z, w; };

__device__ __forceinline__ Words4 philox(Words4 counter, u32 key0, u32 key1) {
#pragma unroll
  for (int round = 0; round < 10; round++) {
    u32 low0 = 0xD2511F53u * counter.x, high0 = __umulhi(0xD2511F53u, counter.x);
    u32 low1 = 0xCD9E8D57u * counter.z, high1 = __umulhi(0xCD9E8D57u, counter.z);
    counter = Words4{high1 ^ counter.y ^ key0, low1, high0 ^ counter.w ^ key1, low0};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// Dropout's decisions of one operation in this step. A block of 128 elements takes 16 counters of
// 4 words, and each word decides two elements.
struct Drops {
  u32 key0, key1, step, stream, threshold;
  float kept;

  __device__ __forceinline__ Drops(const Regions& regions, i64 stream_, i64 threshold_) : threshold(u32(threshold_)) {
    const u32* r = (const u32*)region(regions, RECORD);
    key0 = r[SEED_LOW];
    key1 = r[SEED_HIGH];
    step = r[STEP_LOW];
    stream = u32(stream_) ^ (r[STEP_HIGH] << 16);
    kept = 65536.f / (65536.f - float(threshold));
  }

  // The words of lane `lane` of block `block`: elements block * 128 + lane + 16 i, for i below 8.
  __device__ __forceinline__ Words4 words(u32 block, u32 lane) const {
    const u32 PURPOSE = 2;
    return philox(Words4{block * 16 + lane, step, stream, PURPOSE}, key0, key1);
  }

  __device__ __forceinline__ float factor(const Words4& words, int i) const {
    u32 word = i < 4 ? (i < 2 ? words.x : words.y) : (i < 6 ? words.z : words.w);
    return ((word >> (16 * (i & 1))) & 0xFFFFu) < threshold ? 0.f : kept;
  }

  // The factor of one element, 1 where nothing is dropped.
  __device__ __forceinline__ float of(i64 element) const {
    if (threshold == 0) return 1.f;
    u32 block = u32(element / 128), within = u32(element % 128);
    return factor(words(block, within % 16), int(within / 16));
  }
};
