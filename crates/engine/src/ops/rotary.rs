//! Rotary position embedding: features are rotated by an angle that grows with the position, so
//! that the product of a query and a key depends only on the distance between them.

use crate::extent::Extents;
use crate::graph::Graph;
use crate::handle::{Indices, Value};
use crate::isa::for_every_isa;
use crate::lower::{Area, Lowering, NotLowered, Put, kernel};
use crate::matrix::{Matrix, MatrixMut};
use crate::operation::{Context, Operation, compiled};
use crate::scalar::Scalar;

struct Rotary {
    /// Features of a head.
    width: usize,
    /// The first of them, which are rotated.
    rotated: usize,
    /// The index input with the position of each column; `None` where the columns are the positions.
    at: Option<usize>,
    positions: usize,
    /// Cosine and sine of each angle, `[pair, position]`.
    turns: Vec<[f64; 2]>,
}

impl<T: Scalar> Graph<T> {
    /// Rotates the first `rotated` features of each of `heads` heads in pairs of neighbours
    /// (2i, 2i + 1), by the angle position · base^(−2i / rotated); the others pass unchanged
    /// (Su et al., 2021). The position is the absolute one in `x`, from 0.
    ///
    /// Neighbours, not halves as in GPT-NeoX: the paper's authors use `rotary-embedding-torch`,
    /// whose `rotate_half` (with a base of 10000) pairs neighbours.
    ///
    /// # Panics
    /// If the heads do not divide the features, or `rotated` is odd or more than a head has.
    pub fn rotary(&mut self, x: Value, heads: usize, rotated: usize, base: f64) -> Value {
        let positions = self.shape(x).positions;
        self.rotate(x, heads, rotated, base, None, positions)
    }

    /// As [`rotary`](Graph::rotary), each column at a position of its own, which `at` holds when the
    /// program runs; all are below `positions`.
    ///
    /// # Panics
    /// As that, or if there are not as many columns of positions as of `x`.
    pub fn rotary_at(
        &mut self,
        x: Value,
        heads: usize,
        rotated: usize,
        base: f64,
        (at, positions): (Indices, usize),
    ) -> Value {
        let (at, given) = self.index_input(at);
        assert_eq!(given, self.shape(x).positions, "a position for each column");
        self.rotate(x, heads, rotated, base, Some(at), positions)
    }

    fn rotate(
        &mut self,
        x: Value,
        heads: usize,
        rotated: usize,
        base: f64,
        at: Option<usize>,
        positions: usize,
    ) -> Value {
        let shape = self.shape(x);
        assert!(shape.features.is_multiple_of(heads), "{heads} heads, {} features", shape.features);
        let width = shape.features / heads;
        let fits = rotated.is_multiple_of(2) && rotated <= width;
        assert!(fits, "{rotated} of the {width} features of a head cannot be rotated in pairs");
        let turn = |pair: usize, position: usize| {
            let slowdown = libm::pow(base, (2 * pair) as f64 / rotated as f64);
            let angle = position as f64 / slowdown;
            [libm::cos(angle), libm::sin(angle)]
        };
        let turns = (0..rotated / 2)
            .flat_map(|pair| (0..positions).map(move |position| turn(pair, position)))
            .collect();
        self.push(Rotary { width, rotated, at, positions, turns }, vec![x], vec![], shape)
    }
}

/// The direction in which a pair is rotated.
#[derive(Clone, Copy)]
enum Direction {
    Forward,
    Back,
}

impl Rotary {
    /// Rotates this worker's rows of `x`, each with the other feature of its pair.
    fn turn<T: Scalar>(
        &self,
        at: &Context<'_, T>,
        direction: Direction,
        x: Matrix<'_, T>,
        mut out: MatrixMut<'_, T>,
        accumulate: bool,
    ) {
        let live = at.output_positions();
        for f in at.worker.share(x.rows, 1) {
            let feature = f % self.width;
            let out = out.row_mut(f);
            if feature >= self.rotated {
                pass(at.isa, x.row(f), out, accumulate);
                continue;
            }
            let first = feature.is_multiple_of(2);
            let partner = x.row(if first { f + 1 } else { f - 1 });
            let start = feature / 2 * self.positions;
            let turns = &self.turns[start..start + self.positions];
            let sign = match (direction, first) {
                (Direction::Forward, true) | (Direction::Back, false) => -T::ONE,
                (Direction::Forward, false) | (Direction::Back, true) => T::ONE,
            };
            match self.at.map(|input| at.indices(input, live.clone())) {
                None => {
                    let turns = &turns[live.clone()];
                    rotate(at.isa, at.lanes, x.row(f), partner, turns, sign, out, accumulate);
                }
                Some(places) => {
                    rotate_at(at.isa, places, x.row(f), partner, turns, sign, out, accumulate);
                }
            }
        }
    }

    fn lower(
        &self,
        at: &mut Lowering<'_>,
        direction: Direction,
        x: Area,
        y: Put,
    ) -> Result<(), NotLowered> {
        if self.at.is_some() {
            return Err(NotLowered::new("Rotary at given positions"));
        }
        let bits = |number: &f64| (*number as f32).to_bits();
        let turns: Vec<u32> = self.turns.iter().flatten().map(bits).collect();
        let (turns, live) = (at.constant(&turns), at.output_positions());
        at.push(kernel::Rotary {
            x,
            turns,
            y,
            features: x.place.rows.into(),
            lanes: at.lanes.into(),
            width: self.width.into(),
            rotated: self.rotated.into(),
            positions: self.positions.into(),
            first: live.start.into(),
            live: live.len().into(),
            back: usize::from(matches!(direction, Direction::Back)).into(),
        });
        Ok(())
    }
}

compiled!(Rotary);

impl<T: Scalar> Operation<T> for Rotary {
    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        let heads = extents.output.features / self.width;
        3 * (heads * self.rotated * extents.columns()) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        self.turn(at, Direction::Forward, at.input(0), at.output(), false);
    }

    /// The transpose of a rotation is the rotation back.
    fn backward(&self, at: &Context<'_, T>) {
        let Some(dx) = at.d_input(0) else { return };
        self.turn(at, Direction::Back, at.d_output(), dx.matrix, dx.accumulate);
    }

    fn lower_forward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        self.lower(at, Direction::Forward, at.input(0), at.output())
    }

    fn lower_backward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        match at.d_input(0) {
            Some(dx) => self.lower(at, Direction::Back, at.d_output(), dx),
            None => Ok(()),
        }
    }
}

for_every_isa! {
    /// `out = cos · x + sign · sin · partner`, position by position.
    fn rotate<T>(
        lanes: usize, x: &[T], partner: &[T], turns: &[[f64; 2]], sign: T, out: &mut [T],
        accumulate: bool,
    ) {
        let rows = x.chunks_exact(lanes).zip(partner.chunks_exact(lanes));
        for (([cos, sin], (x, partner)), out) in turns.iter().zip(rows).zip(out.chunks_exact_mut(lanes)) {
            let (cos, sin) = (T::from_f64(*cos), sign * T::from_f64(*sin));
            for ((x, partner), out) in x.iter().zip(partner).zip(out) {
                let term = cos * *x + sin * *partner;
                *out = if accumulate { *out + term } else { term };
            }
        }
    }

    /// The same with a position for each number.
    fn rotate_at<T>(
        places: &[u32], x: &[T], partner: &[T], turns: &[[f64; 2]], sign: T, out: &mut [T],
        accumulate: bool,
    ) {
        for (((place, x), partner), out) in places.iter().zip(x).zip(partner).zip(out) {
            let [cos, sin] = turns[*place as usize];
            let term = T::from_f64(cos) * *x + sign * T::from_f64(sin) * *partner;
            *out = if accumulate { *out + term } else { term };
        }
    }

    /// Copies or adds what is not rotated.
    fn pass<T>(x: &[T], out: &mut [T], accumulate: bool) {
        if !accumulate {
            out.copy_from_slice(x);
            return;
        }
        for (x, out) in x.iter().zip(out) {
            *out += *x;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;
    use crate::parameter::{Initial, Parameter};
    use crate::precision::ProductPrecision;
    use crate::program::{Mode, Program};
    use crate::random::Noise;
    use crate::{Parameters, Team};

    #[test]
    fn gradient() {
        // Whole heads, an odd rest, no rotation at all, and positions that no output reads.
        let shapes =
            [(2, 1, 2, 1, 1, 0), (6, 2, 2, 3, 16, 0), (10, 2, 4, 5, 18, 2), (6, 1, 0, 2, 3, 1)];
        for (features, heads, rotated, positions, batch, first) in shapes {
            let mut graph = Graph::<f64>::new();
            let x = with_stem(&mut graph, features, positions);
            // Twice, so that one writes its input's gradient and one adds to it: attention also
            // reads `x`, at other positions too.
            let y = graph.rotary(x, heads, rotated, 50.0);
            let y = graph.rotary(y, heads, rotated, 7.0);
            let y = graph.attention([y, x, x], heads, 0.0);
            with_head(&mut graph, y, 4, first..positions);
            assert_gradients(&graph, batch);
        }
    }

    #[test]
    fn gradient_at_given_positions() {
        let mut graph = Graph::<f64>::new();
        let at = graph.indices(2);
        let x = with_stem(&mut graph, 10, 2);
        let y = graph.rotary_at(x, 2, 4, 50.0, (at, 3));
        let y = graph.attention([y, x, x], 2, 0.0);
        with_head(&mut graph, y, 4, 1..2);
        assert_gradients(&graph, 3);
    }

    /// Positions that are given turn as those of the columns do.
    #[test]
    fn given_positions_are_those_of_the_columns() {
        let mut graph = Graph::<f64>::new();
        let at = graph.indices(2);
        let x = with_stem(&mut graph, 6, 4);
        let some = graph.select(x, &[3, 1]);
        let y = graph.rotary_at(some, 1, 4, 50.0, (at, 4));
        graph.output(y, 0..2);
        let y = graph.rotary(x, 1, 4, 50.0);
        graph.output(y, 0..4);
        let mut program = Program::compile(&graph, 2, Mode::Inference, ProductPrecision::Full, 1);
        let lanes = program.lanes();
        let places = program.indices_mut(at);
        places[..lanes].fill(3);
        places[lanes..].fill(1);
        let parameters = Parameters::initial(&graph, 7);
        program.forward(&parameters, Noise { seed: 0, step: 0 }, &mut Team::new(1));
        let [given, all] = [0, 1].map(|i| program.output(i));
        for f in 0..6 {
            assert_eq!(given.lanes(f, 0), all.lanes(f, 3));
            assert_eq!(given.lanes(f, 1), all.lanes(f, 1));
        }
    }

    const WIDTH: usize = 7;
    const ROTATED: usize = 4;
    const POSITIONS: usize = 6;

    /// Two heads of [`WIDTH`] features, the same vector at every position, rotated:
    /// `[head][position][feature]`.
    fn rotated(vector: impl Fn(usize) -> f64, base: f64) -> Vec<Vec<Vec<f64>>> {
        let mut graph = Graph::<f64>::new();
        let tokens = graph.indices(POSITIONS);
        let zeros = Initial::Constant(0.0);
        let table = graph.parameter(Parameter::matrix("table", [1, 2 * WIDTH], zeros));
        let x = graph.embedding(tokens, table, None);
        let y = graph.rotary(x, 2, ROTATED, base);
        graph.output(y, 0..POSITIONS);
        let mut team = Team::new(1);
        let mut program =
            Program::compile(&graph, 1, Mode::Inference, ProductPrecision::Full, team.workers());
        let mut parameters = Parameters::initial(&graph, 0);
        for (f, value) in parameters.values_mut(0).iter_mut().enumerate() {
            *value = vector(f);
        }
        program.forward(&parameters, Noise { seed: 0, step: 0 }, &mut team);
        let out = program.output(0);
        let feature = |head, p, f| out.lanes(head * WIDTH + f, p)[0];
        (0..2)
            .map(|head| {
                (0..POSITIONS).map(|p| (0..WIDTH).map(|f| feature(head, p, f)).collect()).collect()
            })
            .collect()
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn a_product_depends_on_the_distance_only() {
        let q = rotated(|f| 0.3 + (f as f64).sin(), 10_000.0);
        let k = rotated(|f| (1.7 * f as f64).cos(), 10_000.0);
        for head in 0..2 {
            for distance in 0..POSITIONS {
                let expected = dot(&q[head][distance], &k[head][0]);
                for p in distance..POSITIONS {
                    let product = dot(&q[head][p], &k[head][p - distance]);
                    assert!((product - expected).abs() < 1e-14, "{product}, not {expected}");
                }
            }
            let (near, far) = (dot(&q[head][0], &k[head][0]), dot(&q[head][3], &k[head][0]));
            assert!((near - far).abs() > 0.1, "{near} and {far} should differ");
        }
    }

    #[test]
    fn a_vector_keeps_its_norm() {
        let x = |f: usize| 1.0 - 0.4 * f as f64;
        for (head, positions) in rotated(x, 10_000.0).iter().enumerate() {
            let vector: Vec<f64> = (0..WIDTH).map(|f| x(head * WIDTH + f)).collect();
            for rotated in positions {
                assert!((dot(rotated, rotated) - dot(&vector, &vector)).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn neighbours_turn_by_the_position_times_a_power_of_the_base() {
        // Base 16 and four rotated features: angles p and p / 4; ones turn into (cos − sin,
        // sin + cos).
        for head in rotated(|_| 1.0, 16.0) {
            for (p, features) in head.iter().enumerate() {
                for (f, found) in features.iter().enumerate() {
                    let angle = if f < 2 { p as f64 } else { p as f64 / 4.0 };
                    let expected = match f {
                        ROTATED.. => 1.0,
                        _ if f % 2 == 0 => angle.cos() - angle.sin(),
                        _ => angle.sin() + angle.cos(),
                    };
                    assert!((found - expected).abs() < 1e-15, "{found}, not {expected}");
                }
            }
        }
    }
}
