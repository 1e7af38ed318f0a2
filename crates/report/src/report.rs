//! The data of a report.

use crate::figure::Figure;
use crate::summary::Claim;
use crate::tables::{Table, cell};

/// The data of the page, the figures, the tables and the summary.
#[derive(Clone, Debug)]
pub struct Report {
    /// The page's heading.
    pub title: String,
    /// The program's version.
    pub version: String,
    /// The commit of the build, abbreviated or empty.
    pub commit: String,
    /// `quick` or `paper`.
    pub scale: String,
    /// The number of seeds per experiment.
    pub seeds: usize,
    /// Wall time of everything in the report, in seconds.
    pub wall_seconds: f64,
    /// The machine it ran on, in words.
    pub machine: String,
    /// The first screen of the page; `None` where the paper's first figure is not drawn.
    pub opening: Option<Opening>,
    /// In reading order.
    pub sections: Vec<Section>,
    /// The generated tables: notation, hyper-parameters, configurations.
    pub tables: Vec<NamedTable>,
    /// Titles of the comparisons of interventions next to it, which have their own page.
    pub comparisons: Vec<String>,
}

/// The first screen of the page.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Sizes of what was trained.
    pub trained: Vec<Trained>,
    /// The result of the paper's first figure, in a sentence or two.
    pub finding: String,
    /// Whether a trace of the reverse is there, in a few sentences; empty where that was not run.
    pub failures: String,
    /// The loss curves.
    pub curves: Figure,
    /// The effective weights over training; `None` without probes.
    pub film: Option<Figure>,
    /// The sections that have more of each.
    pub more: OpeningLinks,
}

/// Sections, by name, that have more of a part of the first screen; empty where there is none.
#[derive(Clone, Debug, Default)]
pub struct OpeningLinks {
    /// Of the loss curves.
    pub curves: String,
    /// Of the effective weights.
    pub film: String,
    /// Of the trace of the reverse.
    pub failures: String,
}

/// A size of the models of the first screen, here and in the paper.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Its name: `layers`.
    pub quantity: String,
    /// Its value in these runs.
    pub here: String,
    /// Its value in the paper.
    pub paper: String,
}

/// A part of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The paper's figures.
    Paper,
    /// Figures of this software.
    Ours,
    /// The user's own experiments.
    Own,
    /// The theorems, simulated.
    Theory,
}

/// A table made from the specs and data sets that ran.
#[derive(Clone, Debug)]
pub struct NamedTable {
    /// Stem of its file and anchor in the page: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// A short title.
    pub title: String,
    /// Its cells.
    pub table: Table,
    /// Its source, in a sentence.
    pub note: String,
}

/// One figure of the gallery: a question and its answer.
#[derive(Clone, Debug)]
pub struct Section {
    /// Anchor in the page: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// The part of the page that it is in.
    pub part: Part,
    /// Its heading.
    pub heading: String,
    /// Its source: `paper, figure 1`.
    pub source: String,
    /// The point to see in the figure, in one sentence.
    pub see: String,
    /// The finding, in a sentence or two, such as [`crate::reversal_finding`] returns.
    pub finding: String,
    /// In reading order.
    pub figures: Vec<Figure>,
    /// Held or not.
    pub claims: Vec<Claim>,
    /// The experiments behind the numbers.
    pub experiments: Vec<Experiment>,
}

/// One spec and its runs.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// Stem of its table `<name>-seeds.csv`: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// Its label in the figures: `free head`.
    pub label: String,
    /// Spec hash.
    pub hash: String,
    /// The whole resolved spec.
    pub spec_toml: String,
    /// The measures after the last epoch, with units: `held-out NLL (nats)`.
    pub measures: Vec<String>,
    /// One per seed.
    pub rows: Vec<SeedRow>,
    /// Total wall time of its runs, in seconds.
    pub wall_seconds: f64,
    /// The machine its runs ran on, in words.
    pub machine: String,
}

/// The results of one run.
#[derive(Clone, Debug)]
pub struct SeedRow {
    /// The run's seed.
    pub seed: u64,
    /// `complete`, `diverged`, `failed` or `interrupted`.
    pub status: String,
    /// One per measure; NaN where it does not apply.
    pub values: Vec<f64>,
}

impl Experiment {
    /// The values of one measure, one per seed; NaN where a row lacks it.
    pub(crate) fn column(&self, measure: usize) -> Vec<f64> {
        let value = |row: &SeedRow| row.values.get(measure).copied().unwrap_or(f64::NAN);
        self.rows.iter().map(value).collect()
    }

    /// The numbers over seeds in full precision.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new(&["seed", "status"]);
        table.header.extend(self.measures.iter().cloned());
        for (i, row) in self.rows.iter().enumerate() {
            let mut cells = vec![row.seed.to_string(), row.status.clone()];
            cells.extend((0..self.measures.len()).map(|m| cell(self.column(m)[i])));
            table.rows.push(cells);
        }
        table
    }
}
