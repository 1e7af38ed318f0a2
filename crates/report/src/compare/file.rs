//! The file of a comparison.

use serde::{Deserialize, Serialize};
use toml::Table;

/// Seeds of every intervention where the file does not say.
const SEEDS: usize = 5;

/// The row that all others are compared with; no intervention can be called so.
pub(crate) const BASELINE: &str = "baseline";

/// Interventions on one or several tasks, each compared with the task's baseline.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Its name on the command line and on disk.
    pub name: String,
    /// A short title.
    pub title: String,
    /// Seeds of every intervention.
    #[serde(default = "seeds")]
    pub seeds: usize,
    /// The tasks.
    #[serde(rename = "task")]
    pub tasks: Vec<Task>,
    /// The file as it was read, kept beside its results.
    #[serde(skip)]
    pub text: String,
    /// The file's name as the user gave it.
    #[serde(skip)]
    pub origin: String,
}

fn seeds() -> usize {
    SEEDS
}

/// A task: a baseline and changes to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Its name on the command line, and the end of its folder in the store.
    pub id: String,
    /// A short title.
    pub title: String,
    /// The question or the finding, in a sentence.
    pub claim: String,
    /// The ready spec that the baseline starts from: `reversal-quick`.
    pub base: Option<String>,
    /// The baseline's spec written out, in place of `base`: `[task.spec.data]` and so on.
    #[serde(default)]
    pub spec: Table,
    /// Keys that are set in the baseline: `"model.layers" = 1`.
    #[serde(default)]
    pub set: Table,
    /// Where the rows differ in a number, the picture is accuracy over it.
    pub response: Option<Response>,
    /// The changes.
    #[serde(rename = "intervention")]
    pub interventions: Vec<Intervention>,
}

/// Accuracy over a number in the spec, drawn in place of forward against reverse accuracy.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// The number: `data.train_fraction`.
    pub key: String,
    /// The label of the axis.
    pub axis: String,
    /// The line of the baseline, and of interventions that name no other.
    pub series: String,
}

/// A remedy, proposed or tried.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intervention {
    /// A stable name for files and anchors.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// Which part of training it changes.
    pub family: Family,
    /// The change and why it should help, in a sentence or two.
    pub idea: String,
    /// Whose idea it is: a paper, or `retrodict`.
    pub source: String,
    /// The formula, in plain text; empty where words do.
    #[serde(default)]
    pub formula: String,
    /// The keys of the baseline's spec that it changes: `"train.weight_decay" = 0.1`.
    pub set: Table,
    /// Its line in the picture of a task with a `response`.
    pub series: Option<String>,
    /// The direction of effect that a publication reports: another than Zhu et al.'s own sweeps or
    /// retrodict's, named in `source`.
    pub expect: Option<Expect>,
    /// With `expect = "helps"`: the least reverse accuracy, its mean over seeds.
    pub reach: Option<f64>,
    /// With `expect = "fails"`: the greatest reverse accuracy, its mean over seeds.
    pub at_most: Option<f64>,
}

/// A published direction of effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// The reverse is learned.
    Helps,
    /// It is not.
    Fails,
}

/// Which part of training an intervention changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// The sentences.
    Data,
    /// The loss.
    Objective,
    /// The model.
    Architecture,
    /// How weights are moved.
    Optimiser,
    /// The task itself.
    Task,
}

impl Family {
    /// All, in the order of a legend.
    pub const ALL: [Family; 5] =
        [Family::Data, Family::Objective, Family::Architecture, Family::Optimiser, Family::Task];

    /// As the file calls it.
    pub fn word(self) -> &'static str {
        match self {
            Family::Data => "data",
            Family::Objective => "objective",
            Family::Architecture => "architecture",
            Family::Optimiser => "optimiser",
            Family::Task => "task",
        }
    }
}
