//! Normalisation by the root mean square over the features.

use std::ops::Range;

use crate::extent::Extents;
use crate::graph::Graph;
use crate::handle::{ParameterId, Value};
use crate::isa::for_every_isa;
use crate::matrix::{GradientTarget, Matrix, MatrixMut};
use crate::operation::{Context, Operation, compiled};
use crate::ops::{SUM_LANES, WIDE, lanes, lanes_mut, put, sum};
use crate::scalar::Scalar;

struct RmsNorm {
    epsilon: f64,
}

impl<T: Scalar> Graph<T> {
    /// `y = gain · x / √(mean(x²) + ε)`, the mean over the features: layer normalisation without
    /// centring and without a bias (Zhang and Sennrich, 2019).
    ///
    /// # Panics
    /// If the gain does not have one number a feature.
    pub fn rms_norm(&mut self, x: Value, gain: ParameterId, epsilon: f64) -> Value {
        let shape = self.shape(x);
        let p = self.definition(gain);
        assert_eq!(p.columns, shape.features, "{} has {} columns", p.name, p.columns);
        let views = vec![self.whole(gain)];
        self.push(RmsNorm { epsilon }, vec![x], views, shape)
    }
}

compiled!(RmsNorm);

impl<T: Scalar> Operation<T> for RmsNorm {
    fn reads_input(&self, _input: usize) -> bool {
        true
    }

    /// The inverse root mean square of each column.
    fn saved(&self, extents: &Extents<'_>) -> (usize, usize) {
        (1, extents.columns())
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        4 * (extents.output.features * extents.columns()) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let columns = at.worker.share(at.plan.output.value.columns, SUM_LANES);
        let (gain, epsilon) = (at.parameter(0).row(0), T::from_f64(self.epsilon));
        normalise(at.isa, at.input(0), gain, epsilon, at.output(), at.saved(), columns);
    }

    fn backward(&self, at: &Context<'_, T>) {
        let (x, dy, kept) = (at.input(0), at.d_output(), at.kept());
        if let Some(target) = at.d_input(0) {
            let columns = at.worker.share(dy.columns, SUM_LANES);
            input_gradient(at.isa, x, dy, at.parameter(0).row(0), kept, target, columns);
        }
        if let Some(target) = at.d_parameter(0) {
            gain_gradient(at.isa, x, dy, kept, target, at.worker.share(x.rows, SUM_LANES));
        }
    }
}

for_every_isa! {
    fn normalise<T>(
        x: Matrix<'_, T>, gain: &[T], epsilon: T, y: MatrixMut<'_, T>, saved: MatrixMut<'_, T>,
        columns: Range<usize>,
    ) {
        let (mut y, mut saved) = (y, saved);
        let mut first = columns.start;
        while first + WIDE <= columns.end {
            normalise_lanes::<T, FUSED, WIDE>(x, gain, epsilon, &mut y, &mut saved, first);
            first += WIDE;
        }
        while first < columns.end {
            normalise_lanes::<T, FUSED, SUM_LANES>(x, gain, epsilon, &mut y, &mut saved, first);
            first += SUM_LANES;
        }
    }

    fn input_gradient<T>(
        x: Matrix<'_, T>, dy: Matrix<'_, T>, gain: &[T], kept: Matrix<'_, T>,
        target: GradientTarget<'_, T>, columns: Range<usize>,
    ) {
        let mut target = target;
        let mut first = columns.start;
        while first + WIDE <= columns.end {
            input_gradient_lanes::<T, FUSED, WIDE>(x, dy, gain, kept, &mut target, first);
            first += WIDE;
        }
        while first < columns.end {
            input_gradient_lanes::<T, FUSED, SUM_LANES>(x, dy, gain, kept, &mut target, first);
            first += SUM_LANES;
        }
    }

    /// `dg = Σ dy · x / rms`, over the columns.
    fn gain_gradient<T>(
        x: Matrix<'_, T>, dy: Matrix<'_, T>, kept: Matrix<'_, T>, target: GradientTarget<'_, T>,
        features: Range<usize>,
    ) {
        let GradientTarget { matrix: mut gain, accumulate } = target;
        let inverse = kept.row(0).as_chunks::<SUM_LANES>().0;
        for f in features {
            let mut sums = [T::ZERO; SUM_LANES];
            let [x, dy] = [x, dy].map(|m| m.row(f).as_chunks::<SUM_LANES>().0);
            for ((x, dy), inverse) in x.iter().zip(dy).zip(inverse) {
                for i in 0..SUM_LANES {
                    sums[i] = (x[i] * inverse[i]).fused::<FUSED>(dy[i], sums[i]);
                }
            }
            put(&mut gain.part_mut(0, f..f + 1)[0], sum(&sums), accumulate);
        }
    }
}

#[inline(always)]
fn normalise_lanes<T: Scalar, const FUSED: bool, const W: usize>(
    x: Matrix<'_, T>,
    gain: &[T],
    epsilon: T,
    y: &mut MatrixMut<'_, T>,
    saved: &mut MatrixMut<'_, T>,
    first: usize,
) {
    let range = first..first + W;
    let over = T::ONE / T::from_f64(x.rows as f64);
    let mut inverse = [T::ZERO; W];
    for f in 0..x.rows {
        let x = lanes::<T, W>(x.row(f), first);
        for i in 0..W {
            inverse[i] = x[i].fused::<FUSED>(x[i], inverse[i]);
        }
    }
    for inverse in &mut inverse {
        *inverse = T::ONE / (*inverse * over + epsilon).sqrt();
    }
    for (f, gain) in gain.iter().enumerate() {
        let x = lanes::<T, W>(x.row(f), first);
        let y = lanes_mut::<T, W>(y.part_mut(f, range.clone()));
        for i in 0..W {
            y[i] = x[i] * inverse[i] * *gain;
        }
    }
    *lanes_mut(saved.part_mut(0, range)) = inverse;
}

/// With r the inverse root mean square and g = gain · dy: `dx = r · g − x · r³ · mean(g · x)`.
#[inline(always)]
fn input_gradient_lanes<T: Scalar, const FUSED: bool, const W: usize>(
    x: Matrix<'_, T>,
    dy: Matrix<'_, T>,
    gain: &[T],
    kept: Matrix<'_, T>,
    target: &mut GradientTarget<'_, T>,
    first: usize,
) {
    let GradientTarget { matrix: dx, accumulate } = target;
    let over = T::ONE / T::from_f64(x.rows as f64);
    let inverse = lanes::<T, W>(kept.row(0), first);
    let mut mean = [T::ZERO; W];
    for (f, gain) in gain.iter().enumerate() {
        let (x, dy) = (lanes::<T, W>(x.row(f), first), lanes::<T, W>(dy.row(f), first));
        for i in 0..W {
            mean[i] = (dy[i] * *gain).fused::<FUSED>(x[i], mean[i]);
        }
    }
    for i in 0..W {
        mean[i] = mean[i] * over * inverse[i] * inverse[i] * inverse[i];
    }
    for (f, gain) in gain.iter().enumerate() {
        let (x, dy) = (lanes::<T, W>(x.row(f), first), lanes::<T, W>(dy.row(f), first));
        let dx = lanes_mut::<T, W>(dx.part_mut(f, first..first + W));
        for i in 0..W {
            let term = (-x[i]).fused::<FUSED>(mean[i], dy[i] * *gain * inverse[i]);
            dx[i] = if *accumulate { dx[i] + term } else { term };
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;
    use crate::parameter::{Initial, Parameter};

    #[test]
    fn gradient() {
        // 66 examples: some lanes are processed four registers at a time, the rest one.
        for (features, positions, batch) in [(2, 1, 1), (5, 2, 16), (20, 3, 18), (3, 1, 66)] {
            let mut graph = Graph::<f64>::new();
            let x = with_stem(&mut graph, features, positions);
            let normal = Initial::Normal { std: 1.0 };
            let gain = graph.parameter(Parameter::vector("gain", features, normal));
            let y = graph.rms_norm(x, gain, 1e-5);
            with_head(&mut graph, y, 4, 0..positions);
            assert_gradients(&graph, batch);
        }
    }
}
