//! Gradient flow, dΛ/dt = G R G, integrated to a tolerance.
//!
//! Losses fall like 1/t, so the flow is followed in s = ln(1 + t/τ), τ = |D|: linear in t before
//! anything is learned, logarithmic after, so that a decade costs the same early and late. Steps end
//! at the requested times: the error of the method's dense output is not controlled, and can be a
//! thousand times the tolerance.

use differential_equations::error::Error;
use differential_equations::interpolate::Interpolation;
use differential_equations::methods::ExplicitRungeKutta;
use differential_equations::ode::{ODE, OrdinaryNumericalMethod};
use differential_equations::status::Status;
use differential_equations::traits::State;

use super::{Bilinear, BilinearError, Crossing, Losses, Request, Sink};
use crate::integrator::{Rows, reason};
use crate::matrix::Threads;

/// Steps after which the flow counts as stiff. At dimensions that are not far below the number of
/// entities some eighty are taken.
const MOST_STEPS: usize = 3_000;
/// The first step ends here. The next ones are at most ten times as long, so that the beginning,
/// where losses have moved by some 1e-6 and quotients of their logarithms are taken, is followed
/// to the last digits.
const FIRST_TIME: f64 = 1e-2;

/// Follows the gradient flow, hands the logits at the requested times to `sink`, and returns where
/// the training loss first came down to each level. `tolerance` is the largest error of a row of
/// logits that a step may make.
///
/// # Errors
/// [`BilinearError::Stiff`] where the tolerance cannot be kept with a sensible number of steps.
pub(super) fn gradient_flow(
    model: &Bilinear,
    tolerance: f64,
    threads: Threads,
    request: Request<'_>,
    sink: &mut Sink<'_>,
) -> Result<Vec<Crossing>, BilinearError> {
    let Some(&end) = request.times.last() else { return Ok(Vec::new()) };
    let scale = model.trained_directions() as f64;
    let clock = Clock { scale };
    let end = clock.of(end);
    let system = System { model, clock, threads };
    let start = Rows { values: model.initial.clone(), columns: model.entities, threads };
    let mut solver = ExplicitRungeKutta::dop853()
        .atol(tolerance)
        .h0(clock.of(FIRST_TIME).min(end))
        .max_steps(MOST_STEPS);
    let stiff =
        |s: f64, error| BilinearError::Stiff { time: clock.time(s), reason: reason(&error) };
    solver.init(&system, 0.0, end, &start).map_err(|e| stiff(0.0, e))?;
    solver.set_status(Status::Solving);
    let mut times = request.times.iter().peekable();
    let mut levels = request.levels.iter().peekable();
    let mut crossings = Vec::new();
    while let Some(&&time) = times.peek() {
        let goal = clock.of(time);
        let proposed = solver.h();
        // A last step that is shorter than rounding would not move.
        let lands = goal - solver.t() < proposed * (1.0 + 1e-9);
        if lands {
            solver.set_h(goal - solver.t());
        }
        solver.step(&system).map_err(|e| stiff(solver.t(), e))?;
        if matches!(solver.status(), Status::RejectedStep) {
            continue;
        }
        let now = solver.t();
        let train = model.losses(&solver.y().values).train;
        if !train.is_finite() {
            return Err(BilinearError::Diverged { time: clock.time(now) });
        }
        if lands {
            sink(time, &solver.y().values);
            times.next();
            // The next step need not be as short as the one that landed.
            solver.set_h(solver.h().max(proposed));
        }
        while let Some(&level) = levels.next_if(|&&level| train <= level) {
            let near = falls_to(level, model, &mut solver).map_err(|e| stiff(now, e))?;
            let step = (solver.t_prev(), solver.y_prev(), now);
            let exact = |s| from_last_step(&system, step, s, tolerance);
            let apart = (near - solver.t_prev()).clamp(1e-9, 1e-3);
            let (s, losses) =
                sharpen(near, apart, level, model, exact).map_err(|e| stiff(now, e))?;
            crossings.push(Crossing { level, time: clock.time(s), losses });
        }
    }
    Ok(crossings)
}

/// The logits at `s` in the step from `from` to `to`, integrated to the tolerance.
fn from_last_step(
    system: &System<'_>,
    (from, start, to): (f64, &Rows, f64),
    s: f64,
    tolerance: f64,
) -> Result<Rows, Error<f64, Rows>> {
    let s = s.clamp(from, to);
    let mut logits = start.clone();
    let mut solver = ExplicitRungeKutta::dop853().atol(tolerance).h0(s - from);
    if s > from {
        solver.init(system, from, s, start)?;
        solver.set_status(Status::Solving);
        while solver.t() < s {
            if s - solver.t() < solver.h() * (1.0 + 1e-9) {
                solver.set_h(s - solver.t());
            }
            solver.step(system)?;
            if s - solver.t() < 1e-14 * s {
                break;
            }
        }
        logits.values.clone_from(&solver.y().values);
    }
    Ok(logits)
}

/// One secant step from a crossing that dense output has found, along the slope of the loss there,
/// which is taken over `apart`.
fn sharpen(
    near: f64,
    apart: f64,
    level: f64,
    model: &Bilinear,
    exact: impl Fn(f64) -> Result<Rows, Error<f64, Rows>>,
) -> Result<(f64, Losses), Error<f64, Rows>> {
    let at = |s| Ok::<_, Error<f64, Rows>>(model.losses(&exact(s)?.values));
    let above = |losses: &Losses| (losses.train / level).ln();
    let (here, before) = (at(near)?, at(near - apart)?);
    let slope = (above(&here) - above(&before)) / apart;
    let s = near - above(&here) / slope;
    Ok((s, at(s)?))
}

/// Where in the last step the training loss came down to a level, by dense output: regula falsi on
/// its logarithm, with the Illinois rule that no end may stay for long.
fn falls_to(
    level: f64,
    model: &Bilinear,
    solver: &mut (impl Interpolation<f64, Rows> + OrdinaryNumericalMethod<f64, Rows>),
) -> Result<f64, Error<f64, Rows>> {
    let (mut left, mut right) = (solver.t_prev(), solver.t());
    let mut above = |s: f64| {
        let losses = model.losses(&solver.interpolate(s)?.values);
        Ok((losses.train / level).ln())
    };
    let (mut left_value, mut right_value) = (above(left)?, above(right)?);
    if left_value <= 0.0 {
        return Ok(left);
    }
    let (mut s, mut value, mut moved_left) = (right, right_value, None);
    while value.abs() > 1e-9 && right - left > 1e-14 * right {
        s = (left * right_value - right * left_value) / (right_value - left_value);
        value = above(s)?;
        if value > 0.0 {
            (left, left_value) = (s, value);
            right_value *= if moved_left == Some(true) { 0.5 } else { 1.0 };
        } else {
            (right, right_value) = (s, value);
            left_value *= if moved_left == Some(false) { 0.5 } else { 1.0 };
        }
        moved_left = Some(value > 0.0);
    }
    Ok(s)
}

/// s = ln(1 + t/τ) and back.
#[derive(Clone, Copy)]
struct Clock {
    scale: f64,
}

impl Clock {
    fn of(self, time: f64) -> f64 {
        (time / self.scale).ln_1p()
    }

    fn time(self, s: f64) -> f64 {
        self.scale * s.exp_m1()
    }
}

/// dΛ/ds = (t + τ) dΛ/dt.
struct System<'a> {
    model: &'a Bilinear,
    clock: Clock,
    threads: Threads,
}

impl ODE<f64, Rows> for System<'_> {
    fn diff(&self, s: f64, logits: &Rows, out: &mut Rows) {
        self.model.velocity(&logits.values, self.threads, &mut out.values);
        out.scale_mut(self.clock.scale * s.exp());
    }
}
