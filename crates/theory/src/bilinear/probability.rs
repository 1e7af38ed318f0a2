//! Theorems 1 and 2 as statements about probability, and the law of ε, with the measured values.

use retrodict_lab::binomial::interval_of_fraction;
use retrodict_lab::bootstrap::Interval;

use super::LEVELS;
use super::sweep::{Cell, Flow, Geometry, Sweep};
use crate::Theorem;

/// The theorems' δ: they hold with a probability of at least 1 − δ.
pub const DELTA: f64 = 0.05;
/// The largest relative distance of a fitted constant of the law of ε from the derived one.
const CONSTANTS: f64 = 0.1;
/// The fraction of draws with the largest exponent at t → 0 that counts as most.
const MOST: f64 = 0.5;
/// d/m that counts as large for the closed form at t → 0.
const LARGE: usize = 100;

/// The interval of the probability that ε at t → 0 exceeds the sweep's.
pub fn fraction_above(cell: &Cell) -> Interval {
    interval_of_fraction(cell.above, cell.draws)
}

/// The flows of a geometry in one dimension.
pub fn at_dim(sweep: &Sweep, geometry: Geometry, dim: usize) -> Vec<&Flow> {
    sweep.flows.iter().filter(|flow| (flow.geometry, flow.dim) == (geometry, dim)).collect()
}

/// The interval of the fraction of flows for which something is true; `None` of no flows.
fn fraction(flows: &[&Flow], is: impl Fn(&Flow) -> bool) -> Option<Interval> {
    let count = flows.iter().filter(|flow| is(flow)).count();
    (!flows.is_empty()).then(|| interval_of_fraction(count, flows.len()))
}

pub(super) fn theorems(sweep: &Sweep) -> Vec<Theorem> {
    let mut theorems = along_the_flow(sweep);
    theorems.extend(at_the_start(sweep));
    theorems.extend(law(sweep));
    theorems
}

fn along_the_flow(sweep: &Sweep) -> Vec<Theorem> {
    let base = sweep.config.base;
    let (m, epsilon) = (base.entities, base.epsilon);
    let dim = 10 * m;
    let mut theorems = Vec::new();
    for (geometry, id) in
        [(Geometry::OnePair, "theorem-1"), (Geometry::ThirtyPercent, "theorem-1-thirty-percent")]
    {
        let flows = at_dim(sweep, geometry, dim);
        let high = fraction(&flows, |flow| flow.epsilon > epsilon).map(|interval| interval.high);
        let claim = format!(
            "m = {m}, d = {dim}, {}: probability that L^rev/L^rev₀ < (L/L₀)^{epsilon} at some time, \
             upper end of the exact 95 % interval over {} draws",
            geometry.title(),
            flows.len()
        );
        let refuted_by =
            format!("more draws that need an ε above {epsilon} than δ = {DELTA} allows");
        theorems.push(Theorem::at_most(id, &claim, &refuted_by, DELTA, high));
    }

    let flows = at_dim(sweep, Geometry::OnePair, dim);
    let level = LEVELS[LEVELS.len() - 1];
    let constant = (m as f64 / 2.0).ln();
    let falls =
        |flow: &Flow| flow.reversal_at_levels[LEVELS.len() - 1].is_none_or(|l| l < constant);
    let claim = format!(
        "m = {m}, d = {dim}, one pair one way: probability that L^rev is below ln(m/2) = \
         {constant:.2} when L first is {level}, upper end of the exact 95 % interval"
    );
    let refuted_by =
        format!("more draws with a reversal loss below ln(m/2) by then than δ = {DELTA} allows");
    let high = fraction(&flows, falls).map(|interval| interval.high);
    theorems.push(Theorem::at_most("theorem-2", &claim, &refuted_by, DELTA, high));

    let lows: Option<Vec<f64>> = Geometry::ALL
        .into_iter()
        .flat_map(|geometry| sweep.config.flow_dims.iter().map(move |&dim| (geometry, dim)))
        .map(|(geometry, dim)| {
            let flows = at_dim(sweep, geometry, dim);
            Some(fraction(&flows, Flow::is_largest_at_start)?.low)
        })
        .collect();
    let claim = "probability that no time needs a larger ε than t → 0, lower end of the exact 95 % \
                 interval, the smallest over dimensions and geometries";
    let refuted_by = "draws that need their largest ε later, in one of the dimensions half of them";
    let low = lows.and_then(|lows| lows.into_iter().reduce(f64::min));
    theorems.push(Theorem::at_least("start-is-largest", claim, refuted_by, MOST, low));
    theorems
}

fn at_the_start(sweep: &Sweep) -> Vec<Theorem> {
    let epsilon = sweep.config.base.epsilon;
    let of = |m: usize, ratio: usize| {
        sweep
            .cells
            .iter()
            .find(|c| (c.geometry, c.entities, c.dim) == (Geometry::OnePair, m, ratio * m))
    };
    let claim = |m: usize, ratio: usize, end: &str| {
        let draws = of(m, ratio).map_or(0, |cell| cell.draws);
        format!(
            "m = {m}, d = {}, one pair one way: probability that ε at t → 0 exceeds {epsilon}, \
             {end} end of the exact 95 % interval over {draws} draws",
            ratio * m
        )
    };
    let mut theorems = Vec::new();
    for &(m, _) in &sweep.config.entities {
        let high = of(m, LARGE).map(|cell| fraction_above(cell).high);
        let refuted_by = format!("more draws above {epsilon} than δ = {DELTA} allows");
        let id = format!("start-m{m}");
        let claim = claim(m, LARGE, "upper");
        theorems.push(Theorem::at_most(&id, &claim, &refuted_by, DELTA, high));
    }
    let m = sweep.config.base.entities;
    let low = of(m, 1).map(|cell| fraction_above(cell).low);
    let refuted_by = format!(
        "as few draws above {epsilon} as δ = {DELTA} allows: d = m would be large enough already"
    );
    let claim = claim(m, 1, "lower");
    theorems.push(Theorem::at_least("few-dimensions", &claim, &refuted_by, DELTA, low));
    theorems
}

fn law(sweep: &Sweep) -> Vec<Theorem> {
    let m = sweep.config.base.entities;
    // Infinite where the draws follow no such law.
    let off = |constant: usize, geometry: Geometry| {
        let law = sweep.laws.iter().find(|law| (law.geometry, law.entities) == (geometry, m));
        law.map_or(f64::INFINITY, |law| (law.fitted[constant] / law.derived[constant] - 1.0).abs())
    };
    let constant = |id: &str, name: &str, term: &str, at: usize| {
        let claim = format!(
            "m = {m}: relative distance of the fitted {name} of rms ε = √(a²/d² + b²/(m² d)) from \
             the derived one, the larger of both geometries"
        );
        let refuted_by = format!("another constant, or ε that does not fall as {term}");
        let largest = Geometry::ALL.map(|geometry| off(at, geometry)).into_iter().reduce(f64::max);
        Theorem::at_most(id, &claim, &refuted_by, CONSTANTS, largest)
    };
    vec![
        constant("law-a", "a", "1/d below d ≈ m²", 0),
        constant("law-b", "b", "1/√d above d ≈ m²", 1),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::initial::{initial_exponent, law_constants};
    use super::super::model::Bilinear;
    use super::super::sweep::{laws, sweep};
    use super::super::{BilinearConfig, Direction, Directions, SweepConfig};
    use super::*;

    const M: usize = 40;

    fn small() -> SweepConfig {
        let base = BilinearConfig { entities: M, points: 12, t_max: 1e5, ..Default::default() };
        SweepConfig {
            base,
            entities: vec![(M, 1500)],
            ratios: vec![1, 10, 100, 1000, 10_000, 100_000],
            flow_dims: vec![400, 4000],
            flows: 80,
        }
    }

    #[track_caller]
    fn theorem(sweep: &Sweep, id: &str) -> Theorem {
        theorems(sweep).into_iter().find(|theorem| theorem.id == id).unwrap()
    }

    #[track_caller]
    fn fails(sweep: &Sweep, ids: &[&str]) {
        for id in ids {
            let theorem = theorem(sweep, id);
            assert_eq!(theorem.holds, Some(false), "{theorem:?}");
        }
    }

    /// ε at t → 0 with one pair one way, and with a change to the embeddings `[entity, dim]` and
    /// directions of each draw.
    fn broken(dim: usize, change: impl Fn(&mut [f64], &mut Directions)) -> Vec<f64> {
        let of_draw = |seed| {
            let config = BilinearConfig { entities: M, dim, seed, ..Default::default() };
            let mut directions = Directions::of_pairs(M, 2.0 / M as f64, seed.into()).unwrap();
            let mut embeddings = config.draw_embeddings();
            change(&mut embeddings, &mut directions);
            let zero = vec![0.0; config.rank().pow(2)];
            let model = Bilinear::with_embeddings(&embeddings, &zero, &directions).unwrap();
            initial_exponent(&model.gram, M, &directions).unwrap()
        };
        (0..100).map(of_draw).collect()
    }

    /// Replaces ε at t → 0 in the cells and the flows of one pair one way.
    fn with_exponents(sweep: &Sweep, of: impl Fn(usize) -> Vec<f64>) -> Sweep {
        let mut sweep = sweep.clone();
        let epsilon = sweep.config.base.epsilon;
        for cell in sweep.cells.iter_mut().filter(|cell| cell.geometry == Geometry::OnePair) {
            let size = (cell.geometry, cell.entities, cell.dim);
            *cell = Cell::new(size, epsilon, &of(cell.dim));
        }
        for flow in sweep.flows.iter_mut().filter(|flow| flow.geometry == Geometry::OnePair) {
            let exponents = of(flow.dim);
            flow.initial = exponents[flow.seed as usize % exponents.len()];
            flow.epsilon = flow.epsilon.max(flow.initial);
        }
        sweep.laws = laws(&sweep.cells);
        sweep
    }

    #[test]
    fn claims_hold_as_stated_and_fail_on_broken_input() {
        let sound = sweep(&small(), &|| ()).unwrap();
        for theorem in theorems(&sound) {
            assert_eq!(theorem.holds, Some(true), "{theorem:?}");
        }
        let of = |law: &super::super::Law| law.derived == law_constants(M, 1);
        assert!(sound.laws.iter().any(of), "one pair of {M} entities");

        // The reverse is in the training set.
        let leaked =
            |dim| broken(dim, |_, directions| directions.trained.push(directions.held_out[0]));
        fails(&with_exponents(&sound, leaked), &["theorem-1", "start-m40", "law-a", "law-b"]);
        // The two embeddings of a pair are correlated by 0.5.
        let correlated = |dim: usize| {
            broken(dim, |embeddings, _| {
                for pair in embeddings.chunks_exact_mut(2 * dim.min(M)) {
                    let (first, second) = pair.split_at_mut(dim.min(M));
                    for (first, second) in first.iter().zip(second) {
                        *second = 0.5 * first + 0.75_f64.sqrt() * *second;
                    }
                }
            })
        };
        fails(&with_exponents(&sound, correlated), &["theorem-1", "start-m40", "law-a", "law-b"]);
        // Embeddings of ten times as many dimensions.
        let wide = |dim: usize| broken(10 * dim, |_, _| ());
        fails(&with_exponents(&sound, wide), &["few-dimensions", "law-a", "law-b"]);

        // Few dimensions, along the flow.
        let mut few = small();
        few.base.dim = M;
        few.flow_dims = vec![M];
        let mut narrow = sweep(&few, &|| ()).unwrap();
        for flow in &mut narrow.flows {
            flow.dim = 10 * M;
        }
        fails(&narrow, &["theorem-1"]);
        // The reversal loss follows the training loss down.
        let mut symmetric = sound.clone();
        for flow in &mut symmetric.flows {
            flow.reversal_at_levels = [Some(0.1), Some(0.01), Some(0.001)];
            flow.epsilon = 1.0;
        }
        let ids = ["theorem-1", "theorem-1-thirty-percent", "theorem-2", "start-is-largest"];
        fails(&symmetric, &ids);
    }

    #[test]
    fn held_out_directions_are_the_reverse_of_trained_ones() {
        let directions = Directions::of_pairs(M, 2.0 / M as f64, 0).unwrap();
        let [held_out]: [Direction; 1] = directions.held_out.clone().try_into().unwrap();
        assert!(directions.trained.contains(&held_out.reversed()));
        assert_eq!(directions.trained.len(), M - 1);
    }
}
