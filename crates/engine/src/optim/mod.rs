//! Optimisers: one fused pass over the flat buffers of parameters, gradients and moments; Muon
//! besides takes matrices as such.

mod adam;
mod adamw;
mod lion;
mod muon;
mod sgd;
#[cfg(test)]
mod tests;

use std::any::TypeId;
use std::ops::Range;
use std::sync::Arc;

use self::muon::Hidden;
#[cfg(doc)]
use crate::graph::Parameter;
use crate::isa::Isa;
use crate::matrix::Buffer;
use crate::parameters::{Gradients, Parameters};
use crate::scalar::Scalar;
use crate::team::Worker;

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
    /// Gradient descent: `torch.optim.SGD`. Weight decay is a part of the gradient.
    Sgd {
        /// What the last step is multiplied by before the gradient is added to it; 0 keeps none.
        momentum: f64,
    },
    /// Steps along the sign of a running mean, with decoupled weight decay (Chen et al., 2023).
    Lion {
        /// β₁, of the mean whose sign is taken, and β₂, of the mean that is kept.
        betas: [f64; 2],
    },
    /// Orthogonal steps for hidden weights (Jordan et al., 2024; scaled as by Liu et al., 2025), and
    /// AdamW for all other parameters. Which are hidden they say [themselves](Parameter::hidden).
    Muon {
        /// μ of Nesterov's momentum, of hidden weights.
        momentum: f64,
        /// β₁ and β₂ of AdamW.
        betas: [f64; 2],
        /// ε of AdamW.
        epsilon: f64,
    },
}

impl Rule {
    /// How many numbers it keeps for each trainable parameter; Muon does not use the second of
    /// hidden weights, which stays zero.
    pub fn moments(&self) -> usize {
        match self {
            Rule::AdamW { .. } | Rule::Adam { .. } | Rule::Muon { .. } => 2,
            Rule::Lion { .. } => 1,
            Rule::Sgd { momentum } => usize::from(*momentum != 0.0),
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
    /// What takes matrices as such, and all other ranges of the trainable numbers.
    hidden: Vec<Hidden>,
    others: Vec<Range<usize>>,
    /// Room for each worker's matrix.
    scratch: Buffer<T>,
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
        let layout = &parameters.layout;
        let mut hidden = match rule {
            Rule::Muon { .. } => Hidden::all(layout),
            _ => Vec::new(),
        };
        hidden.sort_by_key(|matrix| matrix.start);
        let mut others = Vec::new();
        let mut end = 0;
        for matrix in &hidden {
            others.push(end..matrix.start);
            end = matrix.start + matrix.len();
        }
        others.push(end..layout.trainable);
        let scratch = Buffer::zeros(0);
        Optimizer { rule, rate, weight_decay, steps: 0, moments, hidden, others, scratch }
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
    /// 1 / (√v̂ + ε). `None` where that is 1, and for Lion and Muon, whose steps are no multiple of
    /// the mean gradient.
    pub fn preconditioner(&self) -> Option<Gradients<T>> {
        let constants = Constants::new(self.rule, self.rate, self.weight_decay, self.steps.max(1));
        let second = match self.rule {
            Rule::AdamW { .. } | Rule::Adam { .. } => self.moments.get(1)?,
            Rule::Sgd { .. } | Rule::Lion { .. } | Rule::Muon { .. } => return None,
        };
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

    /// Counts a step and gives what so many workers need to make it. The first one makes room for
    /// them.
    pub(crate) fn begin(
        &mut self,
        parameters: *mut T,
        gradients: *const T,
        workers: usize,
    ) -> Update<'_, T> {
        self.steps += 1;
        let moments = self.moments.iter_mut().map(|m| m.values.as_mut_slice().as_mut_ptr());
        let mut two = [std::ptr::null_mut(); 2];
        for (slot, moment) in two.iter_mut().zip(moments) {
            *slot = moment;
        }
        // Whole lines of the cache for each.
        let each = self.hidden.iter().map(Hidden::scratch).max().unwrap_or(0);
        let each = each.next_multiple_of(64);
        if self.scratch.as_slice().len() < workers * each {
            self.scratch = Buffer::zeros(workers * each);
        }
        Update {
            rule: self.rule,
            constants: Constants::new(self.rule, self.rate, self.weight_decay, self.steps),
            parameters,
            gradients,
            moments: two,
            hidden: &self.hidden,
            others: &self.others,
            scratch: self.scratch.as_mut_slice().as_mut_ptr(),
            scratch_each: each,
        }
    }
}

/// What is the same for all parameters in a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Constants {
    rate: f64,
    weight_decay: f64,
    momentum: f64,
    betas: [f64; 2],
    epsilon: f64,
    /// `rate / (1 − β₁ᵗ)`.
    corrected_rate: f64,
    /// `√(1 − β₂ᵗ)`.
    second_correction: f64,
}

impl Constants {
    fn new(rule: Rule, rate: f64, weight_decay: f64, step: u64) -> Constants {
        let (momentum, betas, epsilon) = match rule {
            Rule::AdamW { betas, epsilon } | Rule::Adam { betas, epsilon } => (0.0, betas, epsilon),
            Rule::Sgd { momentum } => (momentum, [0.0; 2], 0.0),
            Rule::Lion { betas } => (0.0, betas, 0.0),
            Rule::Muon { momentum, betas, epsilon } => (momentum, betas, epsilon),
        };
        let power = |beta: f64| libm::pow(beta, step as f64);
        Constants {
            rate,
            weight_decay,
            momentum,
            betas,
            epsilon,
            corrected_rate: rate / (1.0 - power(betas[0])),
            second_correction: (1.0 - power(betas[1])).sqrt(),
        }
    }
}

/// One step, ready to be shared among workers.
pub(crate) struct Update<'a, T> {
    rule: Rule,
    constants: Constants,
    parameters: *mut T,
    gradients: *const T,
    moments: [*mut T; 2],
    hidden: &'a [Hidden],
    others: &'a [Range<usize>],
    scratch: *mut T,
    scratch_each: usize,
}

// SAFETY: workers take disjoint ranges.
unsafe impl<T: Scalar> Sync for Update<'_, T> {}

impl<T: Scalar> Update<'_, T> {
    /// Updates this worker's share of the `trainable` numbers.
    ///
    /// # Safety
    /// The flat buffers must have so many, nobody else may touch them meanwhile, and the worker
    /// must be one of those that the step was begun for.
    pub(crate) unsafe fn run(&self, isa: Isa, worker: &Worker<'_>, trainable: usize) {
        let update: *const Self = self;
        // SAFETY: a scalar is f32 or f64, so the type is the one that it is cast to; the rest is
        // the caller's promise.
        unsafe {
            if TypeId::of::<T>() == TypeId::of::<f32>() {
                run_f32(&*update.cast(), isa, worker, trainable);
            } else {
                run_f64(&*update.cast(), isa, worker, trainable);
            }
        }
    }

    /// As [`run`](Update::run).
    ///
    /// # Safety
    /// As that.
    unsafe fn run_share(&self, isa: Isa, worker: &Worker<'_>, trainable: usize) {
        let share = worker.share(trainable, 4096);
        for range in self.others {
            let range = range.start.max(share.start)..range.end.min(share.end);
            if !range.is_empty() {
                // SAFETY: shares are disjoint, and so are the ranges of one.
                unsafe { self.run_flat(isa, range) }
            }
        }
        // A matrix is one worker's.
        for matrix in &self.hidden[worker.share(self.hidden.len(), 1)] {
            let range = matrix.start..matrix.start + matrix.len();
            // SAFETY: as above; each worker has its own scratch memory.
            unsafe {
                let start = self.scratch.add(worker.index() * self.scratch_each);
                let scratch = std::slice::from_raw_parts_mut(start, self.scratch_each);
                let (parameters, buffer) =
                    (part(self.parameters, &range), part(self.moments[0], &range));
                let gradients = part(self.gradients.cast_mut(), &range);
                matrix.update(isa, self.constants, parameters, gradients, buffer, scratch);
            }
        }
    }

    /// Updates a range of the flat buffers, number by number.
    ///
    /// # Safety
    /// As [`run`](Update::run); the range is this worker's alone.
    unsafe fn run_flat(&self, isa: Isa, range: Range<usize>) {
        // SAFETY: the caller's promise; a rule asks for the moments that it has.
        let part = |of: *mut T| unsafe { part(of, &range) };
        let (c, parameters) = (self.constants, part(self.parameters));
        let gradients: &[T] = part(self.gradients.cast_mut());
        match self.rule {
            Rule::AdamW { .. } | Rule::Muon { .. } => {
                let [first, second] = self.moments.map(part);
                adamw::update(isa, c, parameters, gradients, first, second);
            }
            Rule::Adam { .. } => {
                let [first, second] = self.moments.map(part);
                adam::update(isa, c, parameters, gradients, first, second);
            }
            Rule::Sgd { momentum } if momentum != 0.0 => {
                let buffer = part(self.moments[0]);
                sgd::update_with_momentum(isa, c, parameters, gradients, buffer);
            }
            Rule::Sgd { .. } => sgd::update(isa, c, parameters, gradients),
            Rule::Lion { .. } => {
                lion::update(isa, c, parameters, gradients, part(self.moments[0]));
            }
        }
    }
}

/// [`Update::run_share`], compiled here as [operations](crate::operation::Compiled) are.
///
/// # Safety
/// As [`Update::run`].
#[inline(never)]
unsafe fn run_f32(update: &Update<'_, f32>, isa: Isa, worker: &Worker<'_>, trainable: usize) {
    // SAFETY: the caller's promise.
    unsafe { update.run_share(isa, worker, trainable) }
}

/// Likewise.
///
/// # Safety
/// As [`Update::run`].
#[inline(never)]
unsafe fn run_f64(update: &Update<'_, f64>, isa: Isa, worker: &Worker<'_>, trainable: usize) {
    // SAFETY: the caller's promise.
    unsafe { update.run_share(isa, worker, trainable) }
}

/// A range of a flat buffer.
///
/// # Safety
/// It must be there, and nobody else's for as long as it is used.
unsafe fn part<'a, T>(of: *mut T, range: &Range<usize>) -> &'a mut [T] {
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts_mut(of.add(range.start), range.len()) }
}
