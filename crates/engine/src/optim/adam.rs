//! Adam (Kingma and Ba, 2015), with weight decay as part of the gradient.

use retrodict_settings::{BELOW_ONE, POSITIVE, settings};

use super::{Elements, Method, Step, StepRates};
use crate::isa::{Isa, for_every_isa};
use crate::scalar::Scalar;

settings! {
    /// `torch.optim.Adam`: weight decay is part of the gradient.
    #[derive(Copy)]
    pub struct Adam in "train" {
        /// Decay rates of the two moments.
        pub betas: [f64; 2] = [0.9, 0.999], BELOW_ONE;
        /// ε, added to the root of the second moment.
        pub epsilon: f64 = 1e-8, POSITIVE, fixed;
    }
}

impl Method for Adam {
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

/// The running means of the gradient and its square, with their bias corrections at one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct MomentEstimates {
    betas: [f64; 2],
    epsilon: f64,
    /// `rate / (1 − β₁ᵗ)`.
    corrected_rate: f64,
    /// `√(1 − β₂ᵗ)`.
    second_correction: f64,
}

impl MomentEstimates {
    pub(super) fn new(betas: [f64; 2], epsilon: f64, step: Step) -> MomentEstimates {
        let power = |beta: f64| libm::pow(beta, step.number as f64);
        MomentEstimates {
            betas,
            epsilon,
            corrected_rate: step.rate / (1.0 - power(betas[0])),
            second_correction: (1.0 - power(betas[1])).sqrt(),
        }
    }

    /// The numbers of the step, before they are rounded to the parameters' scalar.
    pub(super) fn rates(&self, step: Step) -> StepRates {
        StepRates {
            shrink: step.shrink(),
            corrected_rate: self.corrected_rate,
            second_correction: self.second_correction,
            betas: self.betas,
            epsilon: self.epsilon,
        }
    }

    /// `1 / (√v̂ + ε)` for the second moment v.
    pub(super) fn preconditioner(&self, second: f64) -> f64 {
        1.0 / (second.sqrt() / self.second_correction + self.epsilon)
    }

    /// Updates both moments of one element. Returns the step to be subtracted from the parameter.
    #[inline(always)]
    pub(super) fn step<T: Scalar>(&self, g: T, m: &mut T, v: &mut T) -> T {
        let [b1, b2] = self.betas.map(T::from_f64);
        let [d1, d2] = self.betas.map(|beta| T::from_f64(1.0 - beta));
        *m = *m * b1 + g * d1;
        *v = *v * b2 + g * g * d2;
        let root = v.sqrt() * T::from_f64(1.0 / self.second_correction) + T::from_f64(self.epsilon);
        T::from_f64(self.corrected_rate) * *m / root
    }
}

for_every_isa! {
    /// One step, in PyTorch's order of operations.
    fn update<T>(
        step: Step, estimates: MomentEstimates, parameters: &mut [T], gradients: &[T],
        first: &mut [T], second: &mut [T],
    ) {
        let decay = T::from_f64(step.weight_decay);
        for (((p, g), m), v) in parameters.iter_mut().zip(gradients).zip(first).zip(second) {
            *p -= estimates.step(*g + decay * *p, m, v);
        }
    }
}
