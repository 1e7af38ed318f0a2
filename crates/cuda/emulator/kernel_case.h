// A launch of one kernel against a reference in double precision.
//
// The memory of three seeds is filled with random numbers. The kernel runs for each seed alone: what
// the reference computes must be there, within its tolerance, and every other word must be as it
// was. Then it runs for all seeds in one launch, with their slots permuted, in several orders of
// threads: every word must be equal to the bit to what the seed alone got.
#pragma once

#include <signal.h>

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "check.h"

#include "../kernels/kernels.cu"

const int SEEDS = 3;
const char* const ORDERS[] = {"forward", "reverse", "shuffled:1"};
// Cases whose names do not contain this are left out.
static std::string only;
const u64 OFFSET = (u64(1) << RETRODICT_REGION_SHIFT) - 1;

inline u64 place_of(int region, u64 word) { return u64(region) << RETRODICT_REGION_SHIFT | word; }
inline int region_of(u64 place) { return int(place >> RETRODICT_REGION_SHIFT); }

inline u32 bits_of(float x) { return __float_as_uint(x); }
inline float of_bits(u32 bits) { return __uint_as_float(bits); }
inline double bf16(float x) { return of_bits(pack_bf16(x, 0.f) << 16); }

// The memory of all regions and seeds.
struct Words {
  struct alignas(64) Line { float words[16]; };
  std::vector<Line> lines[RETRODICT_REGIONS];
  u64 stride[RETRODICT_REGIONS];

  float* seed(int region, int seed) { return lines[region].data()->words + u64(seed) * stride[region]; }
  float& word(int seed, u64 place) { return this->seed(region_of(place), seed)[place & OFFSET]; }
  int copies(int region) const { return stride[region] == 0 ? 1 : SEEDS; }
};

// What a matrix is filled with before the kernel runs.
typedef std::function<float(Random&)> Fill;
inline Fill numbers() { return [](Random& random) { return random.number(); }; }
inline Fill positive() { return [](Random& random) { return 1.5f + random.number(); }; }
inline Fill whole(unsigned below) { return [below](Random& random) { return of_bits(random.below(below)); }; }
inline Fill value(float x) { return [x](Random&) { return x; }; }

struct Expected {
  double value;
  // Below 0: equal to the bit.
  double tolerance;
};

// One seed's memory before the launch, and what is expected after it.
struct Reference {
  Words& before;
  int seed;
  std::unordered_map<u64, Expected> expected;

  float read(u64 place) { return before.word(seed, place); }
  float read(const Matrix& m, i64 row, i64 column) { return read(m.at + u64(row * m.row + column)); }
  u32 bits(u64 place) { return bits_of(read(place)); }

  void write(u64 place, double value, double tolerance) { expected[place] = {value, tolerance}; }
  void write_exactly(u64 place, float value) { expected[place] = {value, -1}; }
  void write(const Put& to, i64 row, i64 column, double value, double tolerance) {
    u64 place = to.at + u64(row * to.row + column);
    write(place, to.add ? read(place) + value : value, tolerance);
  }

  // What becomes of a gradient: element `i` of a target.
  void take(const Target& to, i64 i, double g, double tolerance) {
    u64 gradient = place_of(GRADIENTS, to.at + u64(i));
    if (to.store < STEP) return write(gradient, g + (to.store == ADD ? read(gradient) : 0), tolerance + 1e-7);
    auto of_record = [&](int entry) { return double(read(place_of(RECORD, u64(entry)))); };
    u64 p = place_of(PARAMETERS, to.at + u64(i)), m = place_of(FIRST, to.at + u64(i)), v = place_of(SECOND, to.at + u64(i));
    double first = read(m) * of_record(BETA1) + g * of_record(LESS_BETA1);
    double second = read(v) * of_record(BETA2) + g * g * of_record(LESS_BETA2);
    double shrink = to.store == STEP_WITHOUT_DECAY ? 1 : of_record(SHRINK);
    double step = of_record(CORRECTED_RATE) * first / (sqrt(second) * of_record(SECOND_CORRECTION) + of_record(EPSILON));
    write(m, first, tolerance + 1e-6);
    write(v, second, tolerance * 2 * (fabs(g) + 1) + 1e-6 * (1 + second));
    write(p, read(p) * shrink - step, tolerance + 1e-6);
  }
};

class Case {
  struct Area {
    int region;
    u64 start;
    i64 rows, columns, row;
    Fill fill;
  };
  std::string name;
  std::vector<Area> areas;
  u64 used[RETRODICT_REGIONS] = {};

public:
  explicit Case(std::string name) : name(std::move(name)) {
    // The header of the record: seeds of dropout, step, and rates of the optimiser.
    area(RECORD, 1, 4, 4, 0, [](Random& random) { return of_bits(u32(random.word() * 5)); });
    for (float x : {0.999f, 0.01f, 1.7f, 0.9f, 0.1f, 0.95f, 0.05f, 1e-6f}) area(RECORD, 1, 1, 1, -1, value(x));
    used[RECORD] = 16;
  }

  // An area `offset` words behind a multiple of 16, or right behind the last where that is -1.
  u64 area(int region, i64 rows, i64 columns, i64 row, i64 offset, Fill fill) {
    u64 start = offset < 0 ? used[region] : (used[region] + 15) / 16 * 16 + u64(offset);
    used[region] = start + u64(rows > 0 ? (rows - 1) * row + columns : 0);
    areas.push_back({region, start, rows, columns, row, std::move(fill)});
    return place_of(region, start);
  }

  // A matrix of values: rows are aligned, and lie further apart than they are long.
  Matrix matrix(i64 rows, i64 columns, Fill fill = numbers(), int region = ARENA) {
    i64 row = columns + 16;
    return {area(region, rows, columns, row, 16, std::move(fill)), row};
  }
  Put put_to(i64 rows, i64 columns, bool add = false) {
    Matrix m = matrix(rows, columns);
    return {m.at, m.row, add};
  }
  // A row of numbers that is not aligned, as it may lie in parameters.
  Matrix row(i64 columns, int region = PARAMETERS, Fill fill = numbers()) {
    return {area(region, 1, columns, columns, 3, std::move(fill)), columns};
  }
  // Part of a parameter.
  Target target(i64 rows, i64 columns, i64 row, i64 offset, Store store) {
    u64 start = used[PARAMETERS];
    for (int region : {GRADIENTS, FIRST, SECOND}) start = start > used[region] ? start : used[region];
    for (int region : {PARAMETERS, GRADIENTS, FIRST, SECOND}) used[region] = start;
    u64 at = area(PARAMETERS, rows, columns, row, offset, numbers());
    area(GRADIENTS, rows, columns, row, offset, numbers());
    area(FIRST, rows, columns, row, offset, numbers());
    area(SECOND, rows, columns, row, offset, positive());
    return {at & OFFSET, row, store};
  }

  template <class Arguments>
  void run(void (*kernel)(Regions, Arguments), const Arguments& a, i64 grid_x, i64 grid_y, unsigned threads,
           const std::function<void(Reference&)>& reference) {
    if (!contains(name, only.c_str())) return;
    Words before = fill();
    std::vector<Words> alone;
    for (int seed = 0; seed < SEEDS; seed++) {
      emulator::order = emulator::parse_order("forward");
      alone.push_back(before);
      launch(kernel, a, grid_x, grid_y, threads, alone.back(), {seed});
      Reference expected{before, seed, {}};
      reference(expected);
      compare(expected, alone.back());
    }
    Words expected = before;
    for (int region = 0; region < RETRODICT_REGIONS; region++)
      for (int seed = 0; seed < before.copies(region); seed++)
        memcpy(expected.seed(region, seed), alone[size_t(seed)].seed(region, seed), 4 * size(region));
    for (const char* order : ORDERS) {
      emulator::order = emulator::parse_order(order);
      Words together = before;
      launch(kernel, a, grid_x, grid_y, threads, together, {2, 0, 1});
      check_equal(together, expected, "of all seeds together, and for the seed alone", order);
    }
  }

private:
  u64 size(int region) const { return (used[region] + 63) / 64 * 64; }

  Words fill() const {
    Words words;
    Random random{17};
    for (int region = 0; region < RETRODICT_REGIONS; region++) {
      words.stride[region] = region == CONSTANTS ? 0 : size(region);
      words.lines[region].resize(size(region) / 16 * u64(words.copies(region)) + 1);
      for (auto& line : words.lines[region])
        for (float& word : line.words) word = NAN; // what no area holds
    }
    for (const Area& area : areas)
      for (int seed = 0; seed < words.copies(area.region); seed++)
        for (i64 i = 0; i < area.rows; i++)
          for (i64 j = 0; j < area.columns; j++)
            words.seed(area.region, seed)[area.start + u64(i * area.row + j)] = area.fill(random);
    return words;
  }

  template <class Arguments>
  void launch(void (*kernel)(Regions, Arguments), const Arguments& a, i64 grid_x, i64 grid_y, unsigned threads,
              Words& words, const std::vector<int>& slots) const {
    Regions regions;
    for (int region = 0; region < RETRODICT_REGIONS; region++) {
      regions.base[region] = words.seed(region, 0);
      regions.stride[region] = words.stride[region];
    }
    regions.slots = slots.data();
    dim3 grid{unsigned(grid_x), unsigned(grid_y), unsigned(slots.size())};
    emulator::launch(name.c_str(), grid, threads, 0, [&] { kernel(regions, a); });
  }

  void compare(Reference& reference, Words& after) const {
    // The memory before with what is expected, which need not be equal to the bit.
    Words rest = reference.before;
    for (auto& [place, e] : reference.expected) {
      float is = after.word(reference.seed, place);
      bool right = e.tolerance < 0 ? bits_of(is) == bits_of(float(e.value)) : fabs(is - e.value) <= e.tolerance;
      check(right, "%s: region %d, word %llu of seed %d is %.9g, not %.9g (tolerance %g)", name.c_str(), region_of(place),
            place & OFFSET, reference.seed, is, e.value, e.tolerance);
      rest.word(reference.seed, place) = is;
    }
    check_equal(after, rest, "where nothing is to be written, and before", "forward");
  }

  void check_equal(Words& is, Words& expected, const char* what, const char* order) const {
    for (int region = 0; region < RETRODICT_REGIONS; region++)
      for (int seed = 0; seed < is.copies(region); seed++) {
        float *one = is.seed(region, seed), *other = expected.seed(region, seed);
        u64 i = 0;
        if (memcmp(one, other, 4 * size(region)) != 0)
          while (bits_of(one[i]) == bits_of(other[i])) i++;
        check(memcmp(one, other, 4 * size(region)) == 0, "%s, order %s: region %d, word %llu of seed %d: %.9g and %.9g %s",
              name.c_str(), order, region, i, seed, one[i], other[i], what);
      }
  }
};

// Blocks that cover so many items.
inline i64 over(i64 items, i64 each) { return (items + each - 1) / each; }

const Matrix NO_MATRIX = {NOWHERE, 0};
const Put NO_PUT = {NOWHERE, 0, 0};
const Target NO_TARGET = {NOWHERE, 0, 0};

template <class... Parts>
std::string named(const char* kernel, Parts... parts) {
  std::string name = kernel;
  for (i64 part : {i64(parts)...}) name += " " + std::to_string(part);
  return name;
}
