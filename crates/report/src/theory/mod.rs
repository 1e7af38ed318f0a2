//! Figures of the theory: simulations instead of training runs, stored below the output folder.

mod bilinear;
mod one_layer;
mod transfer;

use std::path::Path;

use retrodict_theory::{Theorem, TheoryError};

use crate::paper::Scale;
use crate::summary::{Claim, Comparator};
use crate::{ReportError, Section};

/// Runs the missing simulations below a folder, at a scale and with so many seeds; calls the
/// function after each.
type Make = fn(&Path, Scale, u32, &(dyn Fn() + Sync)) -> Result<(), TheoryError>;
/// Builds a section from the simulations below a folder.
type Draw = fn(&TheoryFigure, &Path) -> Result<Option<Section>, ReportError>;

/// A figure of the theory.
#[derive(Debug)]
pub struct TheoryFigure {
    /// Its name on the command line and on disk.
    pub name: &'static str,
    /// A short title.
    pub title: &'static str,
    /// Its claim, in a sentence.
    pub claim: &'static str,
    /// Measured seconds at quick scale with ten seeds on two cores.
    pub seconds: f64,
    make: Make,
    section: Draw,
}

/// Every figure, in the order of the report.
pub(crate) const ALL: &[TheoryFigure] = &[
    TheoryFigure {
        name: "theory-bilinear",
        title: "Bilinear model: theorems 1 and 2",
        claim: "the reversal loss falls no faster than a vanishing power of the training loss",
        seconds: 16.0,
        make: bilinear::make,
        section: bilinear::section,
    },
    TheoryFigure {
        name: "theory-one-layer",
        title: "One-layer transformer: theorems 3 and 4",
        claim: "training sentences are learned, reversed ones and indirect links stay at 1/M",
        seconds: 2.0,
        make: one_layer::make,
        section: one_layer::section,
    },
    TheoryFigure {
        name: "theory-transfer",
        title: "Transfer: what one sentence teaches of another",
        claim: "a sentence moves its reverse no more than it moves any other",
        seconds: 40.0,
        make: transfer::make,
        section: transfer::section,
    },
];

impl TheoryFigure {
    /// Runs the missing simulations below `out`, trained ones with so many seeds. `progress` is
    /// called after each simulation.
    ///
    /// # Errors
    /// [`TheoryError`] if a simulation or its file fails.
    pub fn make(
        &self,
        out: &Path,
        scale: Scale,
        seeds: usize,
        progress: &(dyn Fn() + Sync),
    ) -> Result<(), TheoryError> {
        (self.make)(out, scale, u32::try_from(seeds).unwrap_or(u32::MAX), progress)
    }
}

/// The sections of all figures whose simulations are below `out`.
pub(crate) fn sections(out: &Path) -> Result<Vec<Section>, ReportError> {
    ALL.iter().filter_map(|figure| (figure.section)(figure, out).transpose()).collect()
}

/// The theorems of a model as claims, with the source of each.
fn claims(
    model: &str,
    theorems: &[Theorem],
    source: impl Fn(&Theorem) -> &'static str,
) -> Vec<Claim> {
    let claim = |theorem: &Theorem| {
        let comparator = match theorem.comparator.as_str() {
            "<=" => Comparator::AtMost,
            _ => Comparator::AtLeast,
        };
        let id = format!("theory.{model}.{}", theorem.id.replace('-', "_"));
        let values = vec![theorem.measured.unwrap_or(f64::NAN)];
        Claim::measured(&id, &theorem.claim, source(theorem), values, comparator, theorem.bound)
            .refuted_by(&theorem.refuted_by)
    };
    theorems.iter().map(claim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::from_store;

    #[test]
    fn the_report_of_simulations_alone_holds_the_theorems() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        retrodict_lab::store::Store::open(out).unwrap();
        assert!(from_store(out).is_err(), "nothing to report");
        for figure in ALL {
            assert!(sections(out).unwrap().iter().all(|section| section.name != figure.name));
            figure.make(out, Scale::Quick, 2, &|| ()).unwrap();
        }
        let report = from_store(out).unwrap();
        let documented = include_str!("../../../../docs/claims-history.md");
        let names: Vec<&str> = report.sections.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["theory-bilinear", "theory-one-layer", "theory-transfer"]);
        for section in &report.sections {
            assert!(!section.claims.is_empty() && !section.figures.is_empty());
            for claim in &section.claims {
                assert!(claim.id.starts_with("theory.") && claim.holds, "{claim:?}");
                assert!(!claim.refuted_by.is_empty(), "{claim:?}");
                let (id, sign) = (&claim.id["theory.".len()..], claim.comparator.sign());
                let row = if claim.threshold < 1e-4 && claim.threshold > 0.0 {
                    format!("| `{id}` | {sign} {:e} |", claim.threshold)
                } else {
                    format!("| `{id}` | {sign} {} |", claim.threshold)
                };
                assert!(documented.contains(&row), "docs/claims-history.md lacks {row}");
            }
        }
        let made = retrodict_theory::transfer::stored(out).unwrap();
        transfer::claims::tests::claims_fail_on_broken_input(&made);
        transfer::words::tests::only_what_was_measured_is_said(&made);
    }
}
