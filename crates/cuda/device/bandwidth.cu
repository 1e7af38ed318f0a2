// The fused weight gradient and the products alone, against the bandwidth of the memory: the first
// thing to run on a device.
//
//   nvcc -O3 -std=c++17 -arch=sm_90 -I ../kernels bandwidth.cu -o bandwidth && ./bandwidth
//
// Prints, for 1 and 10 seeds and each matrix of a layer of width 768, microseconds a launch, bytes
// that it must move (weights once; gradients of weights: parameters and moments read and written),
// the rate, and the rate's share of that of a copy. Layers take turns, so that weights come from
// memory and not from the cache.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>
#include <cuda_runtime.h>
#include "kernels.cu"

#define CHECK(call)                                                                  \
  do {                                                                               \
    cudaError_t status = (call);                                                     \
    if (status != cudaSuccess) {                                                     \
      fprintf(stderr, "%s: %s\n", #call, cudaGetErrorString(status));                \
      exit(1);                                                                       \
    }                                                                                \
  } while (0)

__global__ void fill(float* x, u64 count, float scale, u32 seed) {
  for (u64 i = blockIdx.x * u64(blockDim.x) + threadIdx.x; i < count; i += u64(gridDim.x) * blockDim.x) {
    u32 h = u32(i) * 2654435761u ^ seed;
    h ^= h >> 15; h *= 2246822519u; h ^= h >> 13;
    x[i] = (float(h >> 8) / float(1 << 24) - 0.5f) * scale;
  }
}
__global__ void square(float* x, u64 count) {
  for (u64 i = blockIdx.x * u64(blockDim.x) + threadIdx.x; i < count; i += u64(gridDim.x) * blockDim.x) x[i] *= x[i];
}

const int LAYERS = 6, N = 128, D = 768;
const u64 LAYER = 12ull * D * D, WEIGHTS = LAYERS * LAYER, ARENA_WORDS = 8ull << 20;

static u64 address_of(int region, u64 offset) { return u64(region) << RETRODICT_REGION_SHIFT | offset; }

int main() {
  const int MOST = 10;
  Regions r{};
  for (int i = 0; i < RETRODICT_REGIONS; i++) {
    u64 words = i == PARAMETERS || i == FIRST || i == SECOND ? WEIGHTS : i == ARENA ? ARENA_WORDS : 1024;
    r.stride[i] = words;
    CHECK(cudaMalloc(&r.base[i], words * 4 * MOST));
    fill<<<1024, 256>>>(r.base[i], words * MOST, i == FIRST || i == SECOND ? 1e-3f : 1.f, i);
    if (i == SECOND) square<<<1024, 256>>>(r.base[i], words * MOST);
  }
  std::vector<float> header(1024 * MOST, 0.f);
  for (int s = 0; s < MOST; s++) {
    float* h = &header[1024 * s];
    h[SHRINK] = 1 - 1e-6f; h[CORRECTED_RATE] = 1e-3f; h[SECOND_CORRECTION] = 1.5f; h[BETA1] = .9f;
    h[LESS_BETA1] = .1f; h[BETA2] = .999f; h[LESS_BETA2] = .001f; h[EPSILON] = 1e-8f;
  }
  CHECK(cudaMemcpy(r.base[RECORD], header.data(), header.size() * 4, cudaMemcpyHostToDevice));
  std::vector<int> slots(MOST);
  for (int i = 0; i < MOST; i++) slots[i] = i;
  int* device_slots;
  CHECK(cudaMalloc(&device_slots, 4 * MOST));
  CHECK(cudaMemcpy(device_slots, slots.data(), 4 * MOST, cudaMemcpyHostToDevice));
  r.slots = device_slots;
  cudaEvent_t begin, end;
  CHECK(cudaEventCreate(&begin));
  CHECK(cudaEventCreate(&end));
  auto time = [&](auto work) {
    std::vector<float> all;
    work();
    for (int i = 0; i < 5; i++) {
      CHECK(cudaEventRecord(begin));
      work();
      CHECK(cudaEventRecord(end));
      CHECK(cudaEventSynchronize(end));
      CHECK(cudaGetLastError());
      float ms;
      CHECK(cudaEventElapsedTime(&ms, begin, end));
      all.push_back(ms);
    }
    std::sort(all.begin(), all.end());
    return double(all[2]) * 1e-3;
  };
  double copy = time([&] { cudaMemcpyAsync(r.base[FIRST], r.base[PARAMETERS], WEIGHTS * 4 * MOST, cudaMemcpyDeviceToDevice); });
  double peak = 2.0 * WEIGHTS * 4 * MOST / copy;
  printf("copy %.0f GB/s\n", peak * 1e-9);
  fill<<<1024, 256>>>(r.base[FIRST], WEIGHTS * MOST, 1e-3f, 9);

  const u64 X = 0, Y = 1 << 20, Z = 2 << 20, C0 = 3 << 20;
  struct Shape { const char* name; int in, out; u64 at; int parts; };
  const Shape shapes[] = {{"qkv 768->2304", D, 3 * D, 0, 3}, {"proj 768->768", D, D, 3ull * D * D, 1},
                          {"fc 768->3072", D, 4 * D, 4ull * D * D, 1}, {"fc2 3072->768", 4 * D, D, 8ull * D * D, 1}};
  (void)Z;
  for (int seeds : {1, 10}) {
    double sum_us[3] = {0, 0, 0}, sum_bytes[3] = {0, 0, 0};
    for (const Shape& s : shapes) {
      int each = s.out / s.parts;
      auto at_layer = [&](int layer) { return u64(layer) * LAYER + s.at; };
      auto forward = [&](int layer, bool back) {
        product_bf16_arguments a{};
        a.a = Matrix{address_of(PARAMETERS, at_layer(layer)), s.out};
        a.bias = Matrix{NOWHERE, 0};
        a.columns = N;
        if (!back) {
          a.a_row = 1; a.a_k = s.out; a.rows = s.out; a.k = s.in; a.b_rows = s.in; a.c_rows = each;
          for (int i = 0; i < 3; i++) {
            a.b.of[i] = Matrix{i == 0 ? address_of(ARENA, X) : NOWHERE, N};
            a.c.of[i] = Put{i < s.parts ? address_of(ARENA, C0 + u64(i) * (1 << 18)) : NOWHERE, N, 0};
          }
        } else {
          a.a_row = s.out; a.a_k = 1; a.rows = s.in; a.k = s.out; a.b_rows = each; a.c_rows = s.in;
          for (int i = 0; i < 3; i++) {
            a.b.of[i] = Matrix{i < s.parts ? address_of(ARENA, Y + u64(i) * (1 << 18)) : NOWHERE, N};
            a.c.of[i] = Put{i == 0 ? address_of(ARENA, C0) : NOWHERE, N, 0};
          }
        }
        product_bf16<<<dim3((a.rows + 63) / 64, 1, seeds), 256>>>(r, a);
      };
      auto gradient = [&](int layer) {
        weight_gradient_bf16_arguments a{};
        a.left = Matrix{address_of(ARENA, X), N};
        for (int i = 0; i < 3; i++) a.right.of[i] = Matrix{i < s.parts ? address_of(ARENA, Y + u64(i) * (1 << 18)) : NOWHERE, N};
        a.weight = Target{at_layer(layer), s.out, STEP};
        a.rows = s.in; a.columns = s.out; a.k = N; a.r_rows = each;
        weight_gradient_bf16<<<dim3(s.out / 64, s.in / 64, seeds), 128>>>(r, a);
      };
      const char* kinds[] = {"forward", "input gradient", "weight gradient"};
      for (int kind = 0; kind < 3; kind++) {
        const int ROUNDS = seeds == 1 ? 8 : 2;
        double seconds = time([&] {
          for (int round = 0; round < ROUNDS; round++)
            for (int layer = 0; layer < LAYERS; layer++)
              if (kind < 2) forward(layer, kind == 1); else gradient(layer);
        }) / (ROUNDS * LAYERS);
        double bytes = double(s.in) * s.out * seeds * (kind < 2 ? 4 : 24);
        sum_us[kind] += seconds * 1e6;
        sum_bytes[kind] += bytes;
        printf("%2d seeds  %-16s %-15s %8.1f us  %7.1f MB  %6.0f GB/s  %3.0f %%\n", seeds, s.name, kinds[kind], seconds * 1e6,
               bytes * 1e-6, bytes / seconds * 1e-9, 100 * bytes / seconds / peak);
      }
    }
    for (int kind = 0; kind < 3; kind++)
      printf("%2d seeds  a layer, kind %d: %.1f us, %.0f %% of the copy's rate; 24 layers, a seed: %.3f ms\n", seeds, kind, sum_us[kind],
             100 * sum_bytes[kind] / (sum_us[kind] * 1e-6) / peak, sum_us[kind] * 24 / seeds * 1e-3);
  }

  // The step against double precision, for a few numbers of the first and the last seed.
  double worst_g = 0, worst_p = 0, worst_y = 0;
  std::vector<float> x(D * N), y(4 * D * N), p(4 * D * D), m(4 * D * D), v(4 * D * D), p1(4 * D * D), m1(4 * D * D), c(4 * D * N);
  for (int seed : {0, 9}) {
    auto copy_to = [&](std::vector<float>& to, int region, u64 offset) {
      CHECK(cudaMemcpy(to.data(), r.base[region] + seed * r.stride[region] + offset, to.size() * 4, cudaMemcpyDeviceToHost));
    };
    u64 at = 4ull * D * D;
    copy_to(x, ARENA, X); copy_to(y, ARENA, Y); copy_to(p, PARAMETERS, at); copy_to(m, FIRST, at); copy_to(v, SECOND, at);
    weight_gradient_bf16_arguments a{};
    a.left = Matrix{address_of(ARENA, X), N};
    a.right.of[0] = Matrix{address_of(ARENA, Y), N};
    a.weight = Target{at, 4 * D, STEP};
    a.rows = D; a.columns = 4 * D; a.k = N; a.r_rows = 4 * D;
    weight_gradient_bf16<<<dim3(4 * D / 64, D / 64, 10), 128>>>(r, a);
    copy_to(p1, PARAMETERS, at); copy_to(m1, FIRST, at);
    product_bf16_arguments f{};
    f.a = Matrix{address_of(PARAMETERS, at), 4 * D};
    f.bias = Matrix{NOWHERE, 0};
    f.columns = N; f.a_row = 1; f.a_k = 4 * D; f.rows = 4 * D; f.k = D; f.b_rows = D; f.c_rows = 4 * D;
    f.b.of[0] = Matrix{address_of(ARENA, X), N};
    f.c.of[0] = Put{address_of(ARENA, C0), N, 0};
    product_bf16<<<dim3(4 * D / 64, 1, 10), 256>>>(r, f);
    copy_to(c, ARENA, C0);
    auto rounded = [](float f) { u32 u; memcpy(&u, &f, 4); u = (u + 0x7FFF + ((u >> 16) & 1)) & 0xFFFF0000u; memcpy(&f, &u, 4); return double(f); };
    for (int e = 0; e < 2000; e++) {
      int i = (e * 7919) % D, o = (e * 104729) % (4 * D), n = e % N;
      double g = 0, magnitude = 0, sum = 0, size = 0;
      for (int k = 0; k < N; k++) { double q = rounded(x[i * N + k]) * rounded(y[o * N + k]); g += q; magnitude += std::fabs(q); }
      for (int k = 0; k < D; k++) { double q = rounded(x[k * N + n]) * rounded(p1[k * 4 * D + o]); sum += q; size += std::fabs(q); }
      int w = i * 4 * D + o;
      double got = (double(m1[w]) - double(m[w]) * .9f) / .1f;
      worst_g = std::max(worst_g, std::fabs(got - g) / magnitude);
      double mm = m[w] * double(.9f) + g * double(.1f), vv = v[w] * double(.999f) + g * g * double(.001f);
      double want = p[w] * double(1 - 1e-6f) - 1e-3 * mm / (std::sqrt(vv) * 1.5 + 1e-8);
      worst_p = std::max(worst_p, std::fabs(p1[w] - want) / std::max(1e-3, std::fabs(want)));
      worst_y = std::max(worst_y, std::fabs(c[o * N + n] - sum) / size);
    }
  }
  printf("against double precision: gradient %.1e and product %.1e of the sum of magnitudes, parameter %.1e\n", worst_g, worst_y, worst_p);
  return !(worst_g < 1e-5 && worst_y < 1e-5 && worst_p < 1e-5);
}
