//! AdamW: Adam with weight decay that acts on the parameter, not through the gradient.

use retrodict_settings::{BELOW_ONE, POSITIVE, settings};

use super::adam::MomentEstimates;
use super::{Elements, Method, Step};
use crate::isa::{Isa, for_every_isa};
use crate::scalar::Scalar;

settings! {
    /// `torch.optim.AdamW`: decoupled weight decay (Loshchilov and Hutter, 2019).
    #[derive(Copy)]
    pub struct AdamW in "train" {
        /// Decay rates of the two moments.
        pub betas: [f64; 2] = [0.9, 0.999], BELOW_ONE;
        /// ε, added to the root of the second moment.
        pub epsilon: f64 = 1e-8, POSITIVE, fixed;
    }
}

impl Method for AdamW {
    fn moments(&self) -> usize {
        2
    }

    fn momentum(&self) -> f64 {
        self.betas[0]
    }

    fn moment_estimates(&self, step: Step) -> Option<MomentEstimates> {
        Some(MomentEstimates::new(self.betas, self.epsilon, step))
    }

    fn update<T: Scalar>(&self, isa: Isa, step: Step, elements: Elements<'_, T>) {
        let Elements { parameters, gradients, moments: [first, second] } = elements;
        let estimates = MomentEstimates::new(self.betas, self.epsilon, step);
        update(isa, step, estimates, parameters, gradients, first, second);
    }
}

for_every_isa! {
    /// One step; Algorithm 2 of Loshchilov and Hutter (2019), in PyTorch's order of operations.
    fn update<T>(
        step: Step, estimates: MomentEstimates, parameters: &mut [T], gradients: &[T],
        first: &mut [T], second: &mut [T],
    ) {
        let shrink = step.shrink::<T>();
        for (((p, g), m), v) in parameters.iter_mut().zip(gradients).zip(first).zip(second) {
            *p = *p * shrink - estimates.step(*g, m, v);
        }
    }
}
