//! The format of a figure's file.

use retrodict_lab::spec::{Spec, ready};
use retrodict_lab::{Experiment, Measure};
use serde::Deserialize;
use toml::{Table, Value};

use super::sweep::{Place, Sweep};
use super::{PaperError, Scale};
use crate::summary::Comparator;

/// A figure of the paper, or an additional one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperFigure {
    /// Its name on the command line and on disk.
    pub name: String,
    /// A short title.
    pub title: String,
    /// Its source: `paper, figure 1`.
    #[serde(default)]
    pub source: String,
    /// Its claim, in a sentence.
    #[serde(default)]
    pub claim: String,
    /// The point to see in it, in a sentence.
    #[serde(default)]
    pub see: String,
    /// Its part of the first screen of the page, if any.
    pub opening: Option<OpeningPart>,
    /// The file of a figure of the user's own, as it was read; empty for one of the program.
    #[serde(skip)]
    pub text: String,
    /// Other figures whose variants it uses, or single variants (`fig3/free`).
    #[serde(default)]
    pub share: Vec<String>,
    /// Its experiments; once read, the shared ones first.
    #[serde(default)]
    pub variants: Vec<Variant>,
    /// Further experiments, the products of several keys' values.
    #[serde(default)]
    pub sweeps: Vec<Sweep>,
    /// The drawings.
    pub drawings: Vec<Drawing>,
    /// The claims, with their measures.
    #[serde(default)]
    pub claims: Vec<PaperClaim>,
}

/// The part of the page's first screen that a figure of the program gives.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpeningPart {
    /// The loss curves of its first variant with a free head, and the sizes of its models.
    Curves,
    /// The film of the effective weights with a free head.
    Film,
    /// The ranks of the sweep of this name, free head beside tied head; also the finding of the
    /// figure.
    Failures(String),
}

/// An experiment of a figure: a ready spec with changed keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Its name in drawings and claims of the file.
    pub id: String,
    /// Its label in the figure.
    pub label: String,
    /// The ready spec, without its scale: `reversal`.
    pub base: String,
    /// The one scale that has it; both if not given.
    pub only: Option<Scale>,
    /// Keys set at both scales.
    #[serde(default)]
    pub set: Table,
    /// Keys set at quick scale.
    #[serde(default)]
    pub quick: Table,
    /// Keys set at paper scale.
    #[serde(default)]
    pub paper: Table,
    /// Whether quick scale keeps its models, and its effective weights during training, as for the
    /// ready specs themselves. Those of hundreds of runs would fill a disk, and are recomputed in
    /// seconds.
    #[serde(default)]
    pub kept: bool,
    /// Whether its first seed is only the film of the effective weights, with more frames than the
    /// other variants have: no number or claim is of it.
    #[serde(default)]
    pub film: bool,
    /// The largest number of seeds at quick scale, unless a number is asked for.
    pub quick_seeds: Option<usize>,
    /// Of a sweep's variant: the values of its keys.
    #[serde(skip)]
    pub places: Vec<Place>,
}

/// The content of a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrawingKind {
    /// NLL over epochs, one panel per variant.
    LossCurves,
    /// Heatmaps of effective weights of the first seed, over training.
    EffectiveWeights,
    /// Cosine similarities of embeddings of the first seed.
    Cosines,
    /// Shares of right answers in several ways of asking, one dot per seed.
    Accuracies,
    /// Measures over the values of swept keys.
    Over,
}

/// One picture of a figure.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawing {
    /// Stem of its files; the figure's if not given.
    pub name: Option<String>,
    /// Its title; the figure's if not given.
    pub title: Option<String>,
    /// Its content.
    pub kind: DrawingKind,
    /// The variants; all if not given.
    pub variants: Option<Vec<String>>,
    /// Of [`DrawingKind::Accuracies`]: the ways of asking.
    #[serde(default)]
    pub ways: Vec<Way>,
    /// Of [`DrawingKind::Over`]: the axes.
    pub over: Option<Over>,
}

/// The axes of a drawing over swept keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Over {
    /// The sweep.
    pub sweep: String,
    /// The key on the x axis.
    pub x: String,
    /// Its label.
    pub x_label: String,
    /// Whether the x axis is logarithmic.
    #[serde(default)]
    pub x_log: bool,
    /// The label of the y axis, with its unit.
    pub y_label: String,
    /// Whether the y axis is logarithmic: it then shows medians and quartiles.
    #[serde(default)]
    pub y_log: bool,
    /// The key whose values are the lines; the measures are, if not given.
    pub series: Option<String>,
    /// The key whose values are panels.
    pub panels: Option<String>,
    /// The measures, given by their ids.
    pub measures: Vec<&'static Measure>,
    /// A dashed line to compare them with, such as chance.
    pub level: Option<Level>,
}

/// A level that a drawing compares measures with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// Its label in the legend.
    pub label: String,
    /// Its height.
    pub at: Than,
}

/// A way of asking.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Way {
    /// Its label in the drawing.
    pub name: String,
    /// The measure that is its fraction of right answers, given by its id.
    pub measure: &'static Measure,
}

/// A claim: compares a measure of every variant and seed with a threshold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperClaim {
    /// Begins with the experiment: `reversal.held_out_nll`.
    pub id: String,
    /// In a sentence.
    pub claim: String,
    /// Its source; the figure's if not given. One that begins with `paper, ` makes it a claim of the
    /// paper, any other a finding of ours.
    pub source: Option<String>,
    /// The result that would refute it, in one sentence.
    pub refuted_by: String,
    /// The measure, given by its id.
    pub measure: &'static Measure,
    /// The variants; all if not given. Of several, the worst one for the claim counts.
    pub variants: Option<Vec<String>>,
    /// The comparison between the measure and the threshold.
    #[serde(rename = "is")]
    pub comparator: Comparator,
    /// The threshold.
    pub than: Than,
}

/// A threshold.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Than {
    /// In the unit of the measure.
    Number(f64),
    /// The NLL of uniform guessing in the first of the variants: of one token for the NLL of a first
    /// token, else of a whole entity.
    Word(Uniform),
}

/// The only word that is a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Uniform {
    /// Guessing over the whole vocabulary.
    Uniform,
}

/// Seeds of an experiment, unless a number is asked for.
pub const SEEDS: usize = 10;

impl Variant {
    /// A variant of which only its places in a sweep are known.
    pub(crate) fn placed(id: &str, places: Vec<Place>) -> Variant {
        Variant {
            id: id.to_owned(),
            label: String::new(),
            base: String::new(),
            only: None,
            set: Table::new(),
            quick: Table::new(),
            paper: Table::new(),
            kept: false,
            film: false,
            quick_seeds: None,
            places,
        }
    }

    /// The experiment at a scale, over `seeds` seeds; if not given, over [`SEEDS`], or fewer at quick
    /// scale where the figure says so.
    ///
    /// # Errors
    /// [`PaperError`] if the ready spec is missing, or the keys do not fit it.
    pub fn experiment(&self, scale: Scale, seeds: Option<usize>) -> Result<Experiment, PaperError> {
        let mut name = format!("{}-{}", self.base, scale.word());
        if ready(&name).is_err() && ready(&self.base).is_ok() {
            // A ready spec that has no scales.
            name.clone_from(&self.base);
        }
        let (own, most) = match scale {
            Scale::Quick => (&self.quick, self.quick_seeds),
            Scale::Paper => (&self.paper, None),
        };
        let seeds = seeds.unwrap_or(most.unwrap_or(SEEDS).min(SEEDS));
        let mut set: Vec<(String, String)> =
            self.set.iter().chain(own).map(|(key, value)| (key.clone(), literal(value))).collect();
        set.push(("seeds".to_owned(), seeds.to_string()));
        let set: Vec<(&str, &str)> = set.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let mut spec = Spec::parse_with(ready(&name)?, &name, &set)?;
        // A variant that sets keys to their defaults is the ready spec, and shares its runs.
        let is_ready = spec.hash() == Spec::parse(ready(&name)?, &name)?.hash();
        if scale == Scale::Quick && !self.kept && !is_ready {
            spec.keep_little(|_| false);
        }
        Ok(Experiment::new(spec, &name)?)
    }
}

/// A value in TOML; a string without quotes.
pub(super) fn literal(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl PaperFigure {
    /// Whether a list of variants, if given, contains this one.
    pub(crate) fn has(wanted: Option<&Vec<String>>, id: &str) -> bool {
        wanted.is_none_or(|ids| ids.iter().any(|wanted| wanted == id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_measure_of_a_claim_gets_the_nearest() {
        let claim = |measure: &str| {
            let text = format!(
                "id = \"a.b\"\nclaim = \"c\"\nrefuted_by = \"r\"\nmeasure = \"{measure}\"\nis = \"<\"\nthan = 1.0"
            );
            toml::from_str::<PaperClaim>(&text)
        };
        assert_eq!(claim("held_out_top1").unwrap().measure.id, "held_out_top1");
        let error = claim("held_out_top").unwrap_err().to_string();
        assert!(error.contains("did you mean `held_out_top1`?"), "{error}");
    }
}
