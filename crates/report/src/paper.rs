//! The paper's figures: which experiments each needs, and what it claims.

use retrodict_lab::spec::{Spec, SpecError, ready};
use retrodict_lab::suggest::nearest;
use retrodict_lab::{Experiment, ExperimentError};
use thiserror::Error;

/// At which size the paper's experiments are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// The smallest setting that shows the same.
    Quick,
    /// The paper's own numbers.
    Paper,
}

impl Scale {
    /// As `summary.json` calls it.
    pub fn word(self) -> &'static str {
        match self {
            Scale::Quick => "quick",
            Scale::Paper => "paper",
        }
    }
}

/// A figure of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaperFigure {
    /// What it is called on the command line and on disk.
    pub name: &'static str,
    /// A short title.
    pub title: &'static str,
    /// What it claims, in a sentence.
    pub claim: &'static str,
}

/// Every figure that can be redrawn. All are made of the reversal experiment.
pub const FIGURES: [PaperFigure; 2] = [
    PaperFigure {
        name: "fig1",
        title: "Reversal: loss curves",
        claim: "trained directions are learned; held-out reversals stay no better than guessing",
    },
    PaperFigure {
        name: "fig2",
        title: "Reversal: effective weights",
        claim: "the diagonal is bright in every seen direction and absent in the unseen one",
    },
];

/// What cannot be reproduced.
#[derive(Debug, Error)]
pub enum PaperError {
    /// There is no such figure.
    #[error("there is no figure `{name}`; {hint}")]
    Unknown {
        /// As it was asked for.
        name: String,
        /// The nearest, or all.
        hint: String,
    },
    /// A spec of the program itself is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A spec of the program itself cannot be run.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
}

/// The figures asked for by name, in the paper's order; `all`, or no name, means all.
///
/// # Errors
/// [`PaperError::Unknown`] names what is there.
pub fn figures(names: &[String]) -> Result<Vec<PaperFigure>, PaperError> {
    let known = || FIGURES.iter().map(|figure| figure.name).chain(["all"]);
    if let Some(name) = names.iter().find(|name| !known().any(|k| k == *name)) {
        let hint = match nearest(name, known()) {
            Some(right) => format!("did you mean `{right}`?"),
            None => format!("there are {}", known().collect::<Vec<_>>().join(", ")),
        };
        return Err(PaperError::Unknown { name: name.clone(), hint });
    }
    let all = names.is_empty() || names.iter().any(|name| name == "all");
    let wanted = |figure: &PaperFigure| all || names.iter().any(|name| name == figure.name);
    Ok(FIGURES.into_iter().filter(wanted).collect())
}

/// The ready spec of the reversal experiment.
fn reversal_spec(scale: Scale) -> &'static str {
    match scale {
        Scale::Quick => "reversal-quick",
        Scale::Paper => "reversal-paper",
    }
}

/// The reversal experiment with a free head, as the paper's code ran it, and with a tied one.
///
/// # Errors
/// [`PaperError`] only if the program's own specs are wrong.
pub fn reversal(scale: Scale, seeds: usize) -> Result<Vec<Experiment>, PaperError> {
    let name = reversal_spec(scale);
    let text = ready(name)
        .map_err(|error| PaperError::Unknown { name: name.to_owned(), hint: error.to_string() })?;
    let seeds = seeds.to_string();
    let tied_name = format!("{name}-tied");
    let free: &[(&str, &str)] = &[("seeds", &seeds)];
    let tied: &[(&str, &str)] =
        &[("seeds", &seeds), ("name", &tied_name), ("model.tie_head", "true")];
    [free, tied]
        .into_iter()
        .map(|set| Ok(Experiment::new(Spec::parse_with(text, name, set)?, name)?))
        .collect()
}
