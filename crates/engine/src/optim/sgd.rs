//! Gradient descent on the batch at hand.

use super::Constants;
use crate::isa::for_every_isa;

for_every_isa! {
    /// One step.
    pub(super) fn update<T>(c: Constants, parameters: &mut [T], gradients: &[T]) {
        let (rate, decay) = (T::from_f64(c.rate), T::from_f64(c.weight_decay));
        for (p, g) in parameters.iter_mut().zip(gradients) {
            *p -= rate * (*g + decay * *p);
        }
    }
}
