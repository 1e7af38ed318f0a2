//! Muon: steps along the momentum of a hidden matrix, with all singular values brought near 1
//! (Jordan et al., 2024).

use retrodict_settings::{BELOW_ONE, POSITIVE, settings};

use super::{AdamW, Elements, Matrix, Method, Step};
use crate::isa::{Isa, for_every_isa};
use crate::kernels::Orthogonal;
use crate::scalar::Scalar;

/// Jordan's quintic step: its coefficients lift small singular values fast and leave the others
/// about 1 rather than at it.
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];
/// Quintic steps per update.
const STEPS: usize = 5;
/// The factor of an orthogonal step, times the root of the longer side: updates then have the size
/// of AdamW's, so that AdamW's rate and decay carry over (Liu et al., *Muon is scalable for LLM
/// training*, 2025).
const SCALE: f64 = 0.2;

settings! {
    /// Orthogonal steps for [hidden](crate::Parameter::hidden) weights (Jordan et al., 2024), and
    /// AdamW for all other parameters. Queries, keys and values are orthogonalised apart, as are the
    /// gates of a recurrent mixer. Hidden weights have no second moment: theirs stays zero.
    // Revision 1 orthogonalised matrices that stand side by side as one.
    #[derive(Copy)]
    pub struct Muon in "train", hash_only [("optimizer", "\"muon\" revision 2")] {
        /// Factor of Nesterov's momentum, of hidden weights; their steps are orthogonal matrices
        /// times 0.2 √(longer side) times the rate, so that AdamW's rate and decay carry over.
        pub momentum: f64 = 0.95, BELOW_ONE;
        /// Decay rates of AdamW, for all other parameters.
        pub betas: [f64; 2] = [0.9, 0.999], BELOW_ONE;
        /// ε of AdamW.
        pub epsilon: f64 = 1e-8, POSITIVE, fixed;
    }
}

impl Method for Muon {
    fn moments(&self) -> usize {
        2
    }

    fn momentum(&self) -> f64 {
        self.momentum
    }

    fn update<T: Scalar>(&self, isa: Isa, step: Step, elements: Elements<'_, T>) {
        AdamW { betas: self.betas, epsilon: self.epsilon }.update(isa, step, elements);
    }

    fn takes_matrices(&self) -> bool {
        true
    }

    /// The direction, X, and the scratch memory of a step of X.
    fn matrix_scratch(&self, matrix: Matrix) -> usize {
        let shape = Orthogonal::new(matrix.rows, matrix.map_width());
        matrix.len() + shape.numbers() + shape.scratch()
    }

    /// `b ← μ b + g`; the step of each map is about the orthogonal matrix nearest to `g + μ b`
    /// (Nesterov's momentum), with decoupled weight decay.
    fn update_matrix<T: Scalar>(
        &self,
        isa: Isa,
        step: Step,
        matrix: Matrix,
        elements: Elements<'_, T>,
        scratch: &mut [T],
    ) {
        let Elements { parameters, gradients, moments: [buffer, _] } = elements;
        let Matrix { rows, columns, .. } = matrix;
        let width = matrix.map_width();
        let shape = Orthogonal::new(rows, width);
        let (direction, scratch) = scratch.split_at_mut(matrix.len());
        let (x, scratch) = scratch.split_at_mut(shape.numbers());
        advance(isa, T::from_f64(self.momentum), gradients, buffer, direction);
        let shrink = step.shrink::<T>();
        let rate = T::from_f64(step.rate * SCALE * (rows.max(width) as f64).sqrt());
        for first in (0..columns).step_by(width) {
            shape.load(isa, &direction[first..], columns, x);
            for _ in 0..STEPS {
                shape.step(isa, QUINTIC, x, scratch);
            }
            for (row, parameters) in parameters.chunks_exact_mut(columns).enumerate() {
                for (column, p) in parameters[first..first + width].iter_mut().enumerate() {
                    *p = *p * shrink - rate * x[shape.at(row, column)];
                }
            }
        }
    }
}

for_every_isa! {
    /// Updates the momentum and writes Nesterov's direction.
    fn advance<T>(momentum: T, gradients: &[T], buffer: &mut [T], direction: &mut [T]) {
        for ((g, b), direction) in gradients.iter().zip(buffer).zip(direction) {
            *b = momentum * *b + *g;
            *direction = *g + momentum * *b;
        }
    }
}
