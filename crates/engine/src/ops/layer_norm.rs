//! Layer normalisation over the features.

use std::ops::Range;

use crate::graph::{Graph, ParameterId, Value};
use crate::isa::for_every_isa;
use crate::matrix::{Matrix, MatrixMut, Target};
use crate::operation::{Context, Extents, Operation};
use crate::ops::{SUM_LANES, put, sum};
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
        let features = at.worker.share(x.rows, SUM_LANES);
        if let Some(target) = at.d_parameter(0) {
            gain_gradient(at.isa, x, dy, kept, target, features.clone());
        }
        if let Some(Target { matrix: mut db, accumulate }) = at.d_parameter(1) {
            for f in features {
                put(&mut db.part_mut(0, f..f + 1)[0], sum(dy.row(f)), accumulate);
            }
        }
    }
}

for_every_isa! {
    fn normalise<T>(
        x: Matrix<'_, T>, gain: &[T], bias: &[T], epsilon: T, y: MatrixMut<'_, T>,
        saved: MatrixMut<'_, T>, columns: Range<usize>,
    ) {
        let mut y = y;
        let mut saved = saved;
        let over = T::ONE / T::from_f64(x.rows as f64);
        for first in columns.step_by(SUM_LANES) {
            let lanes = first..first + SUM_LANES;
            let mut mean = [T::ZERO; SUM_LANES];
            for f in 0..x.rows {
                for (mean, x) in mean.iter_mut().zip(&x.row(f)[lanes.clone()]) {
                    *mean += *x;
                }
            }
            for mean in &mut mean {
                *mean *= over;
            }
            let mut variance = [T::ZERO; SUM_LANES];
            for f in 0..x.rows {
                let x = &x.row(f)[lanes.clone()];
                for ((variance, x), mean) in variance.iter_mut().zip(x).zip(&mean) {
                    let centred = *x - *mean;
                    *variance += centred * centred;
                }
            }
            let rstd = variance.map(|v| T::ONE / (v * over + epsilon).sqrt());
            for f in 0..x.rows {
                let (gain, bias) = (gain[f], bias[f]);
                let x = &x.row(f)[lanes.clone()];
                let y = y.part_mut(f, lanes.clone());
                for (((y, x), mean), rstd) in y.iter_mut().zip(x).zip(&mean).zip(&rstd) {
                    *y = (*x - *mean) * *rstd * gain + bias;
                }
            }
            saved.part_mut(0, lanes.clone()).copy_from_slice(&mean);
            saved.part_mut(1, lanes).copy_from_slice(&rstd);
        }
    }

    /// With x̂ the normalised input and g = gain · dy:
    /// `dx = rstd · (g − mean(g) − x̂ · mean(g · x̂))`, means over the features.
    fn input_gradient<T>(
        x: Matrix<'_, T>, dy: Matrix<'_, T>, gain: &[T], kept: Matrix<'_, T>,
        target: Target<'_, T>, columns: Range<usize>,
    ) {
        let Target { matrix: mut dx, accumulate } = target;
        let over = T::ONE / T::from_f64(x.rows as f64);
        for first in columns.step_by(SUM_LANES) {
            let lanes = first..first + SUM_LANES;
            let (mean, rstd) = (&kept.row(0)[lanes.clone()], &kept.row(1)[lanes.clone()]);
            let mut sum_g = [T::ZERO; SUM_LANES];
            let mut sum_gx = [T::ZERO; SUM_LANES];
            for (f, gain) in gain.iter().enumerate() {
                let (x, dy) = (&x.row(f)[lanes.clone()], &dy.row(f)[lanes.clone()]);
                for i in 0..SUM_LANES {
                    let g = dy[i] * *gain;
                    sum_g[i] += g;
                    sum_gx[i] += g * (x[i] - mean[i]);
                }
            }
            for i in 0..SUM_LANES {
                sum_g[i] *= over;
                sum_gx[i] = sum_gx[i] * over * rstd[i] * rstd[i];
            }
            for (f, gain) in gain.iter().enumerate() {
                let (x, dy) = (&x.row(f)[lanes.clone()], &dy.row(f)[lanes.clone()]);
                let dx = dx.part_mut(f, lanes.clone());
                for i in 0..SUM_LANES {
                    let term = rstd[i]
                        * (dy[i] * *gain - sum_g[i] - (x[i] - mean[i]) * sum_gx[i]);
                    dx[i] = if accumulate { dx[i] + term } else { term };
                }
            }
        }
    }

    fn gain_gradient<T>(
        x: Matrix<'_, T>, dy: Matrix<'_, T>, kept: Matrix<'_, T>, target: Target<'_, T>,
        features: Range<usize>,
    ) {
        let Target { matrix: mut dg, accumulate } = target;
        let (mean, rstd) = (kept.row(0), kept.row(1));
        for f in features {
            let (x, dy) = (x.row(f), dy.row(f));
            let mut sums = [T::ZERO; SUM_LANES];
            for first in (0..dy.len()).step_by(SUM_LANES) {
                let lanes = first..first + SUM_LANES;
                let (x, dy) = (&x[lanes.clone()], &dy[lanes.clone()]);
                let (mean, rstd) = (&mean[lanes.clone()], &rstd[lanes]);
                for i in 0..SUM_LANES {
                    sums[i] += dy[i] * (x[i] - mean[i]) * rstd[i];
                }
            }
            put(&mut dg.part_mut(0, f..f + 1)[0], sum(&sums), accumulate);
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
