//! Adam (Kingma and Ba, 2015), with weight decay as a part of the gradient.

use super::Constants;
use crate::isa::for_every_isa;
use crate::scalar::Scalar;

/// Moves both moments on and returns what is to be subtracted from the parameter.
#[inline(always)]
pub(super) fn moments<T: Scalar>(c: Constants, g: T, m: &mut T, v: &mut T) -> T {
    let [b1, b2] = c.betas.map(T::from_f64);
    let [d1, d2] = c.betas.map(|beta| T::from_f64(1.0 - beta));
    *m = *m * b1 + g * d1;
    *v = *v * b2 + g * g * d2;
    let root = v.sqrt() * T::from_f64(1.0 / c.second_correction) + T::from_f64(c.epsilon);
    T::from_f64(c.corrected_rate) * *m / root
}

for_every_isa! {
    /// One step, in PyTorch's order of operations.
    pub(super) fn update<T>(
        c: Constants, parameters: &mut [T], gradients: &[T], first: &mut [T], second: &mut [T],
    ) {
        let decay = T::from_f64(c.weight_decay);
        for (((p, g), m), v) in parameters.iter_mut().zip(gradients).zip(first).zip(second) {
            *p -= moments(c, *g + decay * *p, m, v);
        }
    }
}
