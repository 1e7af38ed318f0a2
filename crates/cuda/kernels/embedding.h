// Tables of tokens and positions.
#pragma once

KERNEL embedding(Regions regions, embedding_arguments a) {
  i64 column = i64(blockIdx.x) * 32 + threadIdx.x % 32, feature = i64(blockIdx.y) * 8 + threadIdx.x / 32;
  if (column >= a.columns || feature >= a.features) return;
  i64 token = ((const u32*)at(regions, a.tokens))[column];
  float value = at(regions, a.table)[token * a.table.row + feature];
  if (a.places.at != NOWHERE) {
    i64 position = a.first_position + column / a.lanes;
    value += at(regions, a.places)[position * a.places.row + feature];
  }
  at(regions, a.y)[feature * a.y.row + column] = value;
}

// A block for each row of the table: it adds the columns of its token, in their order.
KERNEL embedding_gradient(Regions regions, embedding_gradient_arguments a) {
  i64 token = blockIdx.x;
  const u32* tokens = (const u32*)at(regions, a.tokens);
  const float* dy = at(regions, a.dy);
  Destination table(regions, a.table);
  Adam adam = adam_of(regions, a.table);
  for (i64 f = threadIdx.x; f < a.features; f += 128) {
    float sum = 0.f;
    for (i64 column = 0; column < a.columns; column++)
      if (i64(tokens[column]) == token) sum += dy[f * a.dy.row + column];
    table.take(adam, token * a.table.row + f, sum);
  }
}

// A warp for each feature of a position.
KERNEL position_gradient(Regions regions, position_gradient_arguments a) {
  i64 feature = i64(blockIdx.x) * 8 + threadIdx.x / 32, row = blockIdx.y;
  if (feature >= a.features) return;
  u32 lane = threadIdx.x % 32;
  i64 position = row - a.first_position;
  float sum = 0.f;
  if (position >= 0 && position < a.positions) {
    const float* dy = at(regions, a.dy) + feature * a.dy.row + position * a.lanes;
    for (i64 i = lane; i < a.lanes; i += 32) sum += dy[i];
  }
  sum = warp_sum(sum);
  if (lane == 0) Destination(regions, a.table).take(adam_of(regions, a.table), row * a.table.row + feature, sum);
}

// A warp for each row: the gradient of a bias.
KERNEL row_sums(Regions regions, row_sums_arguments a) {
  int row = blockIdx.x * 8 + threadIdx.x / 32;
  if (row >= a.rows) return;
  u32 lane = threadIdx.x % 32;
  const float* x = row_of(regions, a.x, int(a.x_rows), row);
  float sum = 0.f;
  for (i64 i = lane; i < a.columns; i += 32) sum += x[i];
  sum = warp_sum(sum);
  if (lane == 0) Destination(regions, a.bias).take(adam_of(regions, a.bias), row, sum);
}
