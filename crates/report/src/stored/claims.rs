//! Claims, computed from the runs.

use super::Stored;
use crate::paper::{PaperClaim, PaperFigure, Scale, Than, Variant};
use crate::summary::{Claim, Comparator};

/// The claims of a figure of which every variant that the scale has was run: a claim about a setting
/// that was not run neither holds nor fails.
pub(super) fn claims(
    figure: &PaperFigure,
    scale: Scale,
    found: &[(&Variant, &Stored)],
) -> Vec<Claim> {
    let was_run = |variant: &&Variant| found.iter().any(|(run, _)| run.id == variant.id);
    let whole = |claim: &&PaperClaim| variants(figure, claim, scale).iter().all(was_run);
    let of_whole = figure.claims.iter().filter(whole);
    of_whole.filter_map(|claim| measured(figure, claim, found)).collect()
}

/// Whether every claim that the figure makes at this scale is among those measured.
pub(super) fn all_measured(figure: &PaperFigure, scale: Scale, measured: &[Claim]) -> bool {
    let made = |claim: &&PaperClaim| !variants(figure, claim, scale).is_empty();
    figure.claims.iter().filter(made).all(|claim| measured.iter().any(|m| m.id == claim.id))
}

/// The variants that a claim is about at a scale.
fn variants<'f>(figure: &'f PaperFigure, claim: &PaperClaim, scale: Scale) -> Vec<&'f Variant> {
    let at_scale = |variant: &&Variant| variant.only.is_none_or(|only| only == scale);
    let claimed = |variant: &&Variant| PaperFigure::has(claim.variants.as_ref(), &variant.id);
    let of = figure.variants.iter().filter(|variant| !variant.film);
    of.filter(at_scale).filter(claimed).collect()
}

fn measured(
    figure: &PaperFigure,
    claim: &PaperClaim,
    found: &[(&Variant, &Stored)],
) -> Option<Claim> {
    let of: Vec<&Stored> = found
        .iter()
        .filter(|(variant, _)| PaperFigure::has(claim.variants.as_ref(), &variant.id))
        .map(|(_, stored)| *stored)
        .collect();
    let threshold = match claim.than {
        Than::Number(number) => number,
        Than::Word(_) => of.first()?.uniform(claim.measure),
    };
    let mut seeds: Vec<u64> = of.iter().flat_map(|s| s.runs.iter().map(|run| run.seed)).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let worst_of = |seed: &u64| {
        let values = of.iter().filter_map(|stored| stored.value_of_seed(claim.measure, *seed));
        worst(values, claim.comparator, threshold)
    };
    let values: Vec<f64> = seeds.iter().map(worst_of).collect();
    if values.is_empty() {
        return None;
    }
    let source = claim.source.as_ref().unwrap_or(&figure.source);
    let (id, text) = (&claim.id, &claim.claim);
    let measured = Claim::measured(id, text, source, values, claim.comparator, threshold);
    Some(measured.refuted_by(&claim.refuted_by))
}

/// The value that is furthest from making the claim true; NaN beats all.
fn worst(values: impl Iterator<Item = f64>, comparator: Comparator, threshold: f64) -> f64 {
    let badness = |value: f64| match comparator {
        Comparator::Less | Comparator::AtMost => value,
        Comparator::Greater | Comparator::AtLeast => -value,
        Comparator::Equal => (value - threshold).abs(),
    };
    values
        .reduce(|a, b| if a.is_nan() || badness(a) >= badness(b) { a } else { b })
        .unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_the_one_that_speaks_most_against_the_claim() {
        let of = |comparator| worst([0.2, 0.9, 0.4].into_iter(), comparator, 0.3);
        assert_eq!([of(Comparator::Less), of(Comparator::AtLeast)], [0.9, 0.2]);
        assert_eq!(of(Comparator::Equal), 0.9);
        for values in [[f64::NAN, 0.1], [0.1, f64::NAN]] {
            assert!(worst(values.into_iter(), Comparator::Less, 0.3).is_nan());
        }
    }
}
