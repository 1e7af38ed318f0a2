//! Layer normalisation over the features.

use std::ops::Range;

use crate::graph::{Graph, ParameterId, Value};
use crate::isa::for_every_isa;
use crate::kernels::totals;
use crate::matrix::{Matrix, MatrixMut, Target};
use crate::operation::{Context, Extents, Operation};
use crate::ops::{SUM_LANES, WIDE, lanes, lanes_mut};
use crate::scalar::Scalar;

struct LayerNorm {
    epsilon: f64,
}

impl<T: Scalar> Graph<T> {
    /// `y = gain · (x − mean) / √(variance + ε) + bias`, mean and variance over the features.
    ///
    /// # Panics
    /// If gain or bias does not have one number a feature.
    pub fn layer_norm(
        &mut self,
        x: Value,
        gain: ParameterId,
        bias: ParameterId,
        epsilon: f64,
    ) -> Value {
        let shape = self.shape(x);
        for p in [gain, bias].map(|id| &self.parameters[id.0]) {
            assert_eq!(p.columns, shape.features, "{} has {} columns", p.name, p.columns);
        }
        let views = vec![self.whole(gain), self.whole(bias)];
        self.push(LayerNorm { epsilon }, vec![x], views, shape)
    }
}

impl<T: Scalar> Operation<T> for LayerNorm {
    fn reads_input(&self, _input: usize) -> bool {
        true
    }

    /// The mean and one over the standard deviation of each column.
    fn saved(&self, extents: &Extents<'_>) -> (usize, usize) {
        (2, extents.columns())
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        8 * (extents.output.features * extents.columns()) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let columns = at.worker.share(at.plan.output.value.columns, SUM_LANES);
        let epsilon = T::from_f64(self.epsilon);
        let (gain, bias) = (at.parameter(0).row(0), at.parameter(1).row(0));
        normalise(at.isa, at.input(0), gain, bias, epsilon, at.output(), at.saved(), columns);
    }

    fn backward(&self, at: &Context<'_, T>) {
        let (x, dy, kept) = (at.input(0), at.d_output(), at.kept());
        if let Some(target) = at.d_input(0) {
            let columns = at.worker.share(dy.columns, SUM_LANES);
            input_gradient(at.isa, x, dy, at.parameter(0).row(0), kept, target, columns);
        }
        parameter_gradients(at);
    }
}

for_every_isa! {
    fn normalise<T>(
        x: Matrix<'_, T>, gain: &[T], bias: &[T], epsilon: T, y: MatrixMut<'_, T>,
        saved: MatrixMut<'_, T>, columns: Range<usize>,
    ) {
        let (mut y, mut saved) = (y, saved);
        let mut first = columns.start;
        while first + WIDE <= columns.end {
            normalise_lanes::<T, FUSED, WIDE>(x, gain, bias, epsilon, &mut y, &mut saved, first);
            first += WIDE;
        }
        while first < columns.end {
            normalise_lanes::<T, FUSED, SUM_LANES>(x, gain, bias, epsilon, &mut y, &mut saved, first);
            first += SUM_LANES;
        }
    }

    fn input_gradient<T>(
        x: Matrix<'_, T>, dy: Matrix<'_, T>, gain: &[T], kept: Matrix<'_, T>,
        target: Target<'_, T>, columns: Range<usize>,
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

    /// Of the features from `first` on, `dg = Σ dy · x̂` and `db = Σ dy` over the columns, apart in
    /// lanes.
    fn lane_sums<T>(
        x: Matrix<'_, T>, dy: Matrix<'_, T>, kept: Matrix<'_, T>, first: usize,
        sums: &mut [Sums<T>; 2],
    ) {
        let [mean, rstd] = [0, 1].map(|row| kept.row(row).as_chunks::<SUM_LANES>().0);
        let [gains, biases] = sums;
        for (f, (gain, bias)) in (first..x.rows).zip(gains.iter_mut().zip(biases)) {
            let mut sums = [[T::ZERO; SUM_LANES]; 2];
            let [x, dy] = [x, dy].map(|m| m.row(f).as_chunks::<SUM_LANES>().0);
            for (((x, dy), mean), rstd) in x.iter().zip(dy).zip(mean).zip(rstd) {
                for i in 0..SUM_LANES {
                    let normalised = (x[i] - mean[i]) * rstd[i];
                    sums[0][i] = normalised.fused::<FUSED>(dy[i], sums[0][i]);
                    sums[1][i] += dy[i];
                }
            }
            [*gain, *bias] = sums;
        }
    }
}

/// Sums of a few features, apart in lanes.
type Sums<T> = [[T; SUM_LANES]; SUM_LANES];

fn parameter_gradients<T: Scalar>(at: &Context<'_, T>) {
    let (x, dy, kept) = (at.input(0), at.d_output(), at.kept());
    let mut targets = [0, 1].map(|i| at.d_parameter(i));
    if targets.iter().all(Option::is_none) {
        return;
    }
    let mut sums = [[[T::ZERO; SUM_LANES]; SUM_LANES]; 2];
    let features = at.worker.share(x.rows, SUM_LANES);
    for first in features.clone().step_by(SUM_LANES) {
        let some = first..features.end.min(first + SUM_LANES);
        lane_sums(at.isa, x, dy, kept, first, &mut sums);
        for (target, sums) in targets.iter_mut().zip(&sums) {
            if let Some(Target { matrix, accumulate }) = target {
                let out = matrix.part_mut(0, some.clone());
                totals(at.isa, &sums[..some.len()], out, *accumulate);
            }
        }
    }
}

#[inline(always)]
fn normalise_lanes<T: Scalar, const FUSED: bool, const W: usize>(
    x: Matrix<'_, T>,
    gain: &[T],
    bias: &[T],
    epsilon: T,
    y: &mut MatrixMut<'_, T>,
    saved: &mut MatrixMut<'_, T>,
    first: usize,
) {
    let range = first..first + W;
    let over = T::ONE / T::from_f64(x.rows as f64);
    let mut mean = [T::ZERO; W];
    for f in 0..x.rows {
        let x = lanes::<T, W>(x.row(f), first);
        for i in 0..W {
            mean[i] += x[i];
        }
    }
    for mean in &mut mean {
        *mean *= over;
    }
    let mut rstd = [T::ZERO; W];
    for f in 0..x.rows {
        let x = lanes::<T, W>(x.row(f), first);
        for i in 0..W {
            let centred = x[i] - mean[i];
            rstd[i] = centred.fused::<FUSED>(centred, rstd[i]);
        }
    }
    for rstd in &mut rstd {
        *rstd = T::ONE / (*rstd * over + epsilon).sqrt();
    }
    for (f, (gain, bias)) in gain.iter().zip(bias).enumerate() {
        let x = lanes::<T, W>(x.row(f), first);
        let y = lanes_mut::<T, W>(y.part_mut(f, range.clone()));
        for i in 0..W {
            y[i] = ((x[i] - mean[i]) * rstd[i]).fused::<FUSED>(*gain, *bias);
        }
    }
    *lanes_mut(saved.part_mut(0, range.clone())) = mean;
    *lanes_mut(saved.part_mut(1, range)) = rstd;
}

/// With x̂ the normalised input and g = gain · dy:
/// `dx = rstd · (g − mean(g) − x̂ · mean(g · x̂))`, means over the features.
#[inline(always)]
fn input_gradient_lanes<T: Scalar, const FUSED: bool, const W: usize>(
    x: Matrix<'_, T>,
    dy: Matrix<'_, T>,
    gain: &[T],
    kept: Matrix<'_, T>,
    target: &mut Target<'_, T>,
    first: usize,
) {
    let Target { matrix: dx, accumulate } = target;
    let over = T::ONE / T::from_f64(x.rows as f64);
    let (mean, rstd) = (lanes::<T, W>(kept.row(0), first), lanes::<T, W>(kept.row(1), first));
    let mut sum_g = [T::ZERO; W];
    let mut sum_gx = [T::ZERO; W];
    for (f, gain) in gain.iter().enumerate() {
        let (x, dy) = (lanes::<T, W>(x.row(f), first), lanes::<T, W>(dy.row(f), first));
        for i in 0..W {
            let g = dy[i] * *gain;
            sum_g[i] += g;
            sum_gx[i] = g.fused::<FUSED>(x[i] - mean[i], sum_gx[i]);
        }
    }
    for i in 0..W {
        sum_g[i] = sum_g[i] * over * rstd[i];
        sum_gx[i] = sum_gx[i] * over * rstd[i] * rstd[i] * rstd[i];
    }
    for (f, gain) in gain.iter().enumerate() {
        let (x, dy) = (lanes::<T, W>(x.row(f), first), lanes::<T, W>(dy.row(f), first));
        let dx = lanes_mut::<T, W>(dx.part_mut(f, first..first + W));
        for i in 0..W {
            let centred = (dy[i] * *gain).fused::<FUSED>(rstd[i], -sum_g[i]);
            let term = (mean[i] - x[i]).fused::<FUSED>(sum_gx[i], centred);
            dx[i] = if *accumulate { dx[i] + term } else { term };
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::{Graph, Initial, Parameter};

    #[test]
    fn gradient() {
        for (features, positions, batch) in [(2, 1, 1), (5, 2, 16), (20, 3, 18)] {
            let mut graph = Graph::<f64>::new();
            let x = with_stem(&mut graph, features, positions);
            let normal = Initial::Normal { std: 1.0 };
            let gain = graph.parameter(Parameter::vector("gain", features, normal));
            let bias = graph.parameter(Parameter::vector("bias", features, normal));
            let y = graph.layer_norm(x, gain, bias, 1e-5);
            with_head(&mut graph, y, 4, 0..positions);
            assert_gradients(&graph, batch);
        }
    }
}
