//! Gradient flow, integrated to a tolerance.
//!
//! 1 − p falls like N/t, so the flow is followed in s = ln(1 + t/N): linear in t before anything is
//! learned, logarithmic after.

use differential_equations::methods::ExplicitRungeKutta;
use differential_equations::ode::{ODE, OrdinaryNumericalMethod};
use differential_equations::status::Status;
use differential_equations::traits::State;
use retrodict_engine::Isa;

use super::OneLayerError;
use super::layout::Layout;
use super::model::OneLayer;
use crate::integrator::{Rows, reason};
use crate::matrix::Threads;

/// The largest error of any weight that a step of the integrator may make.
const TOLERANCE: f64 = 1e-10;
/// Steps between two requested times after which the flow counts as stiff.
const MOST_STEPS: usize = 20_000;
/// The first step of the integrator, in s.
const FIRST: f64 = 1e-3;

impl OneLayer {
    /// Follows the flow to the time t = `step` · η_Y.
    pub(super) fn flow_to(&mut self, step: u64) -> Result<(), OneLayerError> {
        if step <= self.step {
            return Ok(());
        }
        let scale = self.config.lr_decoder / self.layout.places.len() as f64;
        let clock = |step: u64| libm::log1p(scale * step as f64);
        let (start, end) = (clock(self.step), clock(step));
        let system = System { layout: &self.layout, isa: self.isa, rate: self.attention_rate() };
        let values = std::mem::take(&mut self.weights);
        // Rows of one number: the error of each is controlled.
        let weights = Rows { values, columns: 1, threads: Threads::One };
        let stiff = |s: f64, error| OneLayerError::Stiff {
            step: libm::expm1(s) / scale,
            reason: reason(&error),
        };
        let mut solver = ExplicitRungeKutta::dop853()
            .atol(TOLERANCE)
            .h0(FIRST.min(end - start))
            .max_steps(MOST_STEPS);
        solver.init(&system, start, end, &weights).map_err(|e| stiff(start, e))?;
        solver.set_status(Status::Solving);
        // What remains after the last step is rounding.
        while end - solver.t() > 1e-13 * end {
            if end - solver.t() < solver.h() * (1.0 + 1e-9) {
                solver.set_h(end - solver.t());
            }
            solver.step(&system).map_err(|e| stiff(solver.t(), e))?;
        }
        self.weights = solver.y().values.clone();
        self.step = step;
        Ok(())
    }
}

/// d weights/ds = (t + N) · velocity, t + N = N eˢ.
struct System<'a> {
    layout: &'a Layout,
    isa: Isa,
    rate: f64,
}

impl ODE<f64, Rows> for System<'_> {
    fn diff(&self, s: f64, weights: &Rows, out: &mut Rows) {
        self.layout.velocity(self.isa, &weights.values, self.rate, &mut out.values);
        out.scale_mut(self.layout.places.len() as f64 * libm::exp(s));
    }
}
