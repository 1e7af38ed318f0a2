//! Theorems 1 and 2 and the measured values; derivations are in `docs/theory/bilinear.md`.

use super::{
    BilinearConfig, Directions, Dynamics, Embeddings, LEAST_DIM_OVER_ENTITIES, LEVELS, Point,
    Reached, flow_loss,
};
use crate::Theorem;

/// The largest relative distance allowed between the flow and its closed form.
const CLOSED_FORM: f64 = 1e-8;

pub(super) fn theorems(
    config: &BilinearConfig,
    directions: &Directions,
    series: &[Point],
    reached: &[Reached],
) -> Vec<Theorem> {
    let claim = "sup over t > 0 of ln(L^rev/L^rev₀) / ln(L/L₀): the smallest ε that works";
    let refuted_by = "a time at which the reversal loss has fallen below L^rev₀ (L/L₀)^ε";
    let measured = smallest_epsilon(series);
    let mut theorems =
        vec![Theorem::at_most("theorem-1", claim, refuted_by, config.epsilon, measured)];
    let start = series.first().and_then(|first| Some((first.train_loss, first.reversal_loss?)));
    for level in LEVELS {
        if start.is_none_or(|(train, _)| train <= level) {
            continue;
        }
        let bound = (config.entities as f64 / 2.0).ln();
        let measured = reached.iter().find(|reached| reached.level == level);
        let measured = measured.and_then(|reached| reached.reversal_loss);
        let claim = format!("L^rev when L first is {level}, against ln(m/2)");
        let refuted_by = "a reversal loss below ln(m/2) by then";
        let id = format!("theorem-2-{level}");
        theorems.push(Theorem::at_least(&id, &claim, refuted_by, bound, measured));
    }
    if config.embeddings == Embeddings::Orthonormal
        && config.dynamics == Dynamics::Flow
        && config.init == 0.0
    {
        let off = |point: &Point| {
            let exact = flow_loss(config.entities, directions.trained.len(), point.t);
            (point.train_loss / exact - 1.0).abs()
        };
        let claim = "largest relative distance of L from the closed form (Lambert W)";
        let refuted_by = "an integrated loss that is further from the solved equation";
        let off = series.iter().map(off).reduce(f64::max);
        theorems.push(Theorem::at_most("closed-form", claim, refuted_by, CLOSED_FORM, off));
    }
    theorems
}

/// Theorem 1's measured value; `None` where nothing is held out.
pub(super) fn smallest_epsilon(series: &[Point]) -> Option<f64> {
    series.iter().filter_map(|point| point.exponent).reduce(f64::max)
}

pub(super) fn warnings(config: &BilinearConfig, series: &[Point]) -> Vec<String> {
    let mut warnings = Vec::new();
    let quotient = config.dim as f64 / config.entities as f64;
    if quotient < LEAST_DIM_OVER_ENTITIES {
        warnings.push(format!(
            "d/m is {quotient}, below {LEAST_DIM_OVER_ENTITIES}: the embeddings are far from \
             orthonormal, the training loss falls late or stalls, and the flow may be stiff; the \
             theorems are about d well above m"
        ));
    }
    let rose = series.windows(2).any(|pair| pair[1].train_loss > pair[0].train_loss);
    if rose && config.dynamics != Dynamics::Flow {
        warnings.push(format!(
            "the training loss rose between logged times: --lr {} is no small step, and the \
             theorems are about gradient flow",
            config.lr
        ));
    }
    warnings
}
