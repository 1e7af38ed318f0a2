//! A linear recurrence along the positions: running sums and decaying states.

use std::ops::Range;

use crate::extent::Extents;
use crate::graph::Graph;
use crate::handle::{ParameterId, Value};
use crate::isa::for_every_isa;
use crate::operation::{Context, Operation, compiled};
use crate::ops::{SUM_LANES, put, sum};
use crate::scalar::Scalar;

/// The factor of the state from one position to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// 1: the output is a running sum.
    One,
    /// A learned number per feature, not bounded by 1.
    Parameter(ParameterId),
    /// A number per feature, position and example. That of position 0 is not used.
    Value(Value),
}

struct Scan {
    decay: Decay,
}

impl<T: Scalar> Graph<T> {
    /// `h₀ = x₀`, `h_p = a_p ⊙ h_{p−1} + x_p` along the positions, with the decays `a`.
    ///
    /// # Panics
    /// If a decay does not have the features of `x`, or a value of them not its positions, or is
    /// `x`.
    pub fn scan(&mut self, x: Value, decay: Decay) -> Value {
        let shape = self.shape(x);
        let (mut inputs, mut views) = (vec![x], vec![]);
        match decay {
            Decay::One => {}
            Decay::Parameter(id) => {
                let p = self.definition(id);
                let fits = p.rows == 1 && p.columns == shape.features;
                assert!(fits, "{} is no vector of {} features", p.name, shape.features);
                views.push(self.whole(id));
            }
            Decay::Value(value) => {
                assert_eq!(self.shape(value), shape, "decays have the shape of what they act on");
                // The backward pass writes both gradients of a feature at once.
                assert!(value != x, "a value cannot be its own decay");
                inputs.push(value);
            }
        }
        self.push(Scan { decay }, inputs, views, shape)
    }
}

/// The decays of one feature.
#[derive(Clone, Copy)]
enum Factors<'a, T> {
    One,
    Same(T),
    /// At every position, `lanes` numbers each.
    Each(&'a [T]),
}

impl Scan {
    fn factors<'a, T: Scalar>(&self, at: &Context<'a, T>, feature: usize) -> Factors<'a, T> {
        match self.decay {
            Decay::One => Factors::One,
            Decay::Parameter(_) => Factors::Same(at.parameter(0).row(0)[feature]),
            Decay::Value(_) => Factors::Each(at.input(1).row(feature)),
        }
    }
}

compiled!(Scan);

impl<T: Scalar> Operation<T> for Scan {
    /// A state depends on all earlier positions.
    fn positions_needed(&self, _input: usize, output: Range<usize>) -> Range<usize> {
        0..output.end
    }

    fn reads_input(&self, input: usize) -> bool {
        input == 1
    }

    /// All states, where the gradient of a decay needs them.
    fn saved(&self, extents: &Extents<'_>) -> (usize, usize) {
        if self.decay == Decay::One {
            return (0, 0);
        }
        (extents.output.features, extents.output.positions.end * extents.lanes)
    }

    /// The state of one feature, or its gradient.
    fn scratch(&self, extents: &Extents<'_>) -> usize {
        extents.lanes
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        2 * (extents.output.features * extents.output.positions.end * extents.lanes) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let (x, mut y, mut saved) = (at.input(0), at.output(), at.saved());
        let first = at.output_positions().start * at.lanes;
        let state = &mut at.scratch()[..at.lanes];
        for f in at.worker.share(x.rows, 1) {
            let states = (self.decay != Decay::One).then(|| saved.row_mut(f));
            recur(at.isa, self.factors(at, f), x.row(f), first, state, states, y.row_mut(f));
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let (dy, kept) = (at.d_output(), at.kept());
        let first = at.output_positions().start * at.lanes;
        let state = &mut at.scratch()[..at.lanes];
        let mut dx = at.d_input(0);
        let learned = matches!(self.decay, Decay::Parameter(_));
        let mut learned = if learned { at.d_parameter(0) } else { None };
        let valued = matches!(self.decay, Decay::Value(_));
        let mut valued = if valued { at.d_input(1) } else { None };
        for f in at.worker.share(dy.rows, 1) {
            let states = if kept.rows > 0 { kept.row(f) } else { &[] };
            let dx = dx.as_mut().map(|dx| (dx.matrix.row_mut(f), dx.accumulate));
            let da = valued.as_mut().map(|da| (da.matrix.row_mut(f), da.accumulate));
            let mut total = T::ZERO;
            let sums = learned.is_some().then_some(&mut total);
            turn_back(at.isa, self.factors(at, f), dy.row(f), first, states, state, dx, da, sums);
            if let Some(da) = &mut learned {
                put(&mut da.matrix.part_mut(0, f..f + 1)[0], total, da.accumulate);
            }
        }
    }
}

for_every_isa! {
    /// The states of one feature: all to `states` where it is given, those from column `first` on
    /// to `y`. `state` has one position's lanes.
    fn recur<T>(
        factors: Factors<'_, T>, x: &[T], first: usize, state: &mut [T], states: Option<&mut [T]>,
        y: &mut [T],
    ) {
        let mut states = states;
        let lanes = state.len();
        for (p, x) in x.chunks_exact(lanes).enumerate() {
            if p == 0 {
                state.copy_from_slice(x);
            } else {
                fade(factors, p, state, |faded, l| faded + x[l], |state, a, l| state.fused::<FUSED>(a, x[l]));
            }
            let column = p * lanes;
            if let Some(states) = &mut states {
                states[column..column + lanes].copy_from_slice(state);
            }
            if column >= first {
                y[column - first..column - first + lanes].copy_from_slice(state);
            }
        }
    }

    /// With g the gradient of a state, later positions included: `g_p = dy_p + a_{p+1} g_{p+1}`,
    /// `dx_p = g_p` and `da_p = g_p ⊙ h_{p−1}`, which is summed where the decay is a parameter.
    fn turn_back<T>(
        factors: Factors<'_, T>, dy: &[T], first: usize, states: &[T], g: &mut [T],
        dx: Option<(&mut [T], bool)>, da: Option<(&mut [T], bool)>, total: Option<&mut T>,
    ) {
        let (mut dx, mut da) = (dx, da);
        let lanes = g.len();
        let positions = (first + dy.len()) / lanes;
        let mut sums = [T::ZERO; SUM_LANES];
        g.fill(T::ZERO);
        for p in (0..positions).rev() {
            let column = p * lanes;
            if p + 1 < positions {
                fade(factors, p + 1, g, |faded, _| faded, |g, a, _| g * a);
            }
            if column >= first {
                for (g, dy) in g.iter_mut().zip(&dy[column - first..]) {
                    *g += *dy;
                }
            }
            if let Some((dx, accumulate)) = &mut dx {
                for (dx, g) in dx[column..column + lanes].iter_mut().zip(&*g) {
                    put(dx, *g, *accumulate);
                }
            }
            let before = if p == 0 || states.is_empty() { None } else { Some(&states[column - lanes..column]) };
            if let Some((da, accumulate)) = &mut da {
                for (l, (da, g)) in da[column..column + lanes].iter_mut().zip(&*g).enumerate() {
                    put(da, before.map_or(T::ZERO, |h| *g * h[l]), *accumulate);
                }
            }
            if let (Some(_), Some(before)) = (&total, before) {
                for (g, h) in g.chunks_exact(SUM_LANES).zip(before.chunks_exact(SUM_LANES)) {
                    for l in 0..SUM_LANES {
                        sums[l] = g[l].fused::<FUSED>(h[l], sums[l]);
                    }
                }
            }
        }
        if let Some(total) = total {
            *total = sum(&sums);
        }
    }
}

/// Applies the decays of position `p` to the lanes of a state: `same` of a state and its lane where
/// the decay is one, else `times` of a state, its decay and its lane.
#[inline(always)]
fn fade<T: Scalar>(
    factors: Factors<'_, T>,
    p: usize,
    state: &mut [T],
    same: impl Fn(T, usize) -> T,
    times: impl Fn(T, T, usize) -> T,
) {
    let lanes = state.len();
    match factors {
        Factors::One => {
            for (l, state) in state.iter_mut().enumerate() {
                *state = same(*state, l);
            }
        }
        Factors::Same(a) => {
            for (l, state) in state.iter_mut().enumerate() {
                *state = times(*state, a, l);
            }
        }
        Factors::Each(a) => {
            let a = &a[p * lanes..(p + 1) * lanes];
            for (l, (state, a)) in state.iter_mut().zip(a).enumerate() {
                *state = times(*state, *a, l);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Decay;
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;
    use crate::ops::{Activation, Orientation};
    use crate::parameter::{Initial, Parameter};
    use crate::{Mode, Noise, Parameters, ProductPrecision, Program, Team};

    #[test]
    fn gradient() {
        for (features, positions, batch, scored) in [(1, 1, 1, 0), (6, 2, 16, 0), (9, 4, 18, 2)] {
            for kind in 0..3 {
                let mut graph = Graph::<f64>::new();
                let x = with_stem(&mut graph, features, positions);
                let normal = Initial::Normal { std: 0.5 };
                let decay = match kind {
                    0 => Decay::One,
                    1 => {
                        Decay::Parameter(graph.parameter(Parameter::vector("a", features, normal)))
                    }
                    _ => {
                        let w = Parameter::matrix("w", [features, features], normal);
                        let w = graph.parameter(w);
                        let a = graph.linear_whole(x, w, Orientation::InputsFirst, None);
                        Decay::Value(graph.activation(a, Activation::Sigmoid))
                    }
                };
                let y = graph.scan(x, decay);
                with_head(&mut graph, y, 4, scored..positions);
                assert_gradients(&graph, batch);
            }
        }
    }

    /// x = 1, 1, 1, … with decay ½: 1, 1.5, 1.75, and the running sum 1, 2, 3; also where the
    /// first positions are not needed.
    #[test]
    fn closed_forms() {
        for first in [0, 2] {
            let mut graph = Graph::<f32>::new();
            let tokens = graph.indices(4);
            let ones = Initial::Constant(1.0);
            let table = graph.parameter(Parameter::matrix("table", [1, 3], ones));
            let half = Parameter::vector("half", 3, Initial::Constant(0.5));
            let half = graph.parameter(half);
            let x = graph.embedding(tokens, table, None);
            let summed = graph.scan(x, Decay::One);
            let faded = graph.scan(x, Decay::Parameter(half));
            graph.output(summed, first..4);
            graph.output(faded, first..4);
            let precision = ProductPrecision::Full;
            let mut program = Program::compile(&graph, 1, Mode::Inference, precision, 1);
            let parameters = Parameters::initial(&graph, 0);
            program.forward(&parameters, Noise { seed: 0, step: 0 }, &mut Team::new(1));
            for (i, p) in (first..4).enumerate() {
                assert_eq!(program.output(0).lanes(2, i)[0], p as f32 + 1.0);
                assert_eq!(program.output(1).lanes(2, i)[0], 2.0 - 0.5f32.powi(p as i32));
            }
        }
    }
}
