//! Gradient descent on the batch at hand, with or without momentum.

use super::Constants;
use crate::isa::for_every_isa;

for_every_isa! {
    /// One step without momentum.
    pub(super) fn update<T>(c: Constants, parameters: &mut [T], gradients: &[T]) {
        let (rate, decay) = (T::from_f64(c.rate), T::from_f64(c.weight_decay));
        for (p, g) in parameters.iter_mut().zip(gradients) {
            *p -= rate * (*g + decay * *p);
        }
    }

    /// One step with it, as PyTorch has it: `b ← μ b + g`, and the step goes along b.
    pub(super) fn update_with_momentum<T>(
        c: Constants, parameters: &mut [T], gradients: &[T], buffer: &mut [T],
    ) {
        let (rate, decay) = (T::from_f64(c.rate), T::from_f64(c.weight_decay));
        let momentum = T::from_f64(c.momentum);
        for ((p, g), b) in parameters.iter_mut().zip(gradients).zip(buffer) {
            *b = momentum * *b + (*g + decay * *p);
            *p -= rate * *b;
        }
    }
}
