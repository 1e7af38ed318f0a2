//! Lion: steps of equal size along the sign of a running mean of the gradient.

use retrodict_settings::{BELOW_ONE, settings};

use super::{Elements, Method, Step};
use crate::isa::{Isa, for_every_isa};
use crate::scalar::Scalar;

settings! {
    /// Steps along the sign of a running mean, with decoupled weight decay (Chen et al., 2023).
    #[derive(Copy)]
    pub struct Lion in "train" {
        /// Decay rates: of the mean whose sign is taken, and of the mean that is kept.
        pub betas: [f64; 2] = [0.9, 0.99], BELOW_ONE;
    }
}

impl Method for Lion {
    fn moments(&self) -> usize {
        1
    }

    fn momentum(&self) -> f64 {
        self.betas[0]
    }

    fn update<T: Scalar>(&self, isa: Isa, step: Step, elements: Elements<'_, T>) {
        let Elements { parameters, gradients, moments: [mean, _] } = elements;
        update(isa, self.betas, step, parameters, gradients, mean);
    }
}

for_every_isa! {
    /// One step; Chen et al., *Symbolic discovery of optimization algorithms* (2023), algorithm 2.
    /// Where the mean is 0 so is the step.
    fn update<T>(
        betas: [f64; 2], step: Step, parameters: &mut [T], gradients: &[T], mean: &mut [T],
    ) {
        let (shrink, rate) = (step.shrink::<T>(), T::from_f64(step.rate));
        let [b1, b2] = betas.map(T::from_f64);
        let [d1, d2] = betas.map(|beta| T::from_f64(1.0 - beta));
        for ((p, g), m) in parameters.iter_mut().zip(gradients).zip(mean) {
            let direction = *m * b1 + *g * d1;
            let up = if direction > T::ZERO { rate } else { T::ZERO };
            let down = if direction < T::ZERO { rate } else { T::ZERO };
            *p = *p * shrink - (up - down);
            *m = *m * b2 + *g * d2;
        }
    }
}
