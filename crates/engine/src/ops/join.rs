//! Concatenation along the positions.

use std::ops::Range;

use crate::extent::Extents;
use crate::graph::{Graph, Shape};
use crate::handle::Value;
use crate::isa::for_every_isa;
use crate::operation::{Context, Operation, compiled};
use crate::scalar::Scalar;

struct Join {
    /// The positions of the output that each input fills.
    parts: Vec<Range<usize>>,
}

impl<T: Scalar> Graph<T> {
    /// Concatenates values along the positions: `[features, sum of the positions]`.
    ///
    /// # Panics
    /// If there are none, or they have different numbers of features.
    pub fn join(&mut self, values: &[Value]) -> Value {
        assert!(!values.is_empty(), "there is nothing to join");
        let features = self.shape(values[0]).features;
        let mut parts = Vec::with_capacity(values.len());
        let mut positions = 0;
        for shape in values.iter().map(|value| self.shape(*value)) {
            assert_eq!(shape.features, features, "joined values have the same features");
            parts.push(positions..positions + shape.positions);
            positions += shape.positions;
        }
        let shape = Shape { features, positions };
        self.push(Join { parts }, values.to_vec(), vec![], shape)
    }
}

compiled!(Join);

impl<T: Scalar> Operation<T> for Join {
    /// The part of the output that this input fills; it may be empty.
    fn positions_needed(&self, input: usize, output: Range<usize>) -> Range<usize> {
        let part = &self.parts[input];
        let within = |p: usize| p.clamp(part.start, part.end) - part.start;
        within(output.start)..within(output.end)
    }

    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    fn flops(&self, _: &Extents<'_>) -> u64 {
        0
    }

    fn forward(&self, at: &Context<'_, T>) {
        let mut y = at.output();
        let features = at.worker.share(y.rows, 1);
        for (i, columns) in self.columns(at) {
            let x = at.input(i);
            for f in features.clone() {
                y.part_mut(f, columns.clone()).copy_from_slice(x.row(f));
            }
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let dy = at.d_output();
        for (i, columns) in self.columns(at) {
            let Some(mut dx) = at.d_input(i) else { continue };
            for f in at.worker.share(dy.rows, 1) {
                let dy = &dy.row(f)[columns.clone()];
                hand_back(at.isa, dy, dx.matrix.row_mut(f), dx.accumulate);
            }
        }
    }
}

impl Join {
    /// The inputs that are needed in part or whole, with the columns of the output that they fill.
    fn columns<T: Scalar>(
        &self,
        at: &Context<'_, T>,
    ) -> impl Iterator<Item = (usize, Range<usize>)> {
        let (output, lanes) = (at.output_positions().start, at.lanes);
        let parts = self.parts.iter().enumerate();
        parts.map(move |(i, part)| (i, part, at.input_positions(i))).filter_map(
            move |(i, part, used)| {
                let column = |p: usize| (part.start + p - output) * lanes;
                (!used.is_empty()).then(|| (i, column(used.start)..column(used.end)))
            },
        )
    }
}

for_every_isa! {
    fn hand_back<T>(dy: &[T], dx: &mut [T], accumulate: bool) {
        if accumulate {
            for (dx, dy) in dx.iter_mut().zip(dy) {
                *dx += *dy;
            }
        } else {
            dx.copy_from_slice(dy);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;
    use crate::ops::Orientation;
    use crate::parameter::{Initial, Parameter};

    #[test]
    fn gradient() {
        // Where only late positions are scored, the first inputs are not needed.
        for (positions, scored) in [(1, 0), (2, 0), (2, 3), (3, 4), (3, 6), (3, 8)] {
            let mut graph = Graph::<f64>::new();
            let x = with_stem(&mut graph, 4, positions);
            let normal = Initial::Normal { std: 0.5 };
            let w = graph.parameter(Parameter::matrix("w", [4, 4], normal));
            let h = graph.linear_whole(x, w, Orientation::InputsFirst, None);
            let bent = graph.gelu(h);
            let y = graph.join(&[x, bent, x]);
            with_head(&mut graph, y, 4, scored..3 * positions);
            assert_gradients(&graph, 18);
        }
    }

    /// An input that is not needed here although other operations need part of it.
    #[test]
    fn gradient_of_a_part_that_only_others_need() {
        let mut graph = Graph::<f64>::new();
        let x = with_stem(&mut graph, 4, 3);
        let h = graph.gelu(x);
        let y = graph.join(&[h, x]);
        let late = graph.select(h, &[2, 2, 2, 2, 2, 2]);
        let y = graph.multiply(y, late);
        with_head(&mut graph, y, 4, 4..6);
        assert_gradients(&graph, 3);
    }

    #[test]
    #[should_panic(expected = "joined values have the same features")]
    fn values_of_different_width() {
        let mut graph = Graph::<f64>::new();
        let x = with_stem(&mut graph, 2, 3);
        let w = Parameter::matrix("w", [2, 3], Initial::Constant(1.0));
        let w = graph.parameter(w);
        let y = graph.linear_whole(x, w, Orientation::InputsFirst, None);
        graph.join(&[x, y]);
    }
}
