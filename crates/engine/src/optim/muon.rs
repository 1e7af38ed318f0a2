//! Muon: the momentum of a hidden matrix, with all its singular values brought near 1 (Jordan et
//! al., 2024).

use super::Constants;
use crate::isa::{Isa, for_every_isa};
use crate::kernels::Orthogonal;
use crate::parameters::Layout;
use crate::scalar::Scalar;

/// Jordan's quintic step: its coefficients lift small singular values fast and leave the others
/// about 1 rather than at it.
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];
/// How many steps.
const STEPS: usize = 5;
/// What an orthogonal matrix is multiplied by, for each root of its longer side: numbers of the
/// size that AdamW's updates have, so that its rate and its decay carry over (Liu et al., *Muon is
/// scalable for LLM training*, 2025).
const SCALE: f64 = 0.2;

/// A hidden matrix in the flat buffers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hidden {
    pub(super) start: usize,
    rows: usize,
    columns: usize,
}

impl Hidden {
    /// All of a model, in the order of the graph. One that is frozen has no update.
    pub(super) fn all(layout: &Layout) -> Vec<Hidden> {
        let parameters = layout.parameters.iter().zip(&layout.starts);
        let hidden = parameters.filter(|(p, _)| p.hidden && p.trainable && !p.vector);
        hidden
            .map(|(p, start)| Hidden { start: *start, rows: p.rows, columns: p.columns })
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.rows * self.columns
    }

    fn shape(&self) -> Orthogonal {
        Orthogonal::new(self.rows, self.columns)
    }

    /// Numbers that an update needs for itself: its direction, X, and what a step of X needs.
    pub(super) fn scratch(&self) -> usize {
        self.len() + self.shape().numbers() + self.shape().scratch()
    }

    /// One step of one matrix: `b ← μ b + g`; of `g + μ b` (Nesterov's momentum) the orthogonal
    /// matrix nearest to it, roughly; decay that acts on the parameter.
    pub(super) fn update<T: Scalar>(
        &self,
        isa: Isa,
        c: Constants,
        parameters: &mut [T],
        gradients: &[T],
        buffer: &mut [T],
        scratch: &mut [T],
    ) {
        let shape = self.shape();
        let (direction, scratch) = scratch.split_at_mut(self.len());
        let (x, scratch) = scratch.split_at_mut(shape.numbers());
        advance(isa, T::from_f64(c.momentum), gradients, buffer, direction);
        shape.load(isa, direction, x);
        for _ in 0..STEPS {
            shape.step(isa, QUINTIC, x, scratch);
        }
        let shrink = T::from_f64(1.0 - c.rate * c.weight_decay);
        let rate = T::from_f64(c.rate * SCALE * (self.rows.max(self.columns) as f64).sqrt());
        for (row, parameters) in parameters.chunks_exact_mut(self.columns).enumerate() {
            for (column, p) in parameters.iter_mut().enumerate() {
                *p = *p * shrink - rate * x[shape.at(row, column)];
            }
        }
    }
}

for_every_isa! {
    fn advance<T>(momentum: T, gradients: &[T], buffer: &mut [T], direction: &mut [T]) {
        for ((g, b), direction) in gradients.iter().zip(buffer).zip(direction) {
            *b = momentum * *b + *g;
            *direction = *g + momentum * *b;
        }
    }
}
