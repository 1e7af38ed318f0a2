//! Layer normalisation over the features.

use std::ops::Range;

use crate::extent::Extents;
use crate::graph::Graph;
use crate::handle::{ParameterId, Value};
use crate::isa::{for_every_isa, in_registers};
use crate::kernels::totals;
use crate::lanes::SUM_LANES;
use crate::lower::{Lowering, NotLowered, Put, kernel};
use crate::matrix::{GradientTarget, Matrix, MatrixMut};
use crate::operation::{Context, Operation, compiled};
use crate::scalar::Scalar;
use crate::vector::Vector;
use crate::wide::{Wide, for_lanes};

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
        for p in [gain, bias].map(|id| self.definition(id)) {
            assert_eq!(p.columns, shape.features, "{} has {} columns", p.name, p.columns);
        }
        let views = vec![self.whole(gain), self.whole(bias)];
        self.push(LayerNorm { epsilon }, vec![x], views, shape)
    }
}

compiled!(LayerNorm);

impl<T: Scalar> Operation<T> for LayerNorm {
    fn reads_input(&self, _input: usize) -> bool {
        true
    }

    /// The mean and the inverse standard deviation of each column.
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

    fn lower_forward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        let x = at.input(0);
        at.push(kernel::LayerNorm {
            x,
            gain: at.parameter(0),
            bias: at.parameter(1),
            y: at.output(),
            saved: Put::over(at.saved()),
            features: x.place.rows.into(),
            columns: x.place.columns.into(),
            epsilon: self.epsilon,
        });
        Ok(())
    }

    fn lower_backward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        let (x, dy, saved) = (at.input(0), at.d_output(), at.saved());
        let (features, columns) = (x.place.rows.into(), x.place.columns.into());
        if let Some(dx) = at.d_input(0) {
            let gain = at.parameter(0);
            at.push(kernel::LayerNormGradient { x, dy, gain, saved, dx, features, columns });
        }
        let [gain, bias] = [0, 1].map(|i| at.d_parameter(i));
        if gain.is_some() || bias.is_some() {
            at.push(kernel::LayerNormParameters { x, dy, saved, gain, bias, features, columns });
        }
        Ok(())
    }
}

in_registers! {
    fn normalise<T, V>(
        x: Matrix<'_, T>, gain: &[T], bias: &[T], epsilon: T, y: MatrixMut<'_, T>,
        saved: MatrixMut<'_, T>, columns: Range<usize>,
    ) {
        let (mut y, mut saved) = (y, saved);
        for_lanes!(V, N, first in columns, {
            normalise_lanes::<T, V, N>(x, gain, bias, epsilon, &mut y, &mut saved, first);
        });
    }

    fn input_gradient<T, V>(
        x: Matrix<'_, T>, dy: Matrix<'_, T>, gain: &[T], kept: Matrix<'_, T>,
        target: GradientTarget<'_, T>, columns: Range<usize>,
    ) {
        let mut target = target;
        for_lanes!(V, N, first in columns, {
            input_gradient_lanes::<T, V, N>(x, dy, gain, kept, &mut target, first);
        });
    }
}

for_every_isa! {
    /// For the features from `first` on: `dg = Σ dy · x̂` and `db = Σ dy` over the columns, one sum
    /// per lane.
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

/// Sums of a few features, one per lane.
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
            if let Some(GradientTarget { matrix, accumulate }) = target {
                let out = matrix.part_mut(0, some.clone());
                totals(at.isa, &sums[..some.len()], out, *accumulate);
            }
        }
    }
}

/// # Safety
/// The processor must have the instructions of `V`.
#[inline(always)]
unsafe fn normalise_lanes<T: Scalar, V: Vector<T>, const N: usize>(
    x: Matrix<'_, T>,
    gain: &[T],
    bias: &[T],
    epsilon: T,
    y: &mut MatrixMut<'_, T>,
    saved: &mut MatrixMut<'_, T>,
    first: usize,
) {
    // SAFETY: the caller's promise.
    let (x_of, all) = unsafe {
        (|f| Wide::<T, V, N>::read(x.row(f), first), |number| Wide::<T, V, N>::splat(number))
    };
    let range = first..first + Wide::<T, V, N>::LANES;
    let over = all(T::ONE / T::from_f64(x.rows as f64));
    let mut sum = all(T::ZERO);
    for f in 0..x.rows {
        sum = sum + x_of(f);
    }
    let mean = sum * over;
    let mut squares = all(T::ZERO);
    for f in 0..x.rows {
        let centred = x_of(f) - mean;
        squares = centred.mul_add(centred, squares);
    }
    let rstd = all(T::ONE) / (squares * over + all(epsilon)).sqrt();
    for (f, (gain, bias)) in gain.iter().zip(bias).enumerate() {
        let normalised = (x_of(f) - mean) * rstd;
        normalised.mul_add(all(*gain), all(*bias)).write(y.part_mut(f, range.clone()), 0);
    }
    mean.write(saved.part_mut(0, range.clone()), 0);
    rstd.write(saved.part_mut(1, range), 0);
}

/// With x̂ the normalised input and g = gain · dy:
/// `dx = rstd · (g − mean(g) − x̂ · mean(g · x̂))`, means over the features.
///
/// # Safety
/// The processor must have the instructions of `V`.
#[inline(always)]
unsafe fn input_gradient_lanes<T: Scalar, V: Vector<T>, const N: usize>(
    x: Matrix<'_, T>,
    dy: Matrix<'_, T>,
    gain: &[T],
    kept: Matrix<'_, T>,
    target: &mut GradientTarget<'_, T>,
    first: usize,
) {
    // SAFETY: the caller's promise.
    let (of, all) = unsafe {
        (
            |matrix: Matrix<'_, T>, f| Wide::<T, V, N>::read(matrix.row(f), first),
            |number| Wide::<T, V, N>::splat(number),
        )
    };
    let GradientTarget { matrix: dx, accumulate } = target;
    let over = all(T::ONE / T::from_f64(x.rows as f64));
    let (mean, rstd) = (of(kept, 0), of(kept, 1));
    let mut sum_g = all(T::ZERO);
    let mut sum_gx = all(T::ZERO);
    for (f, gain) in gain.iter().enumerate() {
        let g = of(dy, f) * all(*gain);
        sum_g = sum_g + g;
        sum_gx = g.mul_add(of(x, f) - mean, sum_gx);
    }
    let less_sum_g = all(T::ZERO) - sum_g * over * rstd;
    let sum_gx = sum_gx * over * rstd * rstd * rstd;
    for (f, gain) in gain.iter().enumerate() {
        let centred = (of(dy, f) * all(*gain)).mul_add(rstd, less_sum_g);
        let mut term = (mean - of(x, f)).mul_add(sum_gx, centred);
        let dx = dx.part_mut(f, first..first + Wide::<T, V, N>::LANES);
        if *accumulate {
            // SAFETY: the caller's promise.
            let before = unsafe { Wide::read(dx, 0) };
            term = before + term;
        }
        term.write(dx, 0);
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;
    use crate::parameter::{Initial, Parameter};

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
