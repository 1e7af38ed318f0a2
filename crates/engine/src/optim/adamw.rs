//! AdamW: Adam with weight decay that acts on the parameter, not through the gradient.

use super::Constants;
use super::adam::moments;
use crate::isa::for_every_isa;

for_every_isa! {
    /// One step; Algorithm 2 of Loshchilov and Hutter (2019), in PyTorch's order of operations.
    pub(super) fn update<T>(
        c: Constants, parameters: &mut [T], gradients: &[T], first: &mut [T], second: &mut [T],
    ) {
        let shrink = T::from_f64(1.0 - c.rate * c.weight_decay);
        for (((p, g), m), v) in parameters.iter_mut().zip(gradients).zip(first).zip(second) {
            *p = *p * shrink - moments(c, *g, m, v);
        }
    }
}
