// Operations on single numbers, and the beginning and the end of a step.
#pragma once

KERNEL begin_step(Regions regions, begin_step_arguments a) {
  const u32* done = (const u32*)at(regions, a.counter);
  const float* from = at(regions, a.table) + i64(*done) * a.length;
  float* to = at(regions, a.record);
  i64 i = i64(blockIdx.x) * 256 + threadIdx.x;
  if (i < a.length) to[i] = from[i];
}

KERNEL keep_output(Regions regions, keep_output_arguments a) {
  const u32* done = (const u32*)at(regions, a.counter);
  i64 column = i64(blockIdx.x) * 256 + threadIdx.x, row = blockIdx.y;
  if (column >= a.columns) return;
  float* to = at(regions, a.table) + i64(*done) * a.length + a.first;
  to[row * a.columns + column] = at(regions, a.value)[row * a.value.row + column];
}

KERNEL end_step(Regions regions, end_step_arguments a) {
  if (threadIdx.x == 0) *(u32*)at(regions, a.counter) += 1;
}

KERNEL clear(Regions regions, clear_arguments a) {
  float* values = at(regions, a.values);
  for (int k = 0; k < 4; k++) {
    i64 i = (i64(blockIdx.x) * 4 + k) * 256 + threadIdx.x;
    if (i < a.count) values[i] = 0.f;
  }
}

// Calls `work(row, column, factor)` for the numbers of a matrix with dropout's factors: a thread
// takes those that share a Philox counter, and two rows of threads a block of 128 numbers.
template <class Work>
__device__ __forceinline__ void with_factors(const Drops& drops, i64 rows, i64 columns, Work work) {
  i64 count = rows * columns;
  i64 block = i64(blockIdx.x) * 16 + threadIdx.x / 16;
  u32 lane = threadIdx.x % 16;
  i64 first = block * 128 + lane;
  if (first >= count) return;
  bool random = drops.threshold > 0;
  Words4 words = random ? drops.words(u32(block), lane) : Words4{0, 0, 0, 0};
#pragma unroll
  for (int i = 0; i < 8; i++) {
    i64 element = first + 16 * i;
    if (element < count) {
      u32 row = u32(element) / u32(columns), column = u32(element) - row * u32(columns);
      work(i64(row), i64(column), random ? drops.factor(words, i) : 1.f);
    }
  }
}

KERNEL dropout(Regions regions, dropout_arguments a) {
  const float* x = at(regions, a.x);
  float* y = at(regions, a.y);
  bool add = a.y.add;
  with_factors(Drops(regions, a.stream, a.threshold), a.rows, a.columns, [&](i64 row, i64 column, float factor) {
    put(y + row * a.y.row + column, x[row * a.x.row + column] * factor, add);
  });
}

KERNEL residual(Regions regions, residual_arguments a) {
  const float *x = at(regions, a.x), *branch = at(regions, a.branch);
  float* y = at(regions, a.y);
  with_factors(Drops(regions, a.stream, a.threshold), a.rows, a.columns, [&](i64 row, i64 column, float factor) {
    y[row * a.y.row + column] = x[row * a.x.row + column] + branch[row * a.branch.row + column] * factor;
  });
}

// Calls `work(row, column)` for the numbers of a matrix.
template <class Work>
__device__ __forceinline__ void for_each(i64 rows, i64 columns, Work work) {
#pragma unroll
  for (int k = 0; k < 4; k++) {
    i64 element = (i64(blockIdx.x) * 4 + k) * 256 + threadIdx.x;
    if (element < rows * columns) {
      u32 row = u32(element) / u32(columns);
      work(i64(row), i64(u32(element) - row * u32(columns)));
    }
  }
}

// y = x s(u) with u = a x + b x^3 and the logistic function s: the form with tanh of GPT-2.
KERNEL gelu(Regions regions, gelu_arguments a) {
  const float* x = at(regions, a.x);
  float *y = at(regions, a.y), *saved = at(regions, a.saved);
  const float A = 1.5957691216057308f, B = 0.0713548162726009f; // 2 sqrt(2/pi), and times 0.044715
  for_each(a.rows, a.columns, [&](i64 row, i64 column) {
    float z = x[row * a.x.row + column], square = z * z;
    float gate = 1.f / (1.f + expf(-(A + B * square) * z));
    float rise = (A + 3.f * B * square) * z;
    y[row * a.y.row + column] = z * gate;
    saved[row * a.saved.row + column] = gate + gate * (rise - gate * rise);
  });
}

KERNEL multiply(Regions regions, multiply_arguments a) {
  const float *factors = at(regions, a.factors), *dy = at(regions, a.dy);
  float* dx = at(regions, a.dx);
  bool add = a.dx.add;
  for_each(a.rows, a.columns, [&](i64 row, i64 column) {
    put(dx + row * a.dx.row + column, dy[row * a.dy.row + column] * factors[row * a.factors.row + column], add);
  });
}

// Pairs of neighbours are rotated by an angle that depends on the position.
KERNEL rotary(Regions regions, rotary_arguments a) {
  i64 column = i64(blockIdx.x) * 256 + threadIdx.x, feature = blockIdx.y;
  if (column >= a.live * a.lanes) return;
  i64 within = feature % a.width;
  const float* x = at(regions, a.x);
  float value = x[feature * a.x.row + column];
  if (within < a.rotated) {
    i64 position = a.first + column / a.lanes;
    const float* turn = at(regions, a.turns) + ((within / 2) * a.positions + position) * 2;
    bool first = within % 2 == 0;
    float partner = x[(first ? feature + 1 : feature - 1) * a.x.row + column];
    float sign = first == (a.back == 0) ? -1.f : 1.f;
    value = value * turn[0] + sign * turn[1] * partner;
  }
  put(at(regions, a.y) + feature * a.y.row + column, value, a.y.add);
}

KERNEL select_positions(Regions regions, select_positions_arguments a) {
  i64 column = i64(blockIdx.x) * 256 + threadIdx.x, feature = blockIdx.y;
  if (column >= a.count * a.lanes) return;
  i64 from = ((const u32*)at(regions, a.from))[column / a.lanes];
  float value = at(regions, a.x)[feature * a.x.row + from * a.lanes + column % a.lanes];
  put(at(regions, a.y) + feature * a.y.row + column, value, a.y.add);
}

KERNEL adamw(Regions regions, adamw_arguments a) {
  Destination weight(regions, a.weight);
  Adam adam = adam_of(regions, a.weight);
  const float* gradient = at(regions, a.gradient);
  for (int k = 0; k < 4; k++) {
    i64 i = (i64(blockIdx.x) * 4 + k) * 256 + threadIdx.x;
    if (i < a.count) weight.take(adam, i, gradient[i]);
  }
}
