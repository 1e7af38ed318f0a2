//! Gradient descent, with or without momentum.

use retrodict_settings::{BELOW_ONE, settings};

use super::{Elements, Method, Step};
use crate::isa::{Isa, for_every_isa};
use crate::scalar::Scalar;

settings! {
    /// `torch.optim.SGD`: weight decay is part of the gradient.
    #[derive(Copy)]
    pub struct Sgd in "train" {
        /// Factor of the last step in the next; 0 keeps no moment.
        pub momentum: f64 = 0.0, BELOW_ONE, later;
    }
}

impl Method for Sgd {
    fn moments(&self) -> usize {
        usize::from(self.momentum != 0.0)
    }

    fn momentum(&self) -> f64 {
        self.momentum
    }

    fn update<T: Scalar>(&self, isa: Isa, step: Step, elements: Elements<'_, T>) {
        let Elements { parameters, gradients, moments: [buffer, _] } = elements;
        if self.momentum == 0.0 {
            update(isa, step, parameters, gradients);
        } else {
            update_with_momentum(isa, self.momentum, step, parameters, gradients, buffer);
        }
    }
}

for_every_isa! {
    /// One step without momentum.
    fn update<T>(step: Step, parameters: &mut [T], gradients: &[T]) {
        let (rate, decay) = (T::from_f64(step.rate), T::from_f64(step.weight_decay));
        for (p, g) in parameters.iter_mut().zip(gradients) {
            *p -= rate * (*g + decay * *p);
        }
    }

    /// One step with momentum, as PyTorch defines it: `b ← μ b + g`, and the step is along b.
    fn update_with_momentum<T>(
        momentum: f64, step: Step, parameters: &mut [T], gradients: &[T], buffer: &mut [T],
    ) {
        let (rate, decay) = (T::from_f64(step.rate), T::from_f64(step.weight_decay));
        let momentum = T::from_f64(momentum);
        for ((p, g), b) in parameters.iter_mut().zip(gradients).zip(buffer) {
            *b = momentum * *b + (*g + decay * *p);
            *p -= rate * *b;
        }
    }
}
