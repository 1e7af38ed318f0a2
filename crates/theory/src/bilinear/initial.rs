//! The exponent of theorem 1 at the start, in closed form. The derivation is in
//! `docs/theory/bilinear.md`, section "The exponent at t → 0".

use super::model::{Bilinear, Gram};
use super::{BilinearConfig, BilinearError, Direction, Directions};

/// The limit of the exponent of theorem 1 at t → 0 from Θ = 0: the slope of ln L^rev over that of
/// ln L, which is the mean transfer from trained to held-out directions over the mean transfer among
/// trained ones. `None` where nothing is held out.
///
/// T((x, y), (x′, y′)) = (u_x·u_x′) (ũ_y·ũ_y′), where ũ is an embedding minus the mean one.
pub(super) fn initial_exponent(
    gram: &Gram,
    entities: usize,
    directions: &Directions,
) -> Option<f64> {
    let identity;
    let products = match gram {
        Gram::Dense { all, .. } => all,
        Gram::Identity => {
            let entry = |at| f64::from(u8::from(at / entities == at % entities));
            identity = (0..entities.pow(2)).map(entry).collect();
            &identity
        }
    };
    let rows: Vec<&[f64]> = products.chunks_exact(entities).collect();
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let with_mean: Vec<f64> = rows.iter().map(|row| mean(row)).collect();
    let mean_square = mean(&with_mean);
    let mean_transfer = |onto: &[Direction]| {
        let of = |to: &Direction| {
            let (sources, targets) = (rows[to.source], rows[to.target]);
            let offset = mean_square - with_mean[to.target];
            let transfer = |from: &Direction| {
                sources[from.source] * (targets[from.target] - with_mean[from.target] + offset)
            };
            directions.trained.iter().map(transfer).sum::<f64>()
        };
        onto.iter().map(of).sum::<f64>() / onto.len() as f64
    };
    let exponent = mean_transfer(&directions.held_out) / mean_transfer(&directions.trained);
    exponent.is_finite().then_some(exponent)
}

/// The exponent at t → 0 of one draw of embeddings, with each of these fractions of the pairs said
/// in one direction only.
///
/// # Errors
/// [`BilinearError`] for settings that make no sense.
pub(super) fn initial_exponents(
    config: &BilinearConfig,
    held_out: &[f64],
) -> Result<Vec<Option<f64>>, BilinearError> {
    config.check()?;
    let m = config.entities;
    let drawn = |held_out: &f64| Directions::of_pairs(m, *held_out, config.seed.into());
    let directions = held_out.iter().map(drawn).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = directions.first() else { return Ok(Vec::new()) };
    let gram = Bilinear::new(config, first)?.gram;
    Ok(directions.iter().map(|directions| initial_exponent(&gram, m, directions)).collect())
}

/// The root mean square of that exponent over draws of Gaussian embeddings to leading order, with
/// `held_out` of `entities` directions held out: √(a²/d² + b²/(m² d)), as [a, b].
pub(super) fn law_constants(entities: usize, held_out: usize) -> [f64; 2] {
    let (m, h) = (entities as f64, held_out as f64);
    [(m / h + 1.0).sqrt(), ((m - h) / h).sqrt()]
}

#[cfg(test)]
mod tests {
    use super::super::model::Entry;
    use super::super::{Dynamics, Embeddings, simulate};
    use super::*;
    use crate::matrix::Threads;

    /// Against the slopes of both losses along the velocity of the flow, which other tests compare
    /// with finite differences in Θ.
    #[test]
    fn the_closed_form_is_the_ratio_of_slopes() {
        for (entities, dim, held_out, seed) in
            [(6, 4, 0.4, 1), (20, 20, 0.1, 2), (20, 300, 0.3, 3), (40, 13, 1.0, 4)]
        {
            let config = BilinearConfig { entities, dim, held_out, seed, ..Default::default() };
            let directions = Directions::of_pairs(entities, held_out, seed.into()).unwrap();
            let model = Bilinear::new(&config, &directions).unwrap();
            let mut velocity = vec![0.0; model.initial.len()];
            model.velocity(&model.initial, Threads::One, &mut velocity);
            // d(−ln p(y|x))/dt = −(e_y − 1/m) · dΛ_x/dt.
            let slope = |entries: &[Entry]| {
                let of = |entry: &Entry| {
                    let row = model.row(&velocity, entry.row);
                    row.iter().sum::<f64>() / entities as f64 - row[entry.column]
                };
                entries.iter().map(of).sum::<f64>() / entries.len() as f64
            };
            let wanted = slope(&model.held_out) / slope(&model.trained);
            let found = initial_exponent(&model.gram, entities, &directions).unwrap();
            assert!((found - wanted).abs() < 1e-12 * wanted.abs().max(1e-3), "{found} {wanted}");
            let several = initial_exponents(&config, &[1.0, held_out]).unwrap();
            assert_eq!(several[1], Some(found));
        }
    }

    #[test]
    fn the_exponent_of_the_simulation_begins_there() {
        for (dynamics, dim) in [(Dynamics::Flow, 40), (Dynamics::Flow, 4000), (Dynamics::Gd, 100)] {
            let config = BilinearConfig {
                entities: 40,
                dim,
                dynamics,
                lr: 1e-2,
                seed: 7,
                t_max: 0.1,
                ..Default::default()
            };
            let result = simulate(&config, &mut |_| ()).unwrap();
            let initial = result.initial_exponent.unwrap();
            let first = result.series[1].exponent.unwrap();
            assert!((first / initial - 1.0).abs() < 1e-2, "{dim}: {first} {initial}");
        }
        let of = |config: BilinearConfig| initial_exponents(&config, &[0.0, 0.3]).unwrap();
        let orthonormal =
            BilinearConfig { embeddings: Embeddings::Orthonormal, ..Default::default() };
        assert_eq!(of(orthonormal), [None, Some(0.0)]);
        assert_eq!(of(BilinearConfig::default())[0], None);
    }

    /// Over draws, by the closed form: means and variances of the derivation, to leading order.
    #[test]
    fn the_law_is_that_of_the_draws() {
        let draws = 3000;
        for (entities, dim, held_out) in [(60, 600, 2.0 / 60.0), (60, 36_000_000, 0.3)] {
            let of = |seed| {
                let config = BilinearConfig { entities, dim, seed, ..Default::default() };
                initial_exponents(&config, &[held_out]).unwrap()[0].unwrap()
            };
            let squares: f64 = (0..draws).map(|seed| of(seed).powi(2)).sum();
            let rms = (squares / f64::from(draws)).sqrt();
            let count = (held_out * entities as f64 / 2.0).round() as usize;
            let [a, b] = law_constants(entities, count);
            let (m, d) = (entities as f64, dim as f64);
            let law = (a / d).hypot(b / (m * d.sqrt()));
            assert!((rms / law - 1.0).abs() < 0.06, "{dim}: {rms} {law}");
        }
    }
}
