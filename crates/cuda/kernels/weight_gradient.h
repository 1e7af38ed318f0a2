// dW = L Rᵀ, with AdamW's step on the way out: the gradient never reaches memory, unless others
// write it too.
//
// bf16: a block computes 64 x 64 numbers. Parameters and moments are most of the traffic: they are
// on their way from memory while the tensor cores multiply, in the order in which rows lie.
#pragma once

#define SIDE 64
// Terms that are in shared memory at a time, and words between rows there.
#define TERMS 128
#define PAD_TERMS (TERMS / 2 + 4)
// Numbers between rows of the gradient in shared memory.
#define PAD_SIDE (SIDE + 8)

KERNEL __launch_bounds__(128, 3) weight_gradient_bf16(Regions regions, weight_gradient_bf16_arguments a) {
  __shared__ __align__(16) u32 shared[2 * SIDE * PAD_TERMS];
  u32 *left = shared, *right = shared + SIDE * PAD_TERMS;
  float* tile = (float*)shared;
  const int t = threadIdx.x, lane = t % 32, warp = t / 32, g = lane / 4, pair = lane % 4;
  const int warp_m = warp / 2 * 32, warp_n = warp % 2 * 32;
  const int m0 = blockIdx.y * SIDE, n0 = blockIdx.x * SIDE;
  const int rows = int(a.rows), columns = int(a.columns), terms = int(a.k), stride = int(a.weight.row);
  const float* L = at(regions, a.left);
  Destination to(regions, a.weight);
  // Whether the whole tile is stepped, four numbers at a time.
  const bool wide = to.steps && is_wide(to.p, stride) && m0 + SIDE <= rows && n0 + SIDE <= columns;
  float d[2][4][4];
#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int j = 0; j < 4; j++)
#pragma unroll
      for (int q = 0; q < 4; q++) d[i][j][q] = 0.f;

  float4 p[8], m[8], v[8];
  for (int k0 = 0; k0 < terms; k0 += TERMS) {
    __syncthreads();
#pragma unroll
    for (int side = 0; side < 2; side++) {
#pragma unroll 4
      for (int i = 0; i < SIDE / 4; i++) {
        int row = t / 32 + 4 * i, k = t % 32 * 4;
        int of_side = (side == 0 ? m0 : n0) + row;
        bool there = of_side < (side == 0 ? rows : columns) && k0 + k < terms;
        float4 x = make_float4(0.f, 0.f, 0.f, 0.f);
        if (there) {
          const float* from = side == 0 ? L + of_side * int(a.left.row) : row_of(regions, a.right, int(a.r_rows), of_side);
          x = *(const float4*)(from + k0 + k);
        }
        u32* into = (side == 0 ? left : right) + row * PAD_TERMS + k / 2;
        *(uint2*)into = make_uint2(pack_bf16(x.x, x.y), pack_bf16(x.z, x.w));
      }
    }
    __syncthreads();
    // Before the last products: they hide the latency.
    if (wide && k0 + TERMS >= terms) {
#pragma unroll
      for (int i = 0; i < 8; i++) {
        int row = m0 + t / 16 + 8 * i, column = n0 + t % 16 * 4;
        int at = row * stride + column;
        p[i] = __ldcs((const float4*)(to.p + at));
        m[i] = __ldcs((const float4*)(to.m + at));
        v[i] = __ldcs((const float4*)(to.v + at));
      }
    }
#pragma unroll 2
    for (int k = 0; k < TERMS / 2; k += 8) {
      u32 x[2][4], y[4][2];
#pragma unroll
      for (int i = 0; i < 2; i++)
#pragma unroll
        for (int q = 0; q < 4; q++)
          x[i][q] = left[(warp_m + 16 * i + g + 8 * (q % 2)) * PAD_TERMS + k + pair + 4 * (q / 2)];
#pragma unroll
      for (int j = 0; j < 4; j++)
#pragma unroll
        for (int q = 0; q < 2; q++) y[j][q] = right[(warp_n + 8 * j + g) * PAD_TERMS + k + pair + 4 * q];
#pragma unroll
      for (int i = 0; i < 2; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) mma16816(d[i][j], x[i], y[j]);
    }
  }

  // Through shared memory, so that a warp's numbers lie side by side in memory.
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int half = 0; half < 2; half++)
#pragma unroll
      for (int j = 0; j < 4; j++)
        *(float2*)&tile[(warp_m + 16 * i + 8 * half + g) * PAD_SIDE + warp_n + 8 * j + 2 * pair] =
            make_float2(d[i][j][2 * half], d[i][j][2 * half + 1]);
  __syncthreads();
  const Adam adam = adam_of(regions, a.weight);
  if (!wide) {
    for (int e = t; e < SIDE * SIDE; e += 128) {
      int row = m0 + e / SIDE, column = n0 + e % SIDE;
      if (row < rows && column < columns) to.take(adam, row * stride + column, tile[e / SIDE * PAD_SIDE + e % SIDE]);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; i++) {
    int row = m0 + t / 16 + 8 * i, column = n0 + t % 16 * 4;
    float4 slope = *(const float4*)&tile[(t / 16 + 8 * i) * PAD_SIDE + t % 16 * 4];
    adam.step(slope.x, p[i].x, m[i].x, v[i].x);
    adam.step(slope.y, p[i].y, m[i].y, v[i].y);
    adam.step(slope.z, p[i].z, m[i].z, v[i].z);
    adam.step(slope.w, p[i].w, m[i].w, v[i].w);
    int at = row * stride + column;
    __stcs((float4*)(to.p + at), p[i]);
    __stcs((float4*)(to.m + at), m[i]);
    __stcs((float4*)(to.v + at), v[i]);
  }
}

// f32: a thread computes 4 x 4 numbers, 16 terms at a time.
KERNEL __launch_bounds__(256) weight_gradient_f32(Regions regions, weight_gradient_f32_arguments a) {
  __shared__ float left[16][64 + 1], right[16][64 + 1];
  const int t = threadIdx.x, m = t / 16 * 4, n = t % 16 * 4;
  const int m0 = blockIdx.y * 64, n0 = blockIdx.x * 64;
  const int rows = int(a.rows), columns = int(a.columns), all_k = int(a.k);
  const float* L = at(regions, a.left);
  float d[4][4];
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) d[i][j] = 0.f;
  for (int k0 = 0; k0 < all_k; k0 += 16) {
    __syncthreads();
#pragma unroll
    for (int e = 0; e < 4; e++) {
      int item = t + 256 * e, k = item % 16, row = item / 16;
      bool terms = k0 + k < all_k;
      left[k][row] = terms && m0 + row < rows ? L[(m0 + row) * int(a.left.row) + k0 + k] : 0.f;
      right[k][row] = terms && n0 + row < columns ? row_of(regions, a.right, int(a.r_rows), n0 + row)[k0 + k] : 0.f;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < 16; k++)
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) d[i][j] = fmaf(left[k][m + i], right[k][n + j], d[i][j]);
  }
  Destination to(regions, a.weight);
  const Adam adam = adam_of(regions, a.weight);
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 4; j++) {
      int row = m0 + m + i, column = n0 + n + j;
      if (row < rows && column < columns) to.take(adam, row * a.weight.row + column, d[i][j]);
    }
}
