//! Selects positions of a value, in any order, once or several times.

use std::ops::Range;

use crate::extent::Extents;
use crate::graph::{Graph, Shape};
use crate::handle::Value;
use crate::isa::for_every_isa;
use crate::lower::{Lowering, NotLowered, kernel};
use crate::operation::{Context, Operation, compiled};
use crate::scalar::Scalar;

struct Select {
    from: Vec<usize>,
}

impl<T: Scalar> Graph<T> {
    /// Position p of the output is position `positions[p]` of `x`, which may be taken more than
    /// once or not at all: `[features, number of positions]`.
    ///
    /// # Panics
    /// If there are none, or `x` does not have one of them.
    pub fn select(&mut self, x: Value, positions: &[usize]) -> Value {
        let from = self.shape(x);
        assert!(!positions.is_empty(), "a value has at least one position");
        let missing = positions.iter().find(|p| **p >= from.positions);
        assert!(missing.is_none(), "no position {missing:?} among {}", from.positions);
        let shape = Shape { features: from.features, positions: positions.len() };
        self.push(Select { from: positions.to_vec() }, vec![x], vec![], shape)
    }
}

compiled!(Select);

impl<T: Scalar> Operation<T> for Select {
    /// The range from the first to the last selected position.
    fn positions_needed(&self, _input: usize, output: Range<usize>) -> Range<usize> {
        let taken = &self.from[output];
        let (first, last) = (taken.iter().min(), taken.iter().max());
        first.copied().unwrap_or(0)..last.map_or(0, |last| last + 1)
    }

    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    fn flops(&self, _: &Extents<'_>) -> u64 {
        0
    }

    fn forward(&self, at: &Context<'_, T>) {
        let (x, mut y) = (at.input(0), at.output());
        let (first, lanes) = (at.input_positions(0).start, at.lanes);
        for f in at.worker.share(x.rows, 1) {
            let x = x.row(f);
            for (p, from) in self.from[at.output_positions()].iter().enumerate() {
                let from = (from - first) * lanes;
                let y = y.part_mut(f, p * lanes..(p + 1) * lanes);
                y.copy_from_slice(&x[from..from + lanes]);
            }
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let dy = at.d_output();
        let Some(mut dx) = at.d_input(0) else { return };
        let from = &self.from[at.output_positions()];
        for f in at.worker.share(dy.rows, 1) {
            let first = at.input_positions(0).start;
            add_back(at.isa, from, first, at.lanes, dy.row(f), dx.matrix.row_mut(f), dx.accumulate);
        }
    }

    fn lower_forward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        let (x, first) = (at.input(0), at.input_positions(0).start);
        let from = self.from[at.output_positions()].iter().map(|from| (from - first) as u32);
        let from: Vec<u32> = from.collect();
        let (count, from) = (from.len().into(), at.constant(&from));
        let (features, lanes) = (x.place.rows.into(), at.lanes.into());
        at.push(kernel::Select { x, from, y: at.output(), features, lanes, count });
        Ok(())
    }
}

for_every_isa! {
    /// Adds the gradient of each position to that of its source, in the order of the positions;
    /// positions that were not selected get zero.
    fn add_back<T>(
        from: &[usize], first: usize, lanes: usize, dy: &[T], dx: &mut [T], accumulate: bool,
    ) {
        if !accumulate {
            dx.fill(T::ZERO);
        }
        for (from, dy) in from.iter().zip(dy.chunks_exact(lanes)) {
            let start = (from - first) * lanes;
            for (dx, dy) in dx[start..start + lanes].iter_mut().zip(dy) {
                *dx += *dy;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;

    #[test]
    fn gradient() {
        // Reversed, repeated, with a gap, one alone; and of some outputs only the last is scored.
        let cases: [(usize, &[usize], usize); 5] = [
            (1, &[0], 0),
            (3, &[2, 1, 0], 0),
            (3, &[1, 1, 0, 1], 1),
            (4, &[3, 0], 0),
            (5, &[4, 1, 3], 2),
        ];
        for (positions, order, scored) in cases {
            let mut graph = Graph::<f64>::new();
            let x = with_stem(&mut graph, 4, positions);
            let y = graph.select(x, order);
            with_head(&mut graph, y, 4, scored..order.len());
            assert_gradients(&graph, 18);
        }
    }

    /// Another operation uses part of the source too: the gradients add up.
    #[test]
    fn gradient_where_others_use_the_same_value() {
        let mut graph = Graph::<f64>::new();
        let x = with_stem(&mut graph, 4, 4);
        let h = graph.gelu(x);
        let turned = graph.select(h, &[3, 2, 2]);
        let plain = graph.select(h, &[0, 1, 2]);
        let y = graph.multiply(turned, plain);
        with_head(&mut graph, y, 4, 1..3);
        assert_gradients(&graph, 5);
    }

    #[test]
    #[should_panic(expected = "no position Some(3) among 3")]
    fn a_position_that_is_not_there() {
        let mut graph = Graph::<f64>::new();
        let x = with_stem(&mut graph, 2, 3);
        graph.select(x, &[0, 3]);
    }
}
