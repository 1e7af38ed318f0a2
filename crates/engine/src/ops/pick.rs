//! Positions of a value that differ from example to example.

use std::ops::Range;

use crate::extent::Extents;
use crate::graph::{Graph, Shape};
use crate::handle::{Indices, Value};
use crate::isa::for_every_isa;
use crate::operation::{Context, Operation, compiled};
use crate::scalar::Scalar;

struct Pick {
    from: usize,
    /// Positions of the input.
    positions: usize,
}

impl<T: Scalar> Graph<T> {
    /// `y[·, p, b] = x[·, from[p, b], b]`: `[features, positions of from]`. Sentences of differing
    /// lengths are thus read where each of them ends.
    ///
    /// `from` must hold positions of `x` when the program runs.
    pub fn pick(&mut self, x: Value, from: Indices) -> Value {
        let Shape { features, positions } = self.shape(x);
        let (from, count) = self.index_input(from);
        let shape = Shape { features, positions: count };
        self.push(Pick { from, positions }, vec![x], vec![], shape)
    }
}

compiled!(Pick);

impl<T: Scalar> Operation<T> for Pick {
    fn positions_needed(&self, _input: usize, _output: Range<usize>) -> Range<usize> {
        0..self.positions
    }

    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    fn flops(&self, _: &Extents<'_>) -> u64 {
        0
    }

    fn forward(&self, at: &Context<'_, T>) {
        let (x, mut y) = (at.input(0), at.output());
        let from = at.indices(self.from, at.output_positions());
        for f in at.worker.share(x.rows, 1) {
            take(at.isa, x.row(f), from, at.lanes, y.row_mut(f));
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let dy = at.d_output();
        let Some(mut dx) = at.d_input(0) else { return };
        let from = at.indices(self.from, at.output_positions());
        for f in at.worker.share(dy.rows, 1) {
            give_back(at.isa, dy.row(f), from, at.lanes, dx.matrix.row_mut(f), dx.accumulate);
        }
    }
}

for_every_isa! {
    fn take<T>(x: &[T], from: &[u32], lanes: usize, y: &mut [T]) {
        for (column, (y, from)) in y.iter_mut().zip(from).enumerate() {
            *y = x[*from as usize * lanes + column % lanes];
        }
    }

    /// Adds the gradient of each position to that of its source, in the order of the positions.
    fn give_back<T>(dy: &[T], from: &[u32], lanes: usize, dx: &mut [T], accumulate: bool) {
        if !accumulate {
            dx.fill(T::ZERO);
        }
        for (column, (dy, from)) in dy.iter().zip(from).enumerate() {
            dx[*from as usize * lanes + column % lanes] += *dy;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;

    #[test]
    fn gradient() {
        for (features, positions, count, batch) in [(2, 3, 1, 1), (5, 4, 3, 16), (3, 3, 5, 18)] {
            let mut graph = Graph::<f64>::new();
            let x = with_stem(&mut graph, features, positions);
            let from = graph.indices(count);
            let y = graph.pick(x, from);
            with_head(&mut graph, y, 4, 0..count);
            assert_gradients(&graph, batch);
        }
    }
}
