// Cross-entropy with its gradient.
//
// A block takes 16 columns; 32 groups of its threads share the vocabulary.
#pragma once

KERNEL cross_entropy(Regions regions, cross_entropy_arguments a) {
  __shared__ float rows[NORM_GROUPS][NORM_COLUMNS];
  int within = threadIdx.x % NORM_COLUMNS;
  i64 column = i64(blockIdx.x) * NORM_COLUMNS + within, group = threadIdx.x / NORM_COLUMNS;
  bool inside = column < a.columns;
  const float* logits = at(regions, a.logits) + column;
  float highest = LOWEST;
  if (inside)
    for (i64 v = group; v < a.vocabulary; v += NORM_GROUPS) {
      float logit = logits[v * a.logits.row];
      // A comparison that keeps NaN: a diverged run shows it.
      highest = highest > logit ? highest : logit;
    }
  rows[group][within] = highest;
  for (int half = NORM_GROUPS / 2; half > 0; half /= 2) {
    __syncthreads();
    if (group < half) {
      float other = rows[group + half][within], own = rows[group][within];
      rows[group][within] = own > other ? own : other;
    }
  }
  __syncthreads();
  highest = rows[0][within];
  float total = 0.f;
  if (inside)
    for (i64 v = group; v < a.vocabulary; v += NORM_GROUPS) total += expf(logits[v * a.logits.row] - highest);
  total = column_sum(total, rows);
  // A target that shares the highest logit with another does not rank first.
  float ties = 0.f;
  if (inside)
    for (i64 v = group; v < a.vocabulary; v += NORM_GROUPS) ties += logits[v * a.logits.row] == highest ? 1.f : 0.f;
  ties = column_sum(ties, rows);
  if (!inside) return;
  i64 target = ((const u32*)at(regions, a.targets))[column];
  float weight = at(regions, a.weights)[column];
  if (group == 0) {
    float gap = highest - logits[target * a.logits.row], nll = logf(total) + gap;
    float* out = at(regions, a.out) + column;
    out[0] = nll;
    out[a.out.row] = gap == 0.f && ties > 1.f ? LEAST_GAP : gap;
    out[2 * a.out.row] = nll;
  }
  if (a.gradient.at == NOWHERE) return;
  float* gradient = at(regions, a.gradient) + column;
  float factor = weight / total;
  for (i64 v = group; v < a.vocabulary; v += NORM_GROUPS) {
    float slope = expf(logits[v * a.logits.row] - highest) * factor;
    gradient[v * a.gradient.row] = v == target ? slope - weight : slope;
  }
}
