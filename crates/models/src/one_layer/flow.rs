//! Gradient flow, integrated to a tolerance.
//!
//! 1 − p falls like N/t, so the flow is followed in s = ln(1 + t/N): linear in t before anything is
//! learned, logarithmic after. The integrator is Dormand and Prince's explicit method of order
//! 8(5,3) from the crate `differential-equations`.

use differential_equations::error::Error;
use differential_equations::methods::ExplicitRungeKutta;
use differential_equations::ode::{ODE, OrdinaryNumericalMethod};
use differential_equations::status::Status;
use differential_equations::tolerance::Tolerance;
use differential_equations::traits::State;
use retrodict_engine::{Isa, rows};

use super::layout::Layout;
use super::{OneLayer, OneLayerError};

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
        let weights = Weights { values: std::mem::take(&mut self.weights), isa: self.isa };
        let stiff = |s: f64, error: &Error<f64, Weights>| OneLayerError::Stiff {
            step: libm::expm1(s) / scale,
            reason: match error {
                Error::MaxSteps { .. } => "too many steps",
                Error::StepSize { .. } => "steps became too small",
                Error::Stiffness { .. } => "it is stiff there",
                _ => "the integrator failed",
            },
        };
        let mut solver = ExplicitRungeKutta::dop853()
            .atol(TOLERANCE)
            .h0(FIRST.min(end - start))
            .max_steps(MOST_STEPS);
        solver.init(&system, start, end, &weights).map_err(|e| stiff(start, &e))?;
        solver.set_status(Status::Solving);
        // What remains after the last step is rounding.
        while end - solver.t() > 1e-13 * end {
            if end - solver.t() < solver.h() * (1.0 + 1e-9) {
                solver.set_h(end - solver.t());
            }
            solver.step(&system).map_err(|e| stiff(solver.t(), &e))?;
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

impl ODE<f64, Weights> for System<'_> {
    fn diff(&self, s: f64, weights: &Weights, out: &mut Weights) {
        self.layout.velocity(self.isa, &weights.values, self.rate, &mut out.values);
        out.scale_mut(self.layout.places.len() as f64 * libm::exp(s));
    }
}

/// The integrator's vector.
#[derive(Clone, Debug)]
struct Weights {
    values: Vec<f64>,
    isa: Isa,
}

impl State<f64> for Weights {
    fn len(&self) -> usize {
        self.values.len()
    }

    fn get_component(&self, index: usize) -> f64 {
        self.values[index]
    }

    fn set_component(&mut self, index: usize, value: f64) {
        self.values[index] = value;
    }

    fn map_components_mut<F: FnMut(usize, &mut f64)>(&mut self, mut f: F) {
        self.values.iter_mut().enumerate().for_each(|(index, value)| f(index, value));
    }

    fn zeros_like(&self) -> Self {
        Weights { values: vec![0.0; self.values.len()], isa: self.isa }
    }

    fn zeros() -> Self {
        Weights { values: Vec::new(), isa: Isa::detect() }
    }

    fn mul_add_assign(&mut self, alpha: f64, other: &Self) {
        self.add_scaled(alpha, other);
    }

    fn add_scaled(&mut self, alpha: f64, other: &Self) -> &mut Self {
        // Half of the method's coefficients are zero.
        if alpha != 0.0 {
            rows::add_scaled(self.isa, alpha, &other.values, &mut self.values);
        }
        self
    }

    fn scale_mut(&mut self, alpha: f64) {
        self.values.iter_mut().for_each(|value| *value *= alpha);
    }

    /// The integrator divides by the number of values and takes the root: what remains is the
    /// largest error over the tolerance.
    fn error_norm(
        &self,
        _: &Self,
        error: &Self,
        tolerance: &Tolerance<f64>,
        _: &Tolerance<f64>,
    ) -> f64 {
        let mut largest = 0.0;
        for error in &error.values {
            // Not `max`, which passes over what is no number.
            if error.abs() > largest || error.is_nan() {
                largest = error.abs();
            }
        }
        (largest / tolerance[0]).powi(2) * self.values.len() as f64
    }
}
