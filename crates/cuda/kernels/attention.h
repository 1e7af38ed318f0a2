// Attention over a few positions.
//
// A block takes a head and 32 lanes (examples); eight groups of its threads share the features of
// the head. Scores are sums over the groups, in order.
#pragma once

#define ATTENTION_LANES 32
#define ATTENTION_GROUPS 8

// Sums over the groups of a lane, in their order; all threads get the sum of their lane.
__device__ __forceinline__ float lane_sum(float x, float (*sums)[ATTENTION_LANES]) {
  int lane = threadIdx.x % ATTENTION_LANES, group = threadIdx.x / ATTENTION_LANES;
  __syncthreads();
  sums[group][lane] = x;
  __syncthreads();
  float sum = 0.f;
#pragma unroll
  for (int i = 0; i < ATTENTION_GROUPS; i++) sum += sums[i][lane];
  return sum;
}

// The number of keys that query i sees: the queries are the last positions of the keys.
__device__ __forceinline__ i64 seen(i64 causal, i64 queries, i64 keys, i64 i) {
  return causal ? keys - queries + i + 1 : keys;
}

KERNEL attention(Regions regions, attention_arguments a) {
  __shared__ float sums[ATTENTION_GROUPS][ATTENTION_LANES];
  i64 lane = i64(blockIdx.x) * ATTENTION_LANES + threadIdx.x % ATTENTION_LANES, head = blockIdx.y;
  i64 group = threadIdx.x / ATTENTION_LANES;
  bool inside = lane < a.lanes;
  i64 column = inside ? lane : 0;
  const float *q = at(regions, a.q) + column, *k = at(regions, a.k) + column, *v = at(regions, a.v) + column;
  const float* mask = a.mask.at == NOWHERE ? nullptr : at(regions, a.mask) + column;
  float *y = at(regions, a.y) + column, *saved = at(regions, a.saved) + column;
  Drops drops(regions, a.stream, a.threshold);
  i64 first = head * a.width;
  float scale = 1.f / sqrtf(float(a.width));
  for (i64 i = 0; i < a.queries; i++) {
    i64 row = (head * a.queries + i) * a.keys, keys = seen(a.causal, a.queries, a.keys, i);
    float highest = LOWEST;
    for (i64 j = 0; j < keys; j++) {
      float part = 0.f;
      for (i64 f = first + group; f < first + a.width; f += ATTENTION_GROUPS)
        part += q[f * a.q.row + i * a.lanes] * k[f * a.k.row + j * a.lanes];
      float score = lane_sum(part, sums) * scale;
      bool shown = mask == nullptr || mask[j * a.lanes] > 0.f;
      if (shown) highest = highest > score ? highest : score;
      if (group == 0 && inside) saved[(row + j) * a.saved.row] = score;
    }
    // The first group wrote the scores, each thread those of its lane.
    if (group == 0 && inside) {
      auto power = [&](i64 j) {
        bool shown = mask == nullptr || mask[j * a.lanes] > 0.f;
        return shown ? expf(saved[(row + j) * a.saved.row] - highest) : 0.f;
      };
      float total = 0.f;
      for (i64 j = 0; j < keys; j++) total += power(j);
      if (!(total > 0.f) && mask != nullptr) total = 1.f;
      for (i64 j = 0; j < keys; j++) saved[(row + j) * a.saved.row] = power(j) / total;
    }
    __syncthreads();
    if (inside)
      for (i64 f = first + group; f < first + a.width; f += ATTENTION_GROUPS) {
        float sum = 0.f;
        for (i64 j = 0; j < keys; j++) {
          float p = saved[(row + j) * a.saved.row] * drops.of((row + j) * a.lanes + column);
          sum += p * v[f * a.v.row + j * a.lanes];
        }
        y[f * a.y.row + i * a.lanes] = sum;
      }
  }
}

// With dropout's factors d: dp = d * sum(dy v), ds = p (dp - sum(p dp)) / sqrt(width), dq = ds k,
// dk = ds q, dv = d p dy.
KERNEL attention_gradient(Regions regions, attention_gradient_arguments a) {
  __shared__ float sums[ATTENTION_GROUPS][ATTENTION_LANES];
  // The gradients of the scores of each query and key; the engine lowers no more pairs than fit.
  __shared__ float scores[RETRODICT_ATTENTION_PAIRS * ATTENTION_LANES];
  i64 lane = i64(blockIdx.x) * ATTENTION_LANES + threadIdx.x % ATTENTION_LANES, head = blockIdx.y;
  i64 group = threadIdx.x / ATTENTION_LANES;
  bool inside = lane < a.lanes;
  i64 column = inside ? lane : 0;
  int own = threadIdx.x % ATTENTION_LANES;
  const float *q = at(regions, a.q) + column, *k = at(regions, a.k) + column, *v = at(regions, a.v) + column;
  const float *dy = at(regions, a.dy) + column, *saved = at(regions, a.saved) + column;
  Drops drops(regions, a.stream, a.threshold);
  i64 first = head * a.width;
  float scale = 1.f / sqrtf(float(a.width));
  for (i64 i = 0; i < a.queries; i++) {
    i64 row = (head * a.queries + i) * a.keys, keys = seen(a.causal, a.queries, a.keys, i);
    float mean = 0.f;
    for (i64 j = 0; j < a.keys; j++) {
      float part = 0.f;
      if (j < keys)
        for (i64 f = first + group; f < first + a.width; f += ATTENTION_GROUPS)
          part += dy[f * a.dy.row + i * a.lanes] * v[f * a.v.row + j * a.lanes];
      float dp = lane_sum(part, sums);
      if (j < keys) {
        dp *= drops.of((row + j) * a.lanes + column);
        mean += saved[(row + j) * a.saved.row] * dp;
      }
      if (group == 0) scores[(i * a.keys + j) * ATTENTION_LANES + own] = j < keys ? dp : 0.f;
    }
    __syncthreads();
    if (group == 0)
      for (i64 j = 0; j < keys; j++) {
        float* s = scores + (i * a.keys + j) * ATTENTION_LANES + own;
        *s = saved[(row + j) * a.saved.row] * (*s - mean) * scale;
      }
  }
  __syncthreads();
  if (!inside) return;
  for (i64 f = first + group; f < first + a.width; f += ATTENTION_GROUPS) {
    if (a.dq.at != NOWHERE)
      for (i64 i = 0; i < a.queries; i++) {
        float sum = 0.f;
        i64 keys = seen(a.causal, a.queries, a.keys, i);
        for (i64 j = 0; j < keys; j++)
          sum += scores[(i * a.keys + j) * ATTENTION_LANES + own] * k[f * a.k.row + j * a.lanes];
        put(at(regions, a.dq) + f * a.dq.row + i * a.lanes + column, sum, a.dq.add);
      }
    for (i64 j = 0; j < a.keys; j++) {
      float dk = 0.f, dv = 0.f;
      for (i64 i = 0; i < a.queries; i++) {
        if (j >= seen(a.causal, a.queries, a.keys, i)) continue;
        i64 row = (head * a.queries + i) * a.keys + j;
        dk += scores[(i * a.keys + j) * ATTENTION_LANES + own] * q[f * a.q.row + i * a.lanes];
        dv += saved[row * a.saved.row] * drops.of(row * a.lanes + column) * dy[f * a.dy.row + i * a.lanes];
      }
      if (a.dk.at != NOWHERE) put(at(regions, a.dk) + f * a.dk.row + j * a.lanes + column, dk, a.dk.add);
      if (a.dv.at != NOWHERE) put(at(regions, a.dv) + f * a.dv.row + j * a.lanes + column, dv, a.dv.add);
    }
  }
}
