//! `summary.json`: claims and measured values.

use serde::{Deserialize, Serialize};

use retrodict_lab::stats;

/// One claim, of the paper or additional, compared with the measured values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Claim {
    /// Begins with the experiment: `reversal.held_out_nll`.
    pub id: String,
    /// In one sentence.
    pub claim: String,
    /// Its source: `paper, figure 1`.
    pub source: String,
    /// The result that would refute it, in one sentence.
    pub refuted_by: String,
    /// Mean over seeds; null if no seed has a finite value.
    pub value: Option<f64>,
    /// Standard deviation over seeds (ddof 1); null for fewer than two seeds.
    pub spread: Option<f64>,
    /// One per seed; null where a seed diverged or the measure does not apply.
    pub values: Vec<f64>,
    /// The comparison of `values` with `threshold` that the claim states.
    pub comparator: Comparator,
    /// In the unit of `values`.
    pub threshold: f64,
    /// Whether the comparison is true of every seed.
    pub holds: bool,
}

impl Claim {
    /// Compares measured values, one per seed, with a threshold. The claim holds if it holds for
    /// every seed, and there is at least one.
    pub fn measured(
        id: &str,
        claim: &str,
        source: &str,
        values: Vec<f64>,
        comparator: Comparator,
        threshold: f64,
    ) -> Self {
        let holds = !values.is_empty() && values.iter().all(|v| comparator.holds(*v, threshold));
        Self {
            id: id.into(),
            claim: claim.into(),
            source: source.into(),
            refuted_by: String::new(),
            value: stats::mean(&values),
            spread: stats::std(&values),
            values,
            comparator,
            threshold,
            holds,
        }
    }

    /// The same with the result that would refute it, in one sentence.
    #[must_use]
    pub fn refuted_by(mut self, result: &str) -> Self {
        self.refuted_by = result.into();
        self
    }
}

/// An order between a measured value and a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparator {
    /// Measured below.
    #[serde(rename = "<")]
    Less,
    /// Measured below or equal.
    #[serde(rename = "<=")]
    AtMost,
    /// Equal.
    #[serde(rename = "==")]
    Equal,
    /// Measured above or equal.
    #[serde(rename = ">=")]
    AtLeast,
    /// Measured above.
    #[serde(rename = ">")]
    Greater,
}

impl Comparator {
    /// Whether the comparison holds; never for NaN.
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Less => value < threshold,
            Self::AtMost => value <= threshold,
            Self::Equal => value == threshold,
            Self::AtLeast => value >= threshold,
            Self::Greater => value > threshold,
        }
    }

    /// Its printed symbol.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "≤",
            Self::Equal => "=",
            Self::AtLeast => "≥",
            Self::Greater => ">",
        }
    }
}

/// The whole of `summary.json`.
#[derive(Debug, Serialize)]
pub(crate) struct Summary<'a> {
    pub(crate) version: &'a str,
    pub(crate) commit: &'a str,
    pub(crate) scale: &'a str,
    pub(crate) seeds: usize,
    pub(crate) wall_seconds: f64,
    pub(crate) claims: Vec<&'a Claim>,
    pub(crate) figures: Vec<FigureFiles>,
}

/// A figure's files, relative to the summary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct FigureFiles {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) svg: String,
    pub(crate) png: String,
    pub(crate) pdf: String,
    pub(crate) table: String,
}

impl FigureFiles {
    pub(crate) fn of(name: &str, title: &str) -> Self {
        Self { table: format!("tables/{name}.csv"), ..Self::in_folder("figures/", name, title) }
    }

    /// All four files side by side; `folder` is empty or ends with a slash.
    pub(crate) fn in_folder(folder: &str, name: &str, title: &str) -> Self {
        let file = |extension: &str| format!("{folder}{name}.{extension}");
        Self {
            name: name.into(),
            title: title.into(),
            svg: file("svg"),
            png: file("png"),
            pdf: file("pdf"),
            table: file("csv"),
        }
    }
}
