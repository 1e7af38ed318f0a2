//! Gradient descent, on all trained directions at once or on one at a time. Time is the learning
//! rate times the number of steps, so that small rates follow the gradient flow.

use retrodict_engine::{Purpose, Stream, below};

use super::loss::residual;
use super::{Bilinear, BilinearError, Crossing, Gram, Request, Sink};
use crate::matrix::{Threads, product};

/// Full-batch gradient descent: Θ ← Θ − rate · ∇L. Hands the logits at the requested times, each
/// at the nearest step, to `sink`, and returns the first step at which the training loss has come
/// down to each level. Times that share a step with an earlier one, or with the start, are left
/// out.
///
/// # Errors
/// [`BilinearError::Diverged`] where the loss is no longer a number.
pub(super) fn gradient_descent(
    model: &Bilinear,
    rate: f64,
    threads: Threads,
    request: Request<'_>,
    sink: &mut Sink<'_>,
) -> Result<Vec<Crossing>, BilinearError> {
    let mut logits = model.initial.clone();
    let mut velocity = vec![0.0; logits.len()];
    let mut levels = request.levels.iter().peekable();
    let mut crossings = Vec::new();
    let mut reached = |step: u64, train: f64, logits: &[f64]| {
        while let Some(&level) = levels.next_if(|&&level| train <= level) {
            let losses = model.losses(logits);
            crossings.push(Crossing { level, time: step as f64 * rate, losses });
        }
    };
    let mut step = 0;
    for wanted in steps(request.times, rate) {
        while step < wanted {
            let train = model.velocity(&logits, threads, &mut velocity);
            reached(step, train, &logits);
            logits.iter_mut().zip(&velocity).for_each(|(logit, v)| *logit += rate * v);
            step += 1;
        }
        visit(model, wanted as f64 * rate, &logits, sink)?;
    }
    reached(step, model.losses(&logits).train, &logits);
    Ok(crossings)
}

/// Stochastic gradient descent with batches of one: every step draws a trained direction (x, y)
/// uniformly and moves Θ by rate · u_x (u_y − Σ_v p(v|x) u_v)ᵀ. The logits of x alone are then
/// read, so all that is kept is, for each trained source, the sum of its residuals times G: a step
/// writes one row of it.
///
/// # Errors
/// As [`gradient_descent`].
pub(super) fn stochastic_gradient_descent(
    model: &Bilinear,
    rate: f64,
    seed: u64,
    times: &[f64],
    sink: &mut Sink<'_>,
) -> Result<(), BilinearError> {
    let columns = model.entities;
    let mut moved = vec![0.0; model.targets.len() * columns];
    let mut logits = vec![0.0; columns];
    let mut wrong = vec![0.0; columns];
    let order = Stream::new(seed, Purpose::Order, 0);
    let mut step = 0u64;
    for wanted in steps(times, rate) {
        while step < wanted {
            let [low, high, ..] = order.words(step);
            let drawn = model.trained[below(model.trained.len(), [high, low])];
            logits.copy_from_slice(model.row(&model.initial, drawn.row));
            match &model.gram {
                Gram::Identity => add_scaled(1.0, model.row(&moved, drawn.row), &mut logits),
                Gram::Dense { sources, .. } => {
                    let trained = model.targets.len();
                    let near = &sources[drawn.row * trained..][..trained];
                    for (near, moved) in near.iter().zip(moved.chunks_exact(columns)) {
                        add_scaled(*near, moved, &mut logits);
                    }
                }
            }
            residual(&logits, &[drawn.column], 1, &mut wrong);
            let row = &mut moved[drawn.row * columns..][..columns];
            match &model.gram {
                Gram::Identity => add_scaled(rate, &wrong, row),
                Gram::Dense { all, .. } => {
                    for (wrong, gram) in wrong.iter().zip(all.chunks_exact(columns)) {
                        add_scaled(rate * wrong, gram, row);
                    }
                }
            }
            step += 1;
        }
        let mut logits = model.initial.clone();
        match &model.gram {
            Gram::Identity => add_scaled(1.0, &moved, &mut logits[..moved.len()]),
            Gram::Dense { sources, .. } => {
                let by = product(sources, &moved, model.targets.len(), columns, Threads::One);
                add_scaled(1.0, &by, &mut logits);
            }
        }
        visit(model, wanted as f64 * rate, &logits, sink)?;
    }
    Ok(())
}

/// The steps nearest to some times, each once, without the start.
fn steps(times: &[f64], rate: f64) -> Vec<u64> {
    let mut steps: Vec<u64> = times.iter().map(|time| (time / rate).round() as u64).collect();
    steps.dedup();
    steps.retain(|&step| step > 0);
    steps
}

fn visit(
    model: &Bilinear,
    time: f64,
    logits: &[f64],
    sink: &mut Sink<'_>,
) -> Result<(), BilinearError> {
    if !model.losses(logits).train.is_finite() {
        return Err(BilinearError::Diverged { time });
    }
    sink(time, logits);
    Ok(())
}

fn add_scaled(scale: f64, from: &[f64], to: &mut [f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += scale * from);
}
