// Tests of all kernels under the emulator, each against its formula in double precision.
//
//     g++ -O2 -std=c++17 -march=native -ffp-contract=off -fno-strict-aliasing -DRETRODICT_EMULATOR
//         -o kernels_test kernels_test.cpp
//     ./kernels_test [PART]
//
// PART leaves out the cases whose names do not contain it. -march=native is for fmaf: without it
// each is a call. With -fsanitize=address,undefined -fno-sanitize-recover=undefined it also finds
// indices out of the bounds of shared memory and vectors that are not aligned; build it so after
// larger changes of kernels. Grids and blocks are those of the table in the engine's
// lower/kernel.rs.
#include "kernel_case.h"

const i64 FEATURES[] = {1, 3, 17}, COLUMNS[] = {16, 48, 128};
const Store STORES[] = {WRITE, ADD, STEP, STEP_WITHOUT_DECAY};

// --- Beginning and end of a step ---

static void steps() {
  {
    Case c("begin_step");
    const i64 length = 300;
    u64 counter = c.area(COUNTER, 1, 1, 1, 0, whole(3));
    u64 table = c.area(TABLE, 3, length, length, 0, numbers());
    c.area(RECORD, 1, length - 16, length, -1, numbers());
    begin_step_arguments a = {{place_of(RECORD, 0), length, 0}, {table, length}, {counter, 1}, length};
    c.run(begin_step, a, over(length, 256), 1, 256, [&](Reference& r) {
      i64 done = r.bits(counter);
      for (i64 i = 0; i < length; i++) r.write_exactly(place_of(RECORD, u64(i)), r.read(table + u64(done * length + i)));
    });
  }
  for (i64 rows : FEATURES)
    for (i64 columns : {16, 300}) {
      Case c(named("keep_output", rows, columns));
      const i64 first = 7, length = rows * columns + 19;
      u64 counter = c.area(COUNTER, 1, 1, 1, 0, whole(3));
      Matrix x = c.matrix(rows, columns);
      u64 table = c.area(OUTPUTS, 3, length, length, 0, numbers());
      keep_output_arguments a = {x, {table, length, 0}, {counter, 1}, rows, columns, first, length};
      c.run(keep_output, a, over(columns, 256), rows, 256, [&](Reference& r) {
        u64 to = table + u64(r.bits(counter) * length + first);
        for (i64 i = 0; i < rows; i++)
          for (i64 j = 0; j < columns; j++) r.write_exactly(to + u64(i * columns + j), r.read(x, i, j));
      });
    }
  {
    Case c("end_step");
    u64 counter = c.area(COUNTER, 1, 1, 1, 0, whole(100));
    end_step_arguments a = {{counter, 1, 0}};
    c.run(end_step, a, 1, 1, 32, [&](Reference& r) { r.write_exactly(counter, of_bits(r.bits(counter) + 1)); });
  }
  for (i64 count : {1, 1023, 1025, 3000}) {
    Case c(named("clear", count));
    Matrix x = c.row(count, GRADIENTS);
    clear_arguments a = {{x.at, count, 0}, count};
    c.run(clear, a, over(count, 1024), 1, 256, [&](Reference& r) {
      for (i64 i = 0; i < count; i++) r.write_exactly(x.at + u64(i), 0.f);
    });
  }
}

// --- Tables ---

static void tables() {
  for (i64 features : FEATURES)
    for (i64 lanes : {16, 48})
      for (bool places : {false, true}) {
        const i64 positions = 3, columns = positions * lanes, vocabulary = 11, first = 2;
        Case c(named("embedding", features, lanes, places));
        Matrix tokens = c.row(columns, RECORD, whole(unsigned(vocabulary)));
        Matrix table = {c.area(PARAMETERS, vocabulary, features, features + 2, 5, numbers()), features + 2};
        Matrix of_places = {c.area(PARAMETERS, first + positions, features, features + 1, 1, numbers()), features + 1};
        Put y = c.put_to(features, columns);
        embedding_arguments a = {tokens, table, places ? of_places : NO_MATRIX, y, features, columns, lanes, first};
        c.run(embedding, a, over(columns, 32), over(features, 8), 256, [&](Reference& r) {
          for (i64 f = 0; f < features; f++)
            for (i64 j = 0; j < columns; j++) {
              double x = r.read(table, r.bits(tokens.at + u64(j)), f);
              if (places) x += r.read(of_places, first + j / lanes, f);
              r.write(y, f, j, x, 1e-6);
            }
        });
      }
  for (i64 features : {1, 17, 150})
    for (i64 columns : COLUMNS)
      for (Store store : STORES) {
        const i64 rows = 5;
        Case c(named("embedding_gradient", features, columns, store));
        // Some tokens are not in the table: another part of the vocabulary.
        Matrix tokens = c.row(columns, RECORD, whole(7)), dy = c.matrix(features, columns);
        Target table = c.target(rows, features, features + 3, 5, store);
        embedding_gradient_arguments a = {tokens, dy, table, rows, features, columns};
        c.run(embedding_gradient, a, rows, 1, 128, [&](Reference& r) {
          for (i64 t = 0; t < rows; t++)
            for (i64 f = 0; f < features; f++) {
              double sum = 0;
              for (i64 j = 0; j < columns; j++)
                if (r.bits(tokens.at + u64(j)) == t) sum += r.read(dy, f, j);
              r.take(table, t * table.row + f, sum, 1e-5);
            }
        });
      }
  for (i64 features : FEATURES)
    for (i64 lanes : {16, 48})
      for (Store store : STORES) {
        const i64 rows = 6, first = 2, positions = 3;
        Case c(named("position_gradient", features, lanes, store));
        Matrix dy = c.matrix(features, positions * lanes);
        Target table = c.target(rows, features, features, 3, store);
        position_gradient_arguments a = {dy, table, rows, features, lanes, first, positions};
        c.run(position_gradient, a, over(features, 8), rows, 256, [&](Reference& r) {
          for (i64 i = 0; i < rows; i++)
            for (i64 f = 0; f < features; f++) {
              double sum = 0;
              if (i >= first && i < first + positions)
                for (i64 j = 0; j < lanes; j++) sum += r.read(dy, f, (i - first) * lanes + j);
              r.take(table, i * table.row + f, sum, 1e-5);
            }
        });
      }
  for (i64 rows : {1, 9, 34})
    for (i64 columns : COLUMNS)
      for (Store store : STORES)
        for (i64 parts : {1, 3}) {
          i64 each = over(rows, parts);
          Case c(named("row_sums", rows, columns, store, parts));
          row_sums_arguments a = {{{NO_MATRIX, NO_MATRIX, NO_MATRIX}}, {}, rows, columns, each};
          for (i64 i = 0; i < over(rows, each); i++) a.x.of[i] = c.matrix(each, columns);
          a.bias = c.target(1, rows, rows, 7, store);
          c.run(row_sums, a, over(rows, 8), 1, 256, [&](Reference& r) {
            for (i64 i = 0; i < rows; i++) {
              double sum = 0;
              for (i64 j = 0; j < columns; j++) sum += r.read(a.x.of[i / each], i % each, j);
              r.take(a.bias, i, sum, 1e-5);
            }
          });
        }
}

// --- Single numbers ---

// The factor of dropout for an element, from the definition in the engine's random.rs.
static double factor(Reference& r, i64 stream, i64 threshold, i64 element) {
  if (threshold == 0) return 1;
  auto of_record = [&](int entry) { return u64(r.bits(place_of(RECORD, u64(entry)))); };
  u64 counter[4] = {u64(element / 128 * 16 + element % 16), of_record(STEP_LOW),
                    (u64(stream) ^ of_record(STEP_HIGH) << 16) & 0xFFFFFFFF, 2};
  u64 key[2] = {of_record(SEED_LOW), of_record(SEED_HIGH)};
  for (int round = 0; round < 10; round++) {
    u64 low = 0xD2511F53ull * counter[0], high = 0xCD9E8D57ull * counter[2];
    counter[0] = (high >> 32) ^ counter[1] ^ key[0];
    counter[1] = high & 0xFFFFFFFF;
    counter[2] = (low >> 32) ^ counter[3] ^ key[1];
    counter[3] = low & 0xFFFFFFFF;
    key[0] = (key[0] + 0x9E3779B9) & 0xFFFFFFFF;
    key[1] = (key[1] + 0xBB67AE85) & 0xFFFFFFFF;
  }
  i64 i = element % 128 / 16;
  return i64(counter[i / 2] >> (16 * (i % 2)) & 0xFFFF) < threshold ? 0 : 65536. / double(65536 - threshold);
}

static void single_numbers() {
  for (i64 rows : FEATURES)
    for (i64 columns : COLUMNS) {
      for (i64 threshold : {0, 6554, 40000}) {
        const i64 stream = 5;
        for (bool add : {false, true}) {
          Case c(named("dropout", rows, columns, threshold, add));
          Matrix x = c.matrix(rows, columns);
          Put y = c.put_to(rows, columns, add);
          dropout_arguments a = {x, y, rows, columns, stream, threshold};
          c.run(dropout, a, over(rows * columns, 2048), 1, 256, [&](Reference& r) {
            for (i64 i = 0; i < rows; i++)
              for (i64 j = 0; j < columns; j++)
                r.write(y, i, j, r.read(x, i, j) * factor(r, stream, threshold, i * columns + j), 1e-6);
          });
        }
        Case c(named("residual", rows, columns, threshold));
        Matrix x = c.matrix(rows, columns), branch = c.matrix(rows, columns);
        Put y = c.put_to(rows, columns);
        residual_arguments a = {x, branch, y, rows, columns, stream, threshold};
        c.run(residual, a, over(rows * columns, 2048), 1, 256, [&](Reference& r) {
          for (i64 i = 0; i < rows; i++)
            for (i64 j = 0; j < columns; j++)
              r.write(y, i, j, r.read(x, i, j) + r.read(branch, i, j) * factor(r, stream, threshold, i * columns + j), 1e-6);
        });
      }
      {
        Case c(named("gelu", rows, columns));
        Matrix x = c.matrix(rows, columns, [](Random& random) { return 6 * random.number(); });
        Put y = c.put_to(rows, columns), saved = c.put_to(rows, columns);
        gelu_arguments a = {x, y, saved, rows, columns};
        c.run(gelu, a, over(rows * columns, 1024), 1, 256, [&](Reference& r) {
          // z / 2 (1 + tanh(w)), with w = sqrt(2/pi) (z + 0.044715 z^3).
          const double s = sqrt(2 / M_PI);
          for (i64 i = 0; i < rows; i++)
            for (i64 j = 0; j < columns; j++) {
              double z = r.read(x, i, j), t = tanh(s * (z + 0.044715 * z * z * z));
              double slope = 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * s * (1 + 3 * 0.044715 * z * z);
              r.write(y, i, j, 0.5 * z * (1 + t), 4e-6);
              r.write(saved, i, j, slope, 4e-6);
            }
        });
      }
      for (bool add : {false, true}) {
        Case c(named("multiply", rows, columns, add));
        Matrix factors = c.matrix(rows, columns), dy = c.matrix(rows, columns);
        Put dx = c.put_to(rows, columns, add);
        multiply_arguments a = {factors, dy, dx, rows, columns};
        c.run(multiply, a, over(rows * columns, 1024), 1, 256, [&](Reference& r) {
          for (i64 i = 0; i < rows; i++)
            for (i64 j = 0; j < columns; j++) r.write(dx, i, j, double(r.read(factors, i, j)) * r.read(dy, i, j), 1e-6);
        });
      }
    }
  for (Store store : {STEP, STEP_WITHOUT_DECAY})
    for (i64 count : {1, 1023, 1025, 2500}) {
      Case c(named("adamw", count, store));
      Target weight = c.target(1, count, count, 1, store);
      adamw_arguments a = {weight, {place_of(GRADIENTS, weight.at), count}, count};
      c.run(adamw, a, over(count, 1024), 1, 256, [&](Reference& r) {
        for (i64 i = 0; i < count; i++) r.take(weight, i, r.read(a.gradient, 0, i), 0);
      });
    }
}

// --- Positions ---

static void positions() {
  for (i64 lanes : {16, 48})
    for (i64 rotated : {0, 2, 4, 6})
      for (bool back : {false, true})
        for (bool add : {false, true}) {
          const i64 width = 6, heads = 3, features = heads * width, all = 7, first = 2, live = 4;
          Case c(named("rotary", lanes, rotated, back, add));
          Matrix x = c.matrix(features, live * lanes);
          Matrix turns = c.row(width / 2 * all * 2, CONSTANTS);
          Put y = c.put_to(features, live * lanes, add);
          rotary_arguments a = {x, turns, y, features, lanes, width, rotated, all, first, live, back};
          c.run(rotary, a, over(live * lanes, 256), features, 256, [&](Reference& r) {
            for (i64 f = 0; f < features; f++)
              for (i64 j = 0; j < live * lanes; j++) {
                i64 within = f % width;
                double out = r.read(x, f, j);
                if (within < rotated) {
                  u64 turn = turns.at + u64((within / 2 * all + first + j / lanes) * 2);
                  double cosine = r.read(turn), sine = back ? -r.read(turn + 1) : r.read(turn + 1);
                  out = within % 2 == 0 ? out * cosine - r.read(x, f + 1, j) * sine : out * cosine + r.read(x, f - 1, j) * sine;
                }
                r.write(y, f, j, out, 1e-6);
              }
          });
        }
  for (i64 features : FEATURES)
    for (i64 lanes : {16, 112})
      for (bool add : {false, true}) {
        const i64 count = 3, all = 5;
        Case c(named("select_positions", features, lanes, add));
        Matrix x = c.matrix(features, all * lanes), from = c.row(count, CONSTANTS, whole(5));
        Put y = c.put_to(features, count * lanes, add);
        select_positions_arguments a = {x, from, y, features, lanes, count};
        c.run(select_positions, a, over(count * lanes, 256), features, 256, [&](Reference& r) {
          for (i64 f = 0; f < features; f++)
            for (i64 j = 0; j < count * lanes; j++)
              r.write(y, f, j, r.read(x, f, r.bits(from.at + u64(j / lanes)) * lanes + j % lanes), 1e-6);
        });
      }
}

// --- Layer normalisation ---

static void normalisation() {
  const double epsilon = 1e-3;
  for (i64 features : {1, 3, 17, 70})
    for (i64 columns : COLUMNS) {
      {
        Case c(named("layer_norm", features, columns));
        Matrix x = c.matrix(features, columns), gain = c.row(features), bias = c.row(features);
        Put y = c.put_to(features, columns), saved = c.put_to(2, columns);
        layer_norm_arguments a = {x, gain, bias, y, saved, features, columns, epsilon};
        c.run(layer_norm, a, over(columns, 16), 1, 512, [&](Reference& r) {
          for (i64 j = 0; j < columns; j++) {
            double mean = 0, variance = 0;
            for (i64 f = 0; f < features; f++) mean += r.read(x, f, j) / double(features);
            for (i64 f = 0; f < features; f++) variance += pow(r.read(x, f, j) - mean, 2) / double(features);
            double rstd = 1 / sqrt(variance + epsilon);
            r.write(saved, 0, j, mean, 1e-6);
            r.write(saved, 1, j, rstd, 1e-5 * rstd);
            for (i64 f = 0; f < features; f++)
              r.write(y, f, j, (r.read(x, f, j) - mean) * rstd * r.read(gain, 0, f) + r.read(bias, 0, f), 3e-5);
          }
        });
      }
      for (bool add : {false, true}) {
        Case c(named("layer_norm_gradient", features, columns, add));
        Matrix x = c.matrix(features, columns), dy = c.matrix(features, columns), gain = c.row(features);
        Matrix saved = c.matrix(2, columns, positive());
        Put dx = c.put_to(features, columns, add);
        layer_norm_gradient_arguments a = {x, dy, gain, saved, dx, features, columns};
        c.run(layer_norm_gradient, a, over(columns, 16), 1, 512, [&](Reference& r) {
          for (i64 j = 0; j < columns; j++) {
            double mean = r.read(saved, 0, j), rstd = r.read(saved, 1, j), of_g = 0, of_gn = 0;
            auto n = [&](i64 f) { return (r.read(x, f, j) - mean) * rstd; };
            auto g = [&](i64 f) { return double(r.read(dy, f, j)) * r.read(gain, 0, f); };
            for (i64 f = 0; f < features; f++) of_g += g(f) / double(features), of_gn += g(f) * n(f) / double(features);
            for (i64 f = 0; f < features; f++) r.write(dx, f, j, rstd * (g(f) - of_g - n(f) * of_gn), 1e-4);
          }
        });
      }
      for (Store store : STORES)
        for (int which : {1, 2, 3}) {
          Case c(named("layer_norm_parameters", features, columns, store, which));
          Matrix x = c.matrix(features, columns), dy = c.matrix(features, columns), saved = c.matrix(2, columns, positive());
          Target gain = which & 1 ? c.target(1, features, features, 1, store) : NO_TARGET;
          Target bias = which & 2 ? c.target(1, features, features, 2, store) : NO_TARGET;
          layer_norm_parameters_arguments a = {x, dy, saved, gain, bias, features, columns};
          c.run(layer_norm_parameters, a, over(features, 8), 1, 256, [&](Reference& r) {
            for (i64 f = 0; f < features; f++) {
              double of_gain = 0, of_bias = 0;
              for (i64 j = 0; j < columns; j++) {
                of_gain += r.read(dy, f, j) * (r.read(x, f, j) - double(r.read(saved, 0, j))) * r.read(saved, 1, j);
                of_bias += r.read(dy, f, j);
              }
              if (which & 1) r.take(gain, f, of_gain, 1e-4);
              if (which & 2) r.take(bias, f, of_bias, 1e-5);
            }
          });
        }
    }
}

// --- Cross-entropy ---

static void loss() {
  for (i64 vocabulary : {1, 3, 17, 100})
    for (i64 columns : COLUMNS)
      for (int which = 0; which < 4; which++) {
        // Of whole numbers many are equal.
        bool with_gradient = which & 1, ties = which & 2;
        Case c(named("cross_entropy", vocabulary, columns, which));
        Matrix logits = c.matrix(vocabulary, columns, [ties](Random& random) {
          float number = 8 * random.number();
          return ties ? rintf(number / 4) : number;
        });
        Matrix targets = c.row(columns, RECORD, whole(unsigned(vocabulary))), weights = c.row(columns, RECORD);
        Put out = c.put_to(3, columns), gradient = with_gradient ? c.put_to(vocabulary, columns) : NO_PUT;
        cross_entropy_arguments a = {logits, targets, weights, out, gradient, vocabulary, columns};
        c.run(cross_entropy, a, over(columns, 16), 1, 512, [&](Reference& r) {
          for (i64 j = 0; j < columns; j++) {
            double highest = -INFINITY, total = 0, weight = r.read(weights, 0, j);
            for (i64 v = 0; v < vocabulary; v++) highest = fmax(highest, r.read(logits, v, j));
            for (i64 v = 0; v < vocabulary; v++) total += exp(r.read(logits, v, j) - highest);
            i64 target = r.bits(targets.at + u64(j));
            double gap = highest - r.read(logits, target, j);
            bool tied = false;
            for (i64 v = 0; v < vocabulary; v++) tied |= v != target && r.read(logits, v, j) == highest;
            r.write(out, 0, j, log(total) + gap, 1e-5);
            // Differences of whole numbers are exact, and a tie is the least positive number.
            if (ties) r.write_exactly(out.at + u64(out.row + j), gap == 0 && tied ? 0x1p-126f : float(gap));
            else r.write(out, 1, j, gap, 1e-6);
            r.write(out, 2, j, log(total) + gap, 1e-5);
            if (with_gradient)
              for (i64 v = 0; v < vocabulary; v++)
                r.write(gradient, v, j, weight * (exp(r.read(logits, v, j) - highest) / total - (v == target)), 1e-6);
          }
        });
      }
}

// --- Attention ---

struct AttentionShape {
  i64 heads, width, queries, keys, lanes;
};
const AttentionShape ATTENTION_SHAPES[] = {{1, 1, 1, 1, 16}, {2, 3, 3, 3, 16}, {1, 17, 2, 5, 48}, {3, 8, 1, 4, 48}};

static void attentions() {
  for (const AttentionShape& s : ATTENTION_SHAPES)
    for (bool causal : {false, true})
      for (i64 threshold : {0, 20000})
        for (bool masked : {false, true}) {
          const i64 features = s.heads * s.width, stream = 3;
          auto seen_of = [&](i64 i) { return causal ? s.keys - s.queries + i + 1 : s.keys; };
          double scale = 1 / sqrt(double(s.width));
          {
            Case c(named("attention", s.heads, s.width, s.queries, s.keys, s.lanes, causal, threshold, masked));
            Matrix q = c.matrix(features, s.queries * s.lanes), k = c.matrix(features, s.keys * s.lanes);
            Matrix v = c.matrix(features, s.keys * s.lanes);
            // Now and then nothing is to be seen.
            Matrix mask = c.row(s.keys * s.lanes, RECORD, [](Random& random) { return random.below(2) ? 1.f : 0.f; });
            Put y = c.put_to(features, s.queries * s.lanes), saved = c.put_to(s.heads * s.queries * s.keys, s.lanes);
            attention_arguments a = {q, k, v, masked ? mask : NO_MATRIX, y, saved, s.heads, s.width, s.queries, s.keys,
                                     s.lanes, causal, stream, threshold};
            c.run(attention, a, over(s.lanes, 32), s.heads, 256, [&](Reference& r) {
              for (i64 h = 0; h < s.heads; h++)
                for (i64 i = 0; i < s.queries; i++)
                  for (i64 lane = 0; lane < s.lanes; lane++) {
                    std::vector<double> p(size_t(seen_of(i)));
                    double total = 0;
                    for (size_t j = 0; j < p.size(); j++) {
                      double score = 0;
                      for (i64 f = h * s.width; f < (h + 1) * s.width; f++)
                        score += double(r.read(q, f, i * s.lanes + lane)) * r.read(k, f, i64(j) * s.lanes + lane);
                      p[j] = masked && r.read(mask, 0, i64(j) * s.lanes + lane) == 0 ? 0 : exp(score * scale);
                      total += p[j];
                    }
                    if (total == 0) total = 1;
                    i64 row = (h * s.queries + i) * s.keys;
                    for (size_t j = 0; j < p.size(); j++) r.write(saved, row + i64(j), lane, p[j] /= total, 2e-6);
                    for (i64 f = h * s.width; f < (h + 1) * s.width; f++) {
                      double sum = 0;
                      for (size_t j = 0; j < p.size(); j++)
                        sum += p[j] * factor(r, stream, threshold, (row + i64(j)) * s.lanes + lane) *
                               r.read(v, f, i64(j) * s.lanes + lane);
                      r.write(y, f, i * s.lanes + lane, sum, 1e-5);
                    }
                  }
            });
          }
          if (masked) continue; // the gradient has the probabilities, and no mask
          for (int which : {1, 2, 4, 7})
            for (bool add : {false, true}) {
              Case c(named("attention_gradient", s.heads, s.width, s.queries, s.keys, s.lanes, causal, threshold, which, add));
              Matrix q = c.matrix(features, s.queries * s.lanes), k = c.matrix(features, s.keys * s.lanes);
              Matrix v = c.matrix(features, s.keys * s.lanes), dy = c.matrix(features, s.queries * s.lanes);
              Matrix saved = c.matrix(s.heads * s.queries * s.keys, s.lanes, [](Random& random) { return 0.5f + 0.5f * random.number(); });
              Put dq = which & 1 ? c.put_to(features, s.queries * s.lanes, add) : NO_PUT;
              Put dk = which & 2 ? c.put_to(features, s.keys * s.lanes, add) : NO_PUT;
              Put dv = which & 4 ? c.put_to(features, s.keys * s.lanes, add) : NO_PUT;
              attention_gradient_arguments a = {q, k, v, dy, saved, dq, dk, dv, s.heads, s.width, s.queries, s.keys,
                                                s.lanes, causal, stream, threshold};
              c.run(attention_gradient, a, over(s.lanes, 32), s.heads, 256, [&](Reference& r) {
                for (i64 h = 0; h < s.heads; h++)
                  for (i64 lane = 0; lane < s.lanes; lane++) {
                    // The gradients of the scores, and the probabilities after dropout.
                    std::vector<double> ds(size_t(s.queries * s.keys)), kept(ds.size());
                    for (i64 i = 0; i < s.queries; i++) {
                      double mean = 0;
                      std::vector<double> dp(size_t(seen_of(i)));
                      i64 row = (h * s.queries + i) * s.keys;
                      for (size_t j = 0; j < dp.size(); j++) {
                        for (i64 f = h * s.width; f < (h + 1) * s.width; f++)
                          dp[j] += double(r.read(dy, f, i * s.lanes + lane)) * r.read(v, f, i64(j) * s.lanes + lane);
                        double d = factor(r, stream, threshold, (row + i64(j)) * s.lanes + lane);
                        dp[j] *= d;
                        kept[size_t(i * s.keys) + j] = d * r.read(saved, row + i64(j), lane);
                        mean += r.read(saved, row + i64(j), lane) * dp[j];
                      }
                      for (size_t j = 0; j < dp.size(); j++)
                        ds[size_t(i * s.keys) + j] = r.read(saved, row + i64(j), lane) * (dp[j] - mean) * scale;
                    }
                    for (i64 f = h * s.width; f < (h + 1) * s.width; f++) {
                      if (which & 1)
                        for (i64 i = 0; i < s.queries; i++) {
                          double sum = 0;
                          for (i64 j = 0; j < s.keys; j++) sum += ds[size_t(i * s.keys + j)] * r.read(k, f, j * s.lanes + lane);
                          r.write(dq, f, i * s.lanes + lane, sum, 5e-5);
                        }
                      for (i64 j = 0; j < s.keys; j++) {
                        double of_k = 0, of_v = 0;
                        for (i64 i = 0; i < s.queries; i++) {
                          of_k += ds[size_t(i * s.keys + j)] * r.read(q, f, i * s.lanes + lane);
                          of_v += kept[size_t(i * s.keys + j)] * r.read(dy, f, i * s.lanes + lane);
                        }
                        if (which & 2) r.write(dk, f, j * s.lanes + lane, of_k, 5e-5);
                        if (which & 4) r.write(dv, f, j * s.lanes + lane, of_v, 5e-5);
                      }
                    }
                  }
              });
            }
        }
}

// --- Products ---

struct ProductShape {
  i64 rows, columns, k;
};
const ProductShape PRODUCT_SHAPES[] = {{1, 16, 1}, {3, 48, 17}, {17, 128, 3}, {65, 16, 66}, {70, 144, 130}, {129, 48, 64}};

// C = A B, for either layout of A, an offset of it, and B and C in parts.
template <class Arguments>
static void product(const char* name, void (*kernel)(Regions, Arguments), i64 tile_columns, bool rounds) {
  for (const ProductShape& s : PRODUCT_SHAPES)
    for (bool contiguous : {true, false})
      for (i64 offset : {0, 1})
        for (i64 parts : {1, 3})
          for (int mode : {0, 1, 2}) { // overwrite, with a bias, add
            if (!rounds && (offset == 1) != (parts == 3)) continue; // half of the cases will do
            Case c(named(name, s.rows, s.columns, s.k, contiguous, offset, parts, mode));
            i64 length = contiguous ? s.k : s.rows, stride = (length + 3) / 4 * 4 + offset;
            u64 at = c.area(PARAMETERS, contiguous ? s.rows : s.k, length, stride, offset, numbers());
            Arguments a = {};
            a.a = {at, stride};
            a.a_row = contiguous ? stride : 1;
            a.a_k = contiguous ? 1 : stride;
            a.rows = s.rows, a.columns = s.columns, a.k = s.k;
            a.b_rows = over(s.k, parts), a.c_rows = over(s.rows, parts);
            a.bias = mode == 1 ? c.row(s.rows) : NO_MATRIX;
            for (i64 i = 0; i < 3; i++) {
              a.b.of[i] = i * a.b_rows < s.k ? c.matrix(a.b_rows, s.columns) : NO_MATRIX;
              a.c.of[i] = i * a.c_rows < s.rows ? c.put_to(a.c_rows, s.columns, mode == 2) : NO_PUT;
            }
            auto rounded = [&](float x) { return rounds ? bf16(x) : double(x); };
            c.run(kernel, a, over(s.rows, 64), over(s.columns, tile_columns), 256, [&](Reference& r) {
              for (i64 m = 0; m < s.rows; m++)
                for (i64 n = 0; n < s.columns; n++) {
                  double sum = mode == 1 ? r.read(a.bias, 0, m) : 0;
                  for (i64 k = 0; k < s.k; k++)
                    sum += rounded(r.read(at + u64(m * a.a_row + k * a.a_k))) * rounded(r.read(a.b.of[k / a.b_rows], k % a.b_rows, n));
                  r.write(a.c.of[m / a.c_rows], m % a.c_rows, n, sum, 2e-6 * sqrt(double(s.k)) + 2e-6);
                }
            });
          }
}

const ProductShape GRADIENT_SHAPES[] = {{1, 1, 16}, {3, 17, 48}, {17, 3, 128}, {65, 68, 144}, {68, 132, 16}, {70, 64, 272}};

// dW = L R^T, for all stores, offsets that float4 can and cannot read, and R in parts.
template <class Arguments>
static void weight_gradient(const char* name, void (*kernel)(Regions, Arguments), unsigned threads, bool rounds) {
  for (const ProductShape& s : GRADIENT_SHAPES)
    for (Store store : STORES)
      for (i64 offset : {0, 1})
        for (i64 parts : {1, 3}) {
          if (!rounds && (offset == 1) != (parts == 3)) continue;
          Case c(named(name, s.rows, s.columns, s.k, store, offset, parts));
          Arguments a = {};
          a.rows = s.rows, a.columns = s.columns, a.k = s.k, a.r_rows = over(s.columns, parts);
          a.left = c.matrix(s.rows, s.k);
          for (i64 i = 0; i < 3; i++) a.right.of[i] = i * a.r_rows < s.columns ? c.matrix(a.r_rows, s.k) : NO_MATRIX;
          a.weight = c.target(s.rows, s.columns, (s.columns + 3) / 4 * 4 + offset, offset, store);
          auto rounded = [&](float x) { return rounds ? bf16(x) : double(x); };
          c.run(kernel, a, over(s.columns, 64), over(s.rows, 64), threads, [&](Reference& r) {
            for (i64 m = 0; m < s.rows; m++)
              for (i64 n = 0; n < s.columns; n++) {
                double sum = 0;
                for (i64 k = 0; k < s.k; k++)
                  sum += rounded(r.read(a.left, m, k)) * rounded(r.read(a.right.of[n / a.r_rows], n % a.r_rows, k));
                r.take(a.weight, m * a.weight.row + n, sum, 2e-6 * sqrt(double(s.k)) + 2e-6);
              }
          });
        }
}

int main(int count, char** arguments) {
  if (count > 1) only = arguments[1];
  steps();
  tables();
  single_numbers();
  positions();
  normalisation();
  loss();
  attentions();
  product("product_f32", product_f32, 64, false);
  product("product_bf16", product_bf16, 128, true);
  weight_gradient("weight_gradient_f32", weight_gradient_f32, 256, false);
  weight_gradient("weight_gradient_bf16", weight_gradient_bf16, 128, true);
  return report();
}
