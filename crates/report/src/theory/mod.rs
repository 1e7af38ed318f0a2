//! Figures of the theory: simulations instead of training runs, stored below the output folder.

mod bilinear;
mod one_layer;
mod transfer;

use std::path::Path;

use retrodict_theory::TheoryError;

use crate::paper::Scale;
use crate::summary::{Claim, Comparator};
use crate::{ReportError, Section};

/// Runs the missing simulations below a folder, with this many draws; calls the function after
/// each.
type Make = fn(&Path, u32, &(dyn Fn() + Sync)) -> Result<(), TheoryError>;
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
        seconds: 10.0,
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
    /// Draws of random embeddings in each dimension, for as many seeds of an experiment.
    pub fn draws(&self, scale: Scale, seeds: usize) -> u32 {
        let each = match scale {
            Scale::Quick => 2,
            Scale::Paper => 6,
        };
        u32::try_from(seeds).unwrap_or(u32::MAX).saturating_mul(each)
    }

    /// Runs the missing simulations below `out`. `progress` is called after each simulation.
    ///
    /// # Errors
    /// [`TheoryError`] if a simulation or its file fails.
    pub fn make(
        &self,
        out: &Path,
        draws: u32,
        progress: &(dyn Fn() + Sync),
    ) -> Result<(), TheoryError> {
        (self.make)(out, draws, progress)
    }
}

/// The sections of all figures whose simulations are below `out`.
pub(crate) fn sections(out: &Path) -> Result<Vec<Section>, ReportError> {
    ALL.iter().filter_map(|figure| (figure.section)(figure, out).transpose()).collect()
}

/// A claim of the theory; it has one value per draw, or a single one.
fn claim(
    id: &str,
    claim: &str,
    source: &str,
    values: Vec<f64>,
    comparator: Comparator,
    threshold: f64,
) -> Claim {
    Claim::measured(&format!("theory.{id}"), claim, source, values, comparator, threshold)
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
            figure.make(out, 4, &|| ()).unwrap();
        }
        let report = from_store(out).unwrap();
        let names: Vec<&str> = report.sections.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["theory-bilinear", "theory-one-layer", "theory-transfer"]);
        for section in &report.sections {
            assert!(!section.claims.is_empty() && !section.figures.is_empty());
            for claim in &section.claims {
                assert!(claim.id.starts_with("theory.") && claim.holds, "{claim:?}");
            }
        }
        // Four draws a dimension.
        let epsilon = report.sections[0].claims.iter().find(|c| c.id.ends_with("epsilon_d100"));
        assert_eq!(epsilon.map(|claim| claim.values.len()), Some(4));
    }
}
