//! Repetition of heads: keys and values that several query heads share.

use crate::extent::Extents;
use crate::graph::{Graph, Shape};
use crate::handle::Value;
use crate::isa::for_every_isa;
use crate::operation::{Context, Operation, compiled};
use crate::scalar::Scalar;

struct RepeatHeads {
    /// Features of a head.
    width: usize,
    times: usize,
}

impl<T: Scalar> Graph<T> {
    /// Each of `heads` heads `times` times in a row: `[times · features, positions]`. With it, groups
    /// of query heads share keys and values (Ainslie et al., 2023).
    ///
    /// # Panics
    /// If `times` is 0, or the heads do not divide the features.
    pub fn repeat_heads(&mut self, x: Value, heads: usize, times: usize) -> Value {
        let Shape { features, positions } = self.shape(x);
        assert!(features.is_multiple_of(heads), "{heads} heads, {features} features");
        let shape = Shape { features: times * features, positions };
        self.push(RepeatHeads { width: features / heads, times }, vec![x], vec![], shape)
    }
}

compiled!(RepeatHeads);

impl<T: Scalar> Operation<T> for RepeatHeads {
    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    fn flops(&self, _: &Extents<'_>) -> u64 {
        0
    }

    fn forward(&self, at: &Context<'_, T>) {
        let (x, mut y) = (at.input(0), at.output());
        for f in at.worker.share(y.rows, 1) {
            let head = f / self.width / self.times;
            y.row_mut(f).copy_from_slice(x.row(head * self.width + f % self.width));
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let dy = at.d_output();
        let Some(mut dx) = at.d_input(0) else { return };
        for f in at.worker.share(dx.matrix.rows, 1) {
            let first = f / self.width * self.times * self.width + f % self.width;
            for copy in 0..self.times {
                let add = dx.accumulate || copy > 0;
                hand_back(at.isa, dy.row(first + copy * self.width), dx.matrix.row_mut(f), add);
            }
        }
    }
}

for_every_isa! {
    fn hand_back<T>(dy: &[T], dx: &mut [T], accumulate: bool) {
        if !accumulate {
            dx.copy_from_slice(dy);
            return;
        }
        for (dx, dy) in dx.iter_mut().zip(dy) {
            *dx += *dy;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;

    #[test]
    fn gradient() {
        for (heads, width, times, positions, batch) in
            [(1, 1, 1, 1, 1), (2, 2, 3, 2, 16), (3, 1, 2, 3, 18)]
        {
            let mut graph = Graph::<f64>::new();
            let x = with_stem(&mut graph, heads * width, positions);
            let y = graph.repeat_heads(x, heads, times);
            // Queries that differ from head to head, so that no two copies have one gradient.
            let z = graph.gelu(y);
            let z = graph.rotary(z, 1, (heads * width * times) / 2 * 2, 50.0);
            // The input is also used elsewhere.
            let again = graph.repeat_heads(x, 1, times);
            let y = graph.multiply(z, again);
            with_head(&mut graph, y, 4, 0..positions);
            assert_gradients(&graph, batch);
        }
    }
}
