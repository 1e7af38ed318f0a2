//! Optimisers: one fused pass over the flat buffers of parameters, gradients and moments.

mod adam;
mod adamw;
mod sgd;

use std::ops::Range;
use std::sync::Arc;

use crate::isa::Isa;
use crate::matrix::Buffer;
use crate::parameters::{Gradients, Parameters};
use crate::scalar::Scalar;

/// What an optimiser does, as PyTorch names it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Decoupled weight decay (Loshchilov and Hutter, 2019): `torch.optim.AdamW`.
    AdamW {
        /// β₁ and β₂.
        betas: [f64; 2],
        /// What is added to the root of the second moment.
        epsilon: f64,
    },
    /// Weight decay as part of the gradient: `torch.optim.Adam`.
    Adam {
        /// β₁ and β₂.
        betas: [f64; 2],
        /// What is added to the root of the second moment.
        epsilon: f64,
    },
    /// Gradient descent without momentum: `torch.optim.SGD`.
    Sgd,
}

impl Rule {
    /// How many numbers it keeps for each trainable parameter.
    pub fn moments(&self) -> usize {
        match self {
            Rule::AdamW { .. } | Rule::Adam { .. } => 2,
            Rule::Sgd => 0,
        }
    }
}

/// A rule with its state.
pub struct Optimizer<T> {
    /// What it does.
    pub rule: Rule,
    /// The learning rate; may be changed between steps.
    pub rate: f64,
    /// The weight decay, of every trainable parameter.
    pub weight_decay: f64,
    steps: u64,
    moments: Vec<Gradients<T>>,
}

impl<T: Scalar> Optimizer<T> {
    /// A fresh one for these parameters.
    pub fn new(
        rule: Rule,
        rate: f64,
        weight_decay: f64,
        parameters: &Parameters<T>,
    ) -> Optimizer<T> {
        let moments = (0..rule.moments()).map(|_| Gradients::zeros(parameters)).collect();
        Optimizer { rule, rate, weight_decay, steps: 0, moments }
    }

    /// Updates made so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The moments that it keeps, first and second.
    pub fn moments(&self) -> &[Gradients<T>] {
        &self.moments
    }

    /// The moments, to be restored.
    pub fn moments_mut(&mut self) -> &mut [Gradients<T>] {
        &mut self.moments
    }

    /// What a step multiplies the mean gradient by, beside the rate, as the moments stand:
    /// 1 / (√v̂ + ε). `None` where that is 1.
    pub fn preconditioner(&self) -> Option<Gradients<T>> {
        let constants = Constants::new(self.rule, self.rate, self.weight_decay, self.steps.max(1));
        let second = self.moments.get(1)?;
        let mut values = Buffer::zeros(second.values.as_slice().len());
        for (out, second) in values.as_mut_slice().iter_mut().zip(second.values.as_slice()) {
            let root = second.to_f64().sqrt() / constants.second_correction;
            *out = T::from_f64(1.0 / (root + constants.epsilon));
        }
        Some(Gradients { layout: Arc::clone(&second.layout), values })
    }

    /// Says how many updates the restored state has seen.
    pub fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// Counts a step and gives what the workers need to make it.
    pub(crate) fn begin(&mut self, parameters: *mut T, gradients: *const T) -> Update<T> {
        self.steps += 1;
        let moments = self.moments.iter_mut().map(|m| m.values.as_mut_slice().as_mut_ptr());
        let mut two = [std::ptr::null_mut(); 2];
        for (slot, moment) in two.iter_mut().zip(moments) {
            *slot = moment;
        }
        let constants = Constants::new(self.rule, self.rate, self.weight_decay, self.steps);
        Update { rule: self.rule, constants, parameters, gradients, moments: two }
    }
}

/// What is the same for all parameters in a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Constants {
    rate: f64,
    weight_decay: f64,
    betas: [f64; 2],
    epsilon: f64,
    /// `rate / (1 − β₁ᵗ)`.
    corrected_rate: f64,
    /// `√(1 − β₂ᵗ)`.
    second_correction: f64,
}

impl Constants {
    fn new(rule: Rule, rate: f64, weight_decay: f64, step: u64) -> Constants {
        let (betas, epsilon) = match rule {
            Rule::AdamW { betas, epsilon } | Rule::Adam { betas, epsilon } => (betas, epsilon),
            Rule::Sgd => ([0.0; 2], 0.0),
        };
        let power = |beta: f64| libm::pow(beta, step as f64);
        Constants {
            rate,
            weight_decay,
            betas,
            epsilon,
            corrected_rate: rate / (1.0 - power(betas[0])),
            second_correction: (1.0 - power(betas[1])).sqrt(),
        }
    }
}

/// One step, ready to be shared among workers.
pub(crate) struct Update<T> {
    rule: Rule,
    constants: Constants,
    parameters: *mut T,
    gradients: *const T,
    moments: [*mut T; 2],
}

// SAFETY: workers take disjoint ranges.
unsafe impl<T: Scalar> Sync for Update<T> {}

impl<T: Scalar> Update<T> {
    /// Updates a range of the flat buffers.
    ///
    /// # Safety
    /// The range must lie in the trainable part, and nobody else may touch it meanwhile.
    pub(crate) unsafe fn run(&self, isa: Isa, range: Range<usize>) {
        // SAFETY: the caller's promise.
        let part = |of: *mut T| unsafe {
            std::slice::from_raw_parts_mut(of.add(range.start), range.len())
        };
        let parameters = part(self.parameters);
        let gradients: &[T] = part(self.gradients.cast_mut());
        match self.rule {
            Rule::AdamW { .. } => {
                let [first, second] = self.moments.map(part);
                adamw::update(isa, self.constants, parameters, gradients, first, second);
            }
            Rule::Adam { .. } => {
                let [first, second] = self.moments.map(part);
                adam::update(isa, self.constants, parameters, gradients, first, second);
            }
            Rule::Sgd => sgd::update(isa, self.constants, parameters, gradients),
        }
    }
}
