//! Lion: steps of one size, along the sign of a running mean of the gradient.

use super::Constants;
use crate::isa::for_every_isa;

for_every_isa! {
    /// One step; Chen et al., *Symbolic discovery of optimization algorithms* (2023), algorithm 2.
    /// Where the mean is 0 so is the step.
    pub(super) fn update<T>(
        c: Constants, parameters: &mut [T], gradients: &[T], mean: &mut [T],
    ) {
        let shrink = T::from_f64(1.0 - c.rate * c.weight_decay);
        let rate = T::from_f64(c.rate);
        let [b1, b2] = c.betas.map(T::from_f64);
        let [d1, d2] = c.betas.map(|beta| T::from_f64(1.0 - beta));
        for ((p, g), m) in parameters.iter_mut().zip(gradients).zip(mean) {
            let direction = *m * b1 + *g * d1;
            let up = if direction > T::ZERO { rate } else { T::ZERO };
            let down = if direction < T::ZERO { rate } else { T::ZERO };
            *p = *p * shrink - (up - down);
            *m = *m * b2 + *g * d2;
        }
    }
}
