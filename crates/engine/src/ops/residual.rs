//! The residual connection: adds a branch, with dropout, to the stream.

use crate::extent::Extents;
use crate::graph::Graph;
use crate::handle::Value;
use crate::isa::for_every_isa;
use crate::lower::{Lowering, NotLowered, Size, kernel};
use crate::operation::{Context, Operation, compiled};
use crate::ops::dropout::{lower_scaled, row_unit};
use crate::random::{dropout_factors, dropout_threshold};
use crate::scalar::Scalar;

struct Residual {
    threshold: u32,
    stream: u32,
}

impl<T: Scalar> Graph<T> {
    /// `x + dropout(branch, p)`.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn residual(&mut self, x: Value, branch: Value, p: f64) -> Value {
        let shape = self.shape(x);
        assert_eq!(shape, self.shape(branch), "a branch has the shape of its stream");
        let (threshold, stream) = (dropout_threshold(p), self.next_stream());
        self.push(Residual { threshold, stream }, vec![x, branch], vec![], shape)
    }
}

impl Residual {
    fn drops<T>(&self, at: &Context<'_, T>) -> bool {
        at.training && self.threshold > 0
    }
}

compiled!(Residual);

impl<T: Scalar> Operation<T> for Residual {
    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    /// The factors of dropout.
    fn saved(&self, extents: &Extents<'_>) -> (usize, usize) {
        if self.threshold == 0 {
            return (0, 0);
        }
        (1, extents.output.features * extents.columns())
    }

    fn passes_gradient(&self) -> bool {
        true
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        2 * (extents.output.features * extents.columns()) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let (x, branch, mut y) = (at.input(0), at.input(1), at.output());
        if !self.drops(at) {
            for f in at.worker.share(x.rows, 1) {
                add(at.isa, x.row(f), branch.row(f), y.row_mut(f));
            }
            return;
        }
        let width = x.columns;
        let rows = at.worker.share(x.rows, row_unit(width));
        let mut saved = at.saved();
        let factors = saved.part_mut(0, rows.start * width..rows.end * width);
        dropout_factors(at.isa, at.noise, self.stream, self.threshold, rows.start * width, factors);
        for (f, factors) in rows.zip(factors.chunks(width)) {
            add_scaled(at.isa, x.row(f), branch.row(f), factors, y.row_mut(f));
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let (dy, drops) = (at.d_output(), self.drops(at));
        let features = at.worker.share(dy.rows, 1);
        if let Some(mut dx) = at.d_input(0)
            && dx.matrix.as_mut_ptr().cast_const() != dy.as_ptr()
        {
            for f in features.clone() {
                scale(at.isa, dy.row(f), None, dx.matrix.row_mut(f), dx.accumulate);
            }
        }
        if let Some(mut db) = at.d_input(1) {
            for f in features {
                let kept = at.kept();
                let part = f * dy.columns..(f + 1) * dy.columns;
                let factors = drops.then(|| &kept.row(0)[part]);
                scale(at.isa, dy.row(f), factors, db.matrix.row_mut(f), db.accumulate);
            }
        }
    }

    fn lower_forward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        let (x, branch, y) = (at.input(0), at.input(1), at.output());
        let [threshold, stream] = at.dropout(self.threshold, self.stream);
        let (rows, columns) = (x.place.rows.into(), x.place.columns.into());
        let launch = kernel::Residual { x, branch, y, rows, columns, stream, threshold };
        match threshold {
            Size(0) => at.push(launch),
            _ => at.push_with_noise(launch),
        }
        Ok(())
    }

    fn lower_backward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        let dy = at.d_output();
        if let Some(dx) = at.d_input(0).filter(|dx| dx.area.place.start != dy.place.start) {
            lower_scaled(at, dy, dx, [Size(0), Size(0)]);
        }
        if let Some(db) = at.d_input(1) {
            let dropout = at.dropout(self.threshold, self.stream);
            lower_scaled(at, dy, db, dropout);
        }
        Ok(())
    }
}

for_every_isa! {
    fn add<T>(x: &[T], branch: &[T], y: &mut [T]) {
        for ((x, branch), y) in x.iter().zip(branch).zip(y) {
            *y = *x + *branch;
        }
    }

    fn add_scaled<T>(x: &[T], branch: &[T], factors: &[T], y: &mut [T]) {
        for (((x, branch), factor), y) in x.iter().zip(branch).zip(factors).zip(y) {
            *y = *x + *branch * *factor;
        }
    }

    fn scale<T>(dy: &[T], factors: Option<&[T]>, out: &mut [T], accumulate: bool) {
        match factors {
            Some(factors) => {
                for ((dy, factor), out) in dy.iter().zip(factors).zip(out) {
                    let term = *dy * *factor;
                    *out = if accumulate { *out + term } else { term };
                }
            }
            None if accumulate => {
                for (dy, out) in dy.iter().zip(out) {
                    *out += *dy;
                }
            }
            None => out.copy_from_slice(dy),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;

    #[test]
    fn gradient() {
        for (features, positions, batch) in [(3, 1, 1), (6, 2, 16), (9, 3, 18)] {
            for p in [0.0, 0.3] {
                let mut graph = Graph::<f64>::new();
                let x = with_stem(&mut graph, features, positions);
                let branch = graph.gelu(x);
                let y = graph.residual(x, branch, p);
                let branch = graph.gelu(y);
                let y = graph.residual(y, branch, p);
                // Only one position of the last value is needed: the gradients of the others, which
                // the first branch still reads, must be zero.
                with_head(&mut graph, y, 4, positions - 1..positions);
                assert_gradients(&graph, batch);
            }
        }
    }
}
