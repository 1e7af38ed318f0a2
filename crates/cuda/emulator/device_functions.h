// The keywords, types and functions of CUDA C that device code finds under the emulator. What is
// not here does not compile.
#pragma once

#define EMULATOR_TEXT_OF(x) #x
#define EMULATOR_TEXT(x) EMULATOR_TEXT_OF(x)
#define EMULATOR_SITE __FILE__ ":" EMULATOR_TEXT(__LINE__)

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static __attribute__((section("retrodict_shared")))
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __forceinline__ inline
#define __launch_bounds__(...)
#define DYNAMIC_SHARED(type, name) type* name = (type*)emulator::dynamic_shared

#define __syncthreads() emulator::arrive(emulator::BARRIER, EMULATOR_SITE)
#define __syncwarp emulator::WarpBarrier{EMULATOR_SITE}
#define __shfl_sync(...) emulator::shuffle_index(EMULATOR_SITE, __VA_ARGS__)
#define __shfl_xor_sync(...) emulator::shuffle_xor(EMULATOR_SITE, __VA_ARGS__)
#define __shfl_down_sync(...) emulator::shuffle_down(EMULATOR_SITE, __VA_ARGS__)
#define __shfl_up_sync(...) emulator::shuffle_up(EMULATOR_SITE, __VA_ARGS__)
#define __ballot_sync(mask, vote) emulator::ballot(EMULATOR_SITE, mask, (vote) != 0)
#define __any_sync(mask, vote) (emulator::ballot(EMULATOR_SITE, mask, (vote) != 0) != 0)
#define __all_sync(mask, vote) (emulator::ballot(EMULATOR_SITE, mask, (vote) != 0) == 0xFFFFFFFFu)
#define mma16816(...) emulator::mma(EMULATOR_SITE, __VA_ARGS__)
#define __trap() emulator::fail(threadIdx.x, "__trap (%s)", EMULATOR_SITE)

inline unsigned pack_bf16(float low, float high) {
  return emulator::bf16_bits(low) | emulator::bf16_bits(high) << 16;
}

// Memory is written in order: there is one thread of the CPU.
inline void __threadfence() {}
inline void __threadfence_block() {}

// --- Vectors ---

struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

// --- Memory ---

namespace emulator {
template <class T>
const T* aligned(const T* p, const char* what) {
  if ((uintptr_t)p % sizeof(T) != 0) fail(current, "%s of %zu bytes at address %p: not aligned", what, sizeof(T), (const void*)p);
  return p;
}
} // namespace emulator
template <class T> T __ldg(const T* p) { return *emulator::aligned(p, "__ldg"); }
template <class T> T __ldcs(const T* p) { return *emulator::aligned(p, "__ldcs"); }
template <class T> T __ldcg(const T* p) { return *emulator::aligned(p, "__ldcg"); }
template <class T> void __stcs(T* p, T value) { *(T*)emulator::aligned(p, "__stcs") = value; }
template <class T> void __stcg(T* p, T value) { *(T*)emulator::aligned(p, "__stcg") = value; }

// --- Bits and whole numbers ---

inline unsigned __float_as_uint(float x) { unsigned bits; memcpy(&bits, &x, 4); return bits; }
inline int __float_as_int(float x) { int bits; memcpy(&bits, &x, 4); return bits; }
inline float __uint_as_float(unsigned bits) { float x; memcpy(&x, &bits, 4); return x; }
inline float __int_as_float(int bits) { float x; memcpy(&x, &bits, 4); return x; }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }
inline int __mulhi(int a, int b) { return int((long long)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)((unsigned __int128)a * b >> 64);
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(unsigned(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }

// The pairs of types that CUDA has them for, so that others do not compile here either.
#define EMULATOR_MIN_MAX(T, A, B) \
  inline T min(A a, B b) { T x = (T)a, y = (T)b; return x < y ? x : y; } \
  inline T max(A a, B b) { T x = (T)a, y = (T)b; return x > y ? x : y; }
EMULATOR_MIN_MAX(int, int, int)
EMULATOR_MIN_MAX(unsigned, unsigned, unsigned)
EMULATOR_MIN_MAX(unsigned, int, unsigned)
EMULATOR_MIN_MAX(unsigned, unsigned, int)
EMULATOR_MIN_MAX(long, long, long)
EMULATOR_MIN_MAX(unsigned long, unsigned long, unsigned long)
EMULATOR_MIN_MAX(long long, long long, long long)
EMULATOR_MIN_MAX(unsigned long long, unsigned long long, unsigned long long)
EMULATOR_MIN_MAX(unsigned long long, long long, unsigned long long)
EMULATOR_MIN_MAX(unsigned long long, unsigned long long, long long)
#undef EMULATOR_MIN_MAX
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

// --- Arithmetic ---

// Device functions that round as IEEE has it.
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __frcp_rn(float a) { return 1.f / a; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __int2float_rn(int x) { return float(x); }
inline float __uint2float_rn(unsigned x) { return float(x); }
// Those that a GPU approximates; here they are more exact.
inline float rsqrtf(float x) { return float(1.0 / sqrt(double(x))); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __fdividef(float a, float b) { return a / b; }
