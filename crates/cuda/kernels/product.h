// C = A B, with A a weight and B activations, and the columns of B contiguous.
//
// bf16: a block computes 64 x 128 numbers of C, 64 terms at a time: the next terms are on their way
// from memory, in registers, while the tensor cores multiply the present ones. Operands are rounded
// where they are stored in shared memory, two neighbours along k in a word; rows there are padded so
// that the fragments of a warp lie in different banks. Sums are f32, in one order.
#pragma once

// Four numbers from `p` on, of which `count` are there.
__device__ __forceinline__ float4 four(const float* p, int count, bool wide) {
  if (wide && count >= 4) return *(const float4*)p;
  float4 x = make_float4(0.f, 0.f, 0.f, 0.f);
  if (count > 0) x.x = p[0];
  if (count > 1) x.y = p[1];
  if (count > 2) x.z = p[2];
  if (count > 3) x.w = p[3];
  return x;
}

__device__ __forceinline__ uint4 pack_rows(const float4& even, const float4& odd) {
  return make_uint4(pack_bf16(even.x, odd.x), pack_bf16(even.y, odd.y), pack_bf16(even.z, odd.z), pack_bf16(even.w, odd.w));
}

// Whether float4s can be read from p and from `stride` numbers on.
__device__ __forceinline__ bool is_wide(const float* p, i64 stride) {
  return ((u64)p & 15) == 0 && stride % 4 == 0;
}

#define TILE_M 64
#define TILE_N 128
#define TILE_K 64
// Words between rows of pairs, and between rows of A where k is contiguous.
#define PAD_M (TILE_M + 8)
#define PAD_N (TILE_N + 8)
#define PAD_K (TILE_K / 2 + 4)

// Row m of C as it is before, if it is added to.
template <class Arguments>
__device__ __forceinline__ const float* before(const Regions& regions, const Arguments& a, int m) {
  int which = part_of(m, int(a.c_rows));
  Put c = part<Put>(a.c, which);
  return c.add ? at(regions, c) + (m - which * int(a.c_rows)) * int(c.row) : nullptr;
}

// Row m of C.
template <class Arguments>
__device__ __forceinline__ float* row_of_c(const Regions& regions, const Arguments& a, int m) {
  int which = part_of(m, int(a.c_rows));
  Put c = part<Put>(a.c, which);
  return at(regions, c) + (m - which * int(a.c_rows)) * int(c.row);
}

template <bool K_CONTIGUOUS>
__device__ __forceinline__ void product_bf16_of(const Regions& regions, const product_bf16_arguments& a, u32* left, u32* right) {
  const int t = threadIdx.x, lane = t % 32, warp = t / 32, g = lane / 4, pair = lane % 4;
  const int warp_m = warp / 4 * 32, warp_n = warp % 4 * 32;
  const int m0 = blockIdx.x * TILE_M, n0 = blockIdx.y * TILE_N;
  const int rows = int(a.rows), columns = int(a.columns), all_k = int(a.k), b_rows = int(a.b_rows);
  const int a_stride = int(K_CONTIGUOUS ? a.a_row : a.a_k);
  const float* A = at(regions, a.a);
  const bool wide = is_wide(A, a_stride), one_b = b_rows >= all_k;
  float d[2][4][4];

#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      int m = m0 + warp_m + 16 * i + 8 * half + g;
      bool there = m < rows;
      float bias = there && a.bias.at != NOWHERE ? at(regions, a.bias)[m] : 0.f;
      const float* old = there ? before(regions, a, m) : nullptr;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        int n = n0 + warp_n + 8 * j + 2 * pair;
        bool adds = old != nullptr && n < columns;
        d[i][j][2 * half] = adds ? old[n] : bias;
        d[i][j][2 * half + 1] = adds ? old[n + 1] : bias;
      }
    }

  float4 from_a[4], from_b[8];
  const int n_load = n0 + t % 32 * 4;
  // A whole tile needs no guards.
  const bool inner = wide && (one_b || b_rows % TILE_K == 0) && m0 + TILE_M <= rows && n0 + TILE_N <= columns;
  const float* A0 = K_CONTIGUOUS ? A + (m0 + t / 16) * a_stride + t % 16 * 4 : A + 2 * (t / 16) * a_stride + m0 + t % 16 * 4;
  auto load = [&](int k0) {
    if (inner && k0 + TILE_K <= all_k) {
      const int which = part_of(k0, b_rows);
      const Matrix of = part<Matrix>(a.b, which);
      const int b_stride = int(of.row);
      const float* B0 = at(regions, of) + (k0 - which * b_rows + 2 * (t / 32)) * b_stride + n_load;
#pragma unroll
      for (int i = 0; i < 4; i++)
        from_a[i] = *(const float4*)(A0 + (K_CONTIGUOUS ? 16 * i * a_stride + k0 : (k0 + i / 2 * 32 + i % 2) * a_stride));
#pragma unroll
      for (int i = 0; i < 8; i++) from_b[i] = *(const float4*)(B0 + (i / 2 * 16 + i % 2) * b_stride);
      return;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
      int k = K_CONTIGUOUS ? k0 + t % 16 * 4 : k0 + 2 * (t / 16 + i / 2 * 16) + i % 2;
      int m = K_CONTIGUOUS ? m0 + t / 16 + 16 * i : m0 + t % 16 * 4;
      from_a[i] = K_CONTIGUOUS ? four(A + m * a_stride + k, m < rows ? all_k - k : 0, wide)
                               : four(A + k * a_stride + m, k < all_k ? rows - m : 0, wide);
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
      int k = k0 + 2 * (t / 32 + i / 2 * 8) + i % 2;
      from_b[i] = make_float4(0.f, 0.f, 0.f, 0.f);
      if (n_load < columns && k < all_k) from_b[i] = *(const float4*)(row_of(regions, a.b, b_rows, k) + n_load);
    }
  };

  load(0);
#pragma unroll 1
  for (int k0 = 0; k0 < all_k; k0 += TILE_K) {
    __syncthreads();
    if (K_CONTIGUOUS) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const float4& x = from_a[i];
        *(uint2*)&left[(t / 16 + 16 * i) * PAD_K + t % 16 * 2] = make_uint2(pack_bf16(x.x, x.y), pack_bf16(x.z, x.w));
      }
    } else {
#pragma unroll
      for (int i = 0; i < 2; i++)
        *(uint4*)&left[(t / 16 + 16 * i) * PAD_M + t % 16 * 4] = pack_rows(from_a[2 * i], from_a[2 * i + 1]);
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
      *(uint4*)&right[(t / 32 + 8 * i) * PAD_N + t % 32 * 4] = pack_rows(from_b[2 * i], from_b[2 * i + 1]);
    __syncthreads();
    if (k0 + TILE_K < all_k) load(k0 + TILE_K);
#pragma unroll 2
    for (int k = 0; k < TILE_K / 2; k += 8) {
      u32 x[2][4];
#pragma unroll
      for (int i = 0; i < 2; i++)
#pragma unroll
        for (int q = 0; q < 4; q++) {
          int row = warp_m + 16 * i + g + 8 * (q % 2), k2 = k + pair + 4 * (q / 2);
          x[i][q] = K_CONTIGUOUS ? left[row * PAD_K + k2] : left[k2 * PAD_M + row];
        }
#pragma unroll
      for (int j = 0; j < 4; j++) {
        u32 y[2];
#pragma unroll
        for (int q = 0; q < 2; q++) y[q] = right[(k + pair + 4 * q) * PAD_N + warp_n + 8 * j + g];
        mma16816(d[0][j], x[0], y);
        mma16816(d[1][j], x[1], y);
      }
    }
  }

#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      int m = m0 + warp_m + 16 * i + 8 * half + g;
      if (m >= rows) continue;
      float* to = row_of_c(regions, a, m);
#pragma unroll
      for (int j = 0; j < 4; j++) {
        int n = n0 + warp_n + 8 * j + 2 * pair;
        if (n < columns) *(float2*)(to + n) = make_float2(d[i][j][2 * half], d[i][j][2 * half + 1]);
      }
    }
}

KERNEL __launch_bounds__(256, 2) product_bf16(Regions regions, product_bf16_arguments a) {
  __shared__ __align__(16) u32 left[TILE_M * PAD_K], right[TILE_K / 2 * PAD_N];
  if (a.a_k == 1)
    product_bf16_of<true>(regions, a, left, right);
  else
    product_bf16_of<false>(regions, a, left, right);
}

// f32: a thread computes 4 x 4 numbers, 16 terms at a time.
KERNEL __launch_bounds__(256) product_f32(Regions regions, product_f32_arguments a) {
  __shared__ float left[16][64 + 1], right[16][64];
  const int t = threadIdx.x, m = t / 16 * 4, n = t % 16 * 4;
  const int m0 = blockIdx.x * 64, n0 = blockIdx.y * 64;
  const int rows = int(a.rows), columns = int(a.columns), all_k = int(a.k);
  const float* A = at(regions, a.a);
  float d[4][4];
#pragma unroll
  for (int i = 0; i < 4; i++) {
    int row = m0 + m + i;
    bool there = row < rows;
    float bias = there && a.bias.at != NOWHERE ? at(regions, a.bias)[row] : 0.f;
    const float* old = there ? before(regions, a, row) : nullptr;
#pragma unroll
    for (int j = 0; j < 4; j++)
      d[i][j] = old != nullptr && n0 + n + j < columns ? old[n0 + n + j] : bias;
  }
  for (int k0 = 0; k0 < all_k; k0 += 16) {
    __syncthreads();
#pragma unroll
    for (int e = 0; e < 4; e++) {
      // Neighbouring threads read neighbouring numbers.
      int item = t + 256 * e;
      int k = a.a_k == 1 ? item % 16 : item / 64, row = a.a_k == 1 ? item / 16 : item % 64;
      bool there = k0 + k < all_k && m0 + row < rows;
      left[k][row] = there ? A[(m0 + row) * a.a_row + (k0 + k) * a.a_k] : 0.f;
      int column = item % 64, b_k = item / 64;
      there = k0 + b_k < all_k && n0 + column < columns;
      right[b_k][column] = there ? row_of(regions, a.b, int(a.b_rows), k0 + b_k)[n0 + column] : 0.f;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < 16; k++)
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) d[i][j] = fmaf(left[k][m + i], right[k][n + j], d[i][j]);
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    int row = m0 + m + i;
    if (row >= rows) continue;
    float* to = row_of_c(regions, a, row) + n0;
#pragma unroll
    for (int j = 0; j < 4; j++)
      if (n0 + n + j < columns) to[n + j] = d[i][j];
  }
}
