//! What a figure's file may say.

use retrodict_lab::spec::{Spec, ready};
use retrodict_lab::{Experiment, Measure};
use serde::Deserialize;
use toml::{Table, Value};

use super::{PaperError, Scale};
use crate::summary::Comparator;

/// A figure of the paper, or one of ours beside it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperFigure {
    /// What it is called on the command line and on disk.
    pub name: String,
    /// A short title.
    pub title: String,
    /// Where it stands: `paper, figure 1`.
    pub source: String,
    /// What it claims, in a sentence.
    pub claim: String,
    /// What to see in it, in a sentence.
    pub see: String,
    /// Figures whose variants it uses as well, or single ones of them (`fig3/free`).
    #[serde(default)]
    pub share: Vec<String>,
    /// Its experiments; once read, the shared ones first.
    #[serde(default)]
    pub variants: Vec<Variant>,
    /// What is drawn.
    pub drawings: Vec<Drawing>,
    /// What is claimed, and how it is measured.
    #[serde(default)]
    pub claims: Vec<PaperClaim>,
}

/// An experiment of a figure: a ready spec, and what is changed in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// What drawings and claims of the file call it.
    pub id: String,
    /// What the figure calls it.
    pub label: String,
    /// The ready spec, without its scale: `reversal`.
    pub base: String,
    /// The one scale that has it; both if not given.
    pub only: Option<Scale>,
    /// Keys that are set at both scales.
    #[serde(default)]
    pub set: Table,
    /// Keys that are set at quick scale.
    #[serde(default)]
    pub quick: Table,
    /// Keys that are set at paper scale.
    #[serde(default)]
    pub paper: Table,
    /// Whether quick scale keeps its models, and its effective weights on the way, as it does of
    /// the ready specs themselves. Those of hundreds of runs would fill a disk, and are made again
    /// in seconds.
    #[serde(default)]
    pub kept: bool,
    /// The most seeds that quick scale spends on it.
    pub quick_seeds: Option<usize>,
}

/// What a drawing shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrawingKind {
    /// NLL over epochs, a panel a variant.
    LossCurves,
    /// Heatmaps of effective weights of the first seed, over training.
    EffectiveWeights,
    /// Cosine similarities of embeddings of the first seed.
    Cosines,
    /// Shares of right answers in several ways of asking, a dot a seed.
    Accuracies,
}

/// One picture of a figure.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawing {
    /// Stem of its files; the figure's if not given.
    pub name: Option<String>,
    /// Its title; the figure's if not given.
    pub title: Option<String>,
    /// What it shows.
    pub kind: DrawingKind,
    /// Which variants; all if not given.
    pub variants: Option<Vec<String>>,
    /// Of [`DrawingKind::Accuracies`]: the ways of asking.
    #[serde(default)]
    pub ways: Vec<Way>,
}

/// A way of asking.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Way {
    /// What the drawing calls it.
    pub name: String,
    /// The measure that is its fraction of right answers, given by its id.
    pub measure: &'static Measure,
}

/// A claim: every variant's measure, seed by seed, against a threshold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperClaim {
    /// Begins with the experiment: `reversal.held_out_nll`.
    pub id: String,
    /// In a sentence.
    pub claim: String,
    /// Where it is made; where the figure stands if not given.
    pub source: Option<String>,
    /// The measure, given by its id.
    pub measure: &'static Measure,
    /// Of which variants; all if not given. Of several the one counts that is worst for the claim.
    pub variants: Option<Vec<String>>,
    /// How the measure must stand to the threshold.
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
    /// The NLL of uniform guessing in the first of the variants.
    Word(Uniform),
}

/// The one word that is a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Uniform {
    /// Guessing over the whole vocabulary.
    Uniform,
}

impl Variant {
    /// The experiment at a scale, over at most `seeds` seeds.
    ///
    /// # Errors
    /// [`PaperError`] if the ready spec is missing, or the keys do not fit it.
    pub fn experiment(&self, scale: Scale, seeds: usize) -> Result<Experiment, PaperError> {
        let name = format!("{}-{}", self.base, scale.word());
        let (own, most) = match scale {
            Scale::Quick => (&self.quick, self.quick_seeds.unwrap_or(seeds)),
            Scale::Paper => (&self.paper, seeds),
        };
        let mut set: Vec<(String, String)> =
            self.set.iter().chain(own).map(|(key, value)| (key.clone(), literal(value))).collect();
        set.push(("seeds".to_owned(), seeds.min(most).to_string()));
        let set: Vec<(&str, &str)> = set.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let mut spec = Spec::parse_with(ready(&name)?, &name, &set)?;
        if scale == Scale::Quick && !self.kept && !self.set.is_empty() {
            spec.keep_little(|_| false);
        }
        Ok(Experiment::new(spec, &name)?)
    }
}

/// A value as TOML writes it; a string as it stands.
fn literal(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl PaperFigure {
    /// Whether a list of variants, if there is one, has this one.
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
                "id = \"a.b\"\nclaim = \"c\"\nmeasure = \"{measure}\"\nis = \"<\"\nthan = 1.0"
            );
            toml::from_str::<PaperClaim>(&text)
        };
        assert_eq!(claim("held_out_top1").unwrap().measure.id, "held_out_top1");
        let error = claim("held_out_top").unwrap_err().to_string();
        assert!(error.contains("did you mean `held_out_top1`?"), "{error}");
    }
}
