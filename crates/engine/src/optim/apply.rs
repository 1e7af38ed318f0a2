//! A step with gradients that the caller computed.

use std::sync::Arc;

use super::Optimizer;
use crate::isa::Isa;
use crate::parameters::{Gradients, Parameters};
use crate::scalar::Scalar;
use crate::team::Team;

impl<T: Scalar> Optimizer<T> {
    /// Updates the parameters with these gradients, as [`Program::step`](crate::Program::step) does
    /// with its own. Gradients beyond the clipping limit are scaled in place.
    ///
    /// # Panics
    /// If the parameters or the gradients are of another model.
    pub fn apply(
        &mut self,
        parameters: &mut Parameters<T>,
        gradients: &mut Gradients<T>,
        team: &mut Team,
    ) {
        let layout = Arc::clone(&self.layout);
        assert!(parameters.layout.is(&layout), "the parameters are of another model");
        assert!(gradients.layout.is(&layout), "the gradients are of another model");
        let numbers = parameters.values.as_mut_slice().as_mut_ptr();
        let slopes = gradients.values.as_mut_slice().as_mut_ptr();
        let isa = Isa::detect();
        let update = self.begin(numbers, slopes, team.workers());
        team.run(|worker| {
            // SAFETY: parameters, gradients and moments have this layout by the assertions, and are
            // borrowed mutably; the workers are those of the team that the step was prepared for.
            unsafe { update.run(isa, worker, layout.trainable) }
        });
    }
}
