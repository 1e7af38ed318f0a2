//! The paper's figures as data: one TOML file each, under `paper/` of this crate.
//!
//! A figure names its experiments (a ready spec with changed keys, at either scale), its drawings
//! its claims, and what it gives to the first screen of the page.

mod figure;
mod own;
mod sweep;

use std::path::Path;
use std::sync::LazyLock;

use retrodict_lab::nearest;
use retrodict_lab::spec::{SpecError, UnknownReady};
use retrodict_lab::{Experiment, ExperimentError};
use thiserror::Error;

use crate::theory::{self, TheoryFigure};

pub use figure::{
    Drawing, DrawingKind, Level, OpeningPart, Over, PaperClaim, PaperFigure, SEEDS, Than, Variant,
    Way,
};
pub use own::EXAMPLE;
pub(crate) use own::parse as own_figure;
pub use sweep::{Place, Sweep, SweptKey};

/// The size of the paper's experiments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// The smallest setting that shows the same effects.
    Quick,
    /// The paper's own numbers.
    Paper,
}

impl Scale {
    /// Its name in `summary.json` and the ready specs.
    pub fn word(self) -> &'static str {
        match self {
            Scale::Quick => "quick",
            Scale::Paper => "paper",
        }
    }
}

/// An error in the figures to reproduce.
#[derive(Debug, Error)]
pub enum PaperError {
    /// There is no such figure.
    #[error("there is no figure `{name}`; {hint}")]
    Unknown {
        /// The name as given.
        name: String,
        /// The nearest, or all.
        hint: String,
    },
    /// A file cannot be read.
    #[error("{origin}: cannot read the figure: {source}")]
    Read {
        /// The file as the user named it.
        origin: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is no figure.
    #[error("{problem} (`retrodict spec figure` prints an example)")]
    Figure {
        /// The problems, each with its place.
        problem: String,
    },
    /// A figure uses a spec that does not exist.
    #[error(transparent)]
    Ready(#[from] UnknownReady),
    /// A spec of a figure is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A spec of a figure cannot be run.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
}

/// The files, in the order of the report.
const FILES: &[&str] = &[
    include_str!("../../paper/fig1.toml"),
    include_str!("../../paper/fig2.toml"),
    include_str!("../../paper/two-failures.toml"),
    include_str!("../../paper/fig3.toml"),
    include_str!("../../paper/fig4.toml"),
    include_str!("../../paper/fig5.toml"),
    include_str!("../../paper/fig6.toml"),
    include_str!("../../paper/fig7.toml"),
    include_str!("../../paper/fig8.toml"),
    include_str!("../../paper/fig9.toml"),
    include_str!("../../paper/fig10.toml"),
    include_str!("../../paper/fig11.toml"),
    include_str!("../../paper/fig12.toml"),
    include_str!("../../paper/fig13.toml"),
    include_str!("../../paper/fig14.toml"),
    include_str!("../../paper/fig15.toml"),
    include_str!("../../paper/fig16.toml"),
    include_str!("../../paper/expressivity.toml"),
    include_str!("../../paper/chain-of-thought.toml"),
    include_str!("../../paper/head.toml"),
    include_str!("../../paper/weight-decay.toml"),
];

/// Every figure, in the order of the report.
pub fn all() -> &'static [PaperFigure] {
    static FIGURES: LazyLock<Vec<PaperFigure>> = LazyLock::new(|| {
        let read = |text: &&str| toml::from_str(text);
        let mut figures: Vec<PaperFigure> = FILES
            .iter()
            .map(read)
            .collect::<Result<_, _>>()
            .expect("the figures of the program are valid TOML; a test reads them");
        let own = |figure: &PaperFigure| {
            let swept = figure.sweeps.iter().flat_map(Sweep::variants);
            (figure.name.clone(), figure.variants.iter().cloned().chain(swept).collect())
        };
        let own: Vec<(String, Vec<Variant>)> = figures.iter().map(own).collect();
        for figure in &mut figures {
            complete(figure, &own).expect("a figure shares what another has; a test reads them");
        }
        figures
    });
    &FIGURES
}

/// Adds the variants of the figure's sweeps, and before them those that it shares: of a figure, or
/// one of them (`fig3/free`). The error is a name that stands for none.
fn complete(figure: &mut PaperFigure, known: &[(String, Vec<Variant>)]) -> Result<(), String> {
    let mut variants = Vec::new();
    for from in &figure.share {
        let (name, id) = from.split_once('/').unwrap_or((from, ""));
        let of = known.iter().filter(|(other, _)| other == name).flat_map(|(_, all)| all);
        let before = variants.len();
        variants.extend(of.filter(|v| id.is_empty() || v.id == id).cloned());
        if variants.len() == before {
            return Err(from.clone());
        }
    }
    variants.append(&mut figure.variants);
    variants.extend(figure.sweeps.iter().flat_map(Sweep::variants));
    figure.variants = variants;
    Ok(())
}

/// The selected figures, in the order of the report.
#[derive(Debug)]
pub struct Wanted {
    /// Of training runs.
    pub trained: Vec<&'static PaperFigure>,
    /// Of the theory.
    pub theory: Vec<&'static TheoryFigure>,
}

/// Selects figures by name; `all`, or no name, means all. A name that ends in `.toml` is a file with
/// a figure of the user's own.
///
/// # Errors
/// [`PaperError::Unknown`] names the figures that exist; others if a file is no figure.
pub fn figures(words: &[String]) -> Result<Wanted, PaperError> {
    let is_file = |word: &&String| Path::new(word).extension().is_some_and(|end| end == "toml");
    let (files, names): (Vec<&String>, Vec<&String>) = words.iter().partition(is_file);
    let own: Vec<&'static PaperFigure> =
        files.iter().map(|file| own::load(Path::new(file))).collect::<Result<_, _>>()?;
    let trained = || all().iter().map(|figure| figure.name.as_str());
    let known = || trained().chain(theory::ALL.iter().map(|figure| figure.name)).chain(["all"]);
    if let Some(name) = names.iter().find(|name| !known().any(|k| k == name.as_str())) {
        let hint = match nearest(name, known()) {
            Some(right) => format!("did you mean `{right}`?"),
            None => format!("there are {}", known().collect::<Vec<_>>().join(", ")),
        };
        return Err(PaperError::Unknown { name: name.to_string(), hint });
    }
    let every = words.is_empty() || names.iter().any(|name| *name == "all");
    let asked = |name: &str| every || names.iter().any(|asked| *asked == name);
    Ok(Wanted {
        trained: all().iter().filter(|figure| asked(&figure.name)).chain(own).collect(),
        theory: theory::ALL.iter().filter(|figure| asked(figure.name)).collect(),
    })
}

/// The experiments of a figure at a scale, each with its variant; see [`Variant::experiment`].
///
/// # Errors
/// [`PaperError`] only if the program's own specs are wrong.
pub fn experiments(
    figure: &'static PaperFigure,
    scale: Scale,
    seeds: Option<usize>,
) -> Result<Vec<(&'static Variant, Experiment)>, PaperError> {
    let variants = figure.variants.iter().filter(|v| v.only.is_none_or(|only| only == scale));
    variants.map(|variant| Ok((variant, variant.experiment(scale, seeds)?))).collect()
}
