//! Dropout.

use crate::extent::Extents;
use crate::graph::Graph;
use crate::handle::Value;
use crate::isa::for_every_isa;
use crate::lower::{Area, Lowering, NotLowered, Put, Size, kernel};
use crate::operation::{Context, Operation, compiled};
use crate::random::{DROPOUT_BLOCK, dropout_factors, dropout_threshold};
use crate::scalar::Scalar;

struct Dropout {
    threshold: u32,
    stream: u32,
}

impl<T: Scalar> Graph<T> {
    /// In training, each number is 0 with probability `p` (rounded to 1/65536), and otherwise
    /// scaled up to keep the mean. In inference, `x` itself.
    pub fn dropout(&mut self, x: Value, p: f64) -> Value {
        let shape = self.shape(x);
        let (threshold, stream) = (dropout_threshold(p), self.next_stream());
        if threshold == 0 {
            return x;
        }
        self.push(Dropout { threshold, stream }, vec![x], vec![], shape)
    }
}

compiled!(Dropout);

impl<T: Scalar> Operation<T> for Dropout {
    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    /// The factors.
    fn saved(&self, extents: &Extents<'_>) -> (usize, usize) {
        (1, extents.output.features * extents.columns())
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        (extents.output.features * extents.columns()) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let (x, mut y, mut saved) = (at.input(0), at.output(), at.saved());
        if !at.training {
            for f in at.worker.share(x.rows, 1) {
                y.row_mut(f).copy_from_slice(x.row(f));
            }
            return;
        }
        let width = x.columns;
        let rows = at.worker.share(x.rows, row_unit(width));
        let factors = saved.part_mut(0, rows.start * width..rows.end * width);
        dropout_factors(at.isa, at.noise, self.stream, self.threshold, rows.start * width, factors);
        for (f, factors) in rows.zip(factors.chunks(width)) {
            scale(at.isa, x.row(f), factors, y.row_mut(f), false);
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let (dy, kept) = (at.d_output(), at.kept());
        let Some(mut dx) = at.d_input(0) else { return };
        for f in at.worker.share(dy.rows, 1) {
            let factors = &kept.row(0)[f * dy.columns..(f + 1) * dy.columns];
            scale(at.isa, dy.row(f), factors, dx.matrix.row_mut(f), dx.accumulate);
        }
    }

    fn lower_forward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        let dropout = at.dropout(self.threshold, self.stream);
        lower_scaled(at, at.input(0), at.output(), dropout);
        Ok(())
    }

    fn lower_backward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        if let Some(dx) = at.d_input(0) {
            let dropout = at.dropout(self.threshold, self.stream);
            lower_scaled(at, at.d_output(), dx, dropout);
        }
        Ok(())
    }
}

/// Appends a launch that writes or adds `x`, with dropout's factors.
pub(super) fn lower_scaled(at: &mut Lowering<'_>, x: Area, y: Put, [threshold, stream]: [Size; 2]) {
    let (rows, columns) = (x.place.rows.into(), x.place.columns.into());
    let launch = kernel::Dropout { x, y, rows, columns, stream, threshold };
    match threshold {
        Size(0) => at.push(launch),
        _ => at.push_with_noise(launch),
    }
}

/// The number of rows of this width that fill whole blocks of random draws.
pub(super) fn row_unit(width: usize) -> usize {
    let mut unit = 1;
    while !(unit * width).is_multiple_of(DROPOUT_BLOCK) {
        unit += 1;
    }
    unit
}

for_every_isa! {
    fn scale<T>(x: &[T], factors: &[T], y: &mut [T], accumulate: bool) {
        for ((x, factor), y) in x.iter().zip(factors).zip(y) {
            let term = *x * *factor;
            *y = if accumulate { *y + term } else { term };
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;

    #[test]
    fn gradient() {
        // The same draws for every evaluation: the loss is a smooth function of the parameters.
        for (features, positions, batch) in [(3, 1, 1), (6, 2, 16), (9, 3, 18)] {
            let mut graph = Graph::<f64>::new();
            let x = with_stem(&mut graph, features, positions);
            let y = graph.dropout(x, 0.3);
            with_head(&mut graph, y, 4, 0..positions);
            assert_gradients(&graph, batch);
        }
    }
}
