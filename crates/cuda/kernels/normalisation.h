// Layer normalisation over the features.
//
// A block takes 16 columns; 32 groups of its threads share the features, and their sums are added
// as a tree.
#pragma once

#define NORM_COLUMNS 16
#define NORM_GROUPS 32

// Sums over the groups of a column; all threads get the sum of their column.
__device__ __forceinline__ float column_sum(float x, float (*sums)[NORM_COLUMNS]) {
  int column = threadIdx.x % NORM_COLUMNS, group = threadIdx.x / NORM_COLUMNS;
  __syncthreads();
  sums[group][column] = x;
  for (int half = NORM_GROUPS / 2; half > 0; half /= 2) {
    __syncthreads();
    if (group < half) sums[group][column] += sums[group + half][column];
  }
  __syncthreads();
  return sums[0][column];
}

KERNEL layer_norm(Regions regions, layer_norm_arguments a) {
  __shared__ float sums[NORM_GROUPS][NORM_COLUMNS];
  i64 column = i64(blockIdx.x) * NORM_COLUMNS + threadIdx.x % NORM_COLUMNS;
  i64 group = threadIdx.x / NORM_COLUMNS;
  bool inside = column < a.columns;
  const float *x = at(regions, a.x) + column, *gain = at(regions, a.gain), *bias = at(regions, a.bias);
  float *y = at(regions, a.y) + column, *saved = at(regions, a.saved) + column;
  float sum = 0.f;
  if (inside)
    for (i64 f = group; f < a.features; f += NORM_GROUPS) sum += x[f * a.x.row];
  float mean = column_sum(sum, sums) / float(a.features);
  float squares = 0.f;
  if (inside)
    for (i64 f = group; f < a.features; f += NORM_GROUPS) {
      float centred = x[f * a.x.row] - mean;
      squares += centred * centred;
    }
  float rstd = 1.f / sqrtf(column_sum(squares, sums) / float(a.features) + float(a.epsilon));
  if (!inside) return;
  for (i64 f = group; f < a.features; f += NORM_GROUPS)
    y[f * a.y.row] = (x[f * a.x.row] - mean) * rstd * gain[f] + bias[f];
  if (group == 0) {
    saved[0] = mean;
    saved[a.saved.row] = rstd;
  }
}

// With n = (x - mean) rstd and g = gain dy: dx = rstd (g - mean(g) - n mean(g n)).
KERNEL layer_norm_gradient(Regions regions, layer_norm_gradient_arguments a) {
  __shared__ float sums[NORM_GROUPS][NORM_COLUMNS];
  i64 column = i64(blockIdx.x) * NORM_COLUMNS + threadIdx.x % NORM_COLUMNS;
  i64 group = threadIdx.x / NORM_COLUMNS;
  bool inside = column < a.columns;
  const float *x = at(regions, a.x) + column, *dy = at(regions, a.dy) + column, *gain = at(regions, a.gain);
  const float* saved = at(regions, a.saved) + column;
  float* dx = at(regions, a.dx) + column;
  float mean = 0.f, rstd = 0.f, sum_g = 0.f, sum_gn = 0.f;
  if (inside) {
    mean = saved[0];
    rstd = saved[a.saved.row];
    for (i64 f = group; f < a.features; f += NORM_GROUPS) {
      float g = dy[f * a.dy.row] * gain[f];
      sum_g += g;
      sum_gn += g * (x[f * a.x.row] - mean);
    }
  }
  float mean_g = column_sum(sum_g, sums) / float(a.features);
  float mean_gn = column_sum(sum_gn, sums) / float(a.features) * rstd;
  if (!inside) return;
  for (i64 f = group; f < a.features; f += NORM_GROUPS) {
    float n = (x[f * a.x.row] - mean) * rstd;
    put(dx + f * a.dx.row, rstd * (dy[f * a.dy.row] * gain[f] - mean_g - n * mean_gn), a.dx.add);
  }
}

// A warp for each feature.
KERNEL layer_norm_parameters(Regions regions, layer_norm_parameters_arguments a) {
  i64 feature = i64(blockIdx.x) * 8 + threadIdx.x / 32;
  if (feature >= a.features) return;
  u32 lane = threadIdx.x % 32;
  const float *x = at(regions, a.x) + feature * a.x.row, *dy = at(regions, a.dy) + feature * a.dy.row;
  const float* saved = at(regions, a.saved);
  float gain = 0.f, bias = 0.f;
  for (i64 i = lane; i < a.columns; i += 32) {
    gain += dy[i] * ((x[i] - saved[i]) * saved[a.saved.row + i]);
    bias += dy[i];
  }
  gain = warp_sum(gain);
  bias = warp_sum(bias);
  if (lane != 0) return;
  if (a.gain.at != NOWHERE) Destination(regions, a.gain).take(adam_of(regions, a.gain), feature, gain);
  if (a.bias.at != NOWHERE) Destination(regions, a.bias).take(adam_of(regions, a.bias), feature, bias);
}
