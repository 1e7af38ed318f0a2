//! The effect of one step of training on a fact: on another phrasing of it, on its reverse, and on
//! questions about other facts.

use std::collections::BTreeMap;

use retrodict_audit::p_of_sign_flips;
use retrodict_corpus::{Direction, FactFile, Question, Templates, Trained, questions};
use retrodict_facts::RandomState;
use retrodict_lab::bootstrap::{Interval, interval_of_mean};
use serde::Serialize;

use crate::{FinetuneError, LearnerError};

/// The effects of a step on the answer of a text, for each nat that the answer itself gains.
#[derive(Debug, Clone, PartialEq)]
pub struct Gains {
    /// The log probability of the text's answer before the step, in nats.
    pub log_probability: f64,
    /// The parts of the model by name, each with what every answer gains where it alone moves.
    pub parts: Vec<(&'static str, Vec<f64>)>,
}

/// A language model whose response to a step of training can be measured.
pub trait Tangent {
    /// The first-order effect of a step of gradient descent on the answer of a text, a prompt with
    /// its answer, on answers after their prompts. `go` returns false to stop it.
    ///
    /// # Errors
    /// [`LearnerError`] for a text that the model cannot take, and a stop.
    fn gains(
        &mut self,
        text: (&str, &str),
        answers: &[(&str, &str)],
        go: &mut dyn FnMut() -> bool,
    ) -> Result<Gains, LearnerError>;
}

/// A question in its relation to the fact that is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The fact in the last of its phrasings, which is not the trained one.
    Paraphrase,
    /// The answer of that after the questions about other facts.
    ParaphraseElsewhere,
    /// The fact in the other direction.
    Reverse,
    /// The answer of that after the reverse questions about other facts: the name has become more
    /// likely, whatever is asked.
    ReverseElsewhere,
    /// Other facts in the other direction.
    OtherReverse,
}

impl Kind {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 5] = [
        Self::Paraphrase,
        Self::ParaphraseElsewhere,
        Self::Reverse,
        Self::ReverseElsewhere,
        Self::OtherReverse,
    ];

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paraphrase => "the fact in other words",
            Self::ParaphraseElsewhere => "its answer, asked about other facts",
            Self::Reverse => "the reverse",
            Self::ReverseElsewhere => "its answer, asked about other facts in reverse",
            Self::OtherReverse => "other facts in reverse",
        }
    }
}

/// The effects of a step on one fact.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FactGains {
    /// The line of the fact.
    pub line: usize,
    /// The facts that it belongs with, which count as one observation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The direction that is trained.
    pub direction: String,
    /// The log probability of the answer before the step, in nats.
    pub log_probability: f64,
    /// The mean gain by kind of question, then by part of the model.
    pub gains: BTreeMap<Kind, Vec<f64>>,
}

/// A mean over facts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Its 95 % bootstrap interval over facts; `None` for fewer than two.
    pub interval: Option<[f64; 2]>,
}

/// A kind of question over all facts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindGains {
    /// The kind.
    pub kind: Kind,
    /// Its name for people.
    pub name: &'static str,
    /// The gain of its answers for each nat of the trained text's answer.
    pub gain: Mean,
    /// The same where one part of the model moves, by part.
    pub by_part: Vec<Mean>,
}

/// How much more the right question gains than the same answer after questions about other facts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Excess {
    /// [`Kind::Paraphrase`] or [`Kind::Reverse`].
    pub kind: Kind,
    /// The difference of gains.
    pub excess: Mean,
    /// The same where one part of the model moves, by part.
    pub by_part: Vec<Mean>,
    /// The share of facts for which it is above 0; ½ by chance.
    pub above: f64,
    /// The two-sided p-value of no difference, by sign flips over facts.
    pub p: f64,
}

/// Transfer from facts to their reverses in a language model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TransferSummary {
    /// The version of the program.
    pub version: &'static str,
    /// The model, as the user named it.
    pub model: String,
    /// The file of facts, as the user named it.
    pub facts_file: String,
    /// Other facts that each is compared with, at most.
    pub others: usize,
    /// The parts of the model.
    pub parts: Vec<&'static str>,
    /// By kind of question.
    pub kinds: Vec<KindGains>,
    /// Paraphrase and reverse against their controls.
    pub excess: Vec<Excess>,
    /// By fact.
    pub facts: Vec<FactGains>,
}

/// Seeds of the draws of other facts and of sign flips.
const SEED: u32 = 0;
/// Sign flips that are drawn.
const FLIPS: u32 = 10_000;

/// Measures every fact. `progress` is called with the facts done and all, until it returns false.
///
/// # Errors
/// [`FinetuneError::NoOthers`] if a relation has too few facts, and [`FinetuneError::Learner`].
pub fn transfer(
    model: &str,
    facts: &FactFile,
    templates: &Templates,
    others: usize,
    tangent: &mut impl Tangent,
    mut progress: impl FnMut(usize, usize) -> bool,
) -> Result<TransferSummary, FinetuneError> {
    let split = facts.split(0.0, 0);
    let asked = questions(facts, templates, &split, 0);
    let mut random = RandomState::new(SEED);
    let mut parts = Vec::new();
    let mut measured = Vec::new();
    for (done, (fact, trained)) in facts.facts.iter().zip(&split).enumerate() {
        let own: Vec<&Question> = asked.iter().filter(|of| of.line == fact.line).collect();
        let direction = match trained {
            Trained::Only(direction) => *direction,
            Trained::Both => Direction::Forward,
        };
        let texts = Asked::new(&own, direction, &asked, others, &mut random)
            .ok_or_else(|| FinetuneError::NoOthers(fact.line, fact.relation.clone()))?;
        let pairs: Vec<(&str, &str)> = texts.all.iter().map(|(_, p, a)| (*p, *a)).collect();
        let gains = tangent.gains(texts.trained, &pairs, &mut || progress(done, split.len()))?;
        parts = gains.parts.iter().map(|(name, _)| *name).collect();
        measured.push(FactGains {
            line: fact.line,
            group: fact.group.clone(),
            direction: crate::result::word(direction),
            log_probability: gains.log_probability,
            gains: texts.means(&gains),
        });
    }
    progress(split.len(), split.len());
    Ok(TransferSummary {
        version: retrodict_lab::VERSION,
        model: model.to_owned(),
        facts_file: facts.name.clone(),
        others,
        kinds: Kind::ALL.into_iter().filter_map(|kind| kind_gains(kind, &measured)).collect(),
        excess: [Kind::Paraphrase, Kind::Reverse]
            .into_iter()
            .filter_map(|kind| excess(kind, &measured))
            .collect(),
        parts,
        facts: measured,
    })
}

/// The texts whose log probabilities are measured around a step on one fact.
struct Asked<'q> {
    trained: (&'q str, &'q str),
    /// Kind, prompt, answer.
    all: Vec<(Kind, &'q str, &'q str)>,
}

impl<'q> Asked<'q> {
    /// `None` if no other fact of the relation has another answer in reverse.
    fn new(
        own: &[&'q Question],
        direction: Direction,
        asked: &'q [Question],
        others: usize,
        random: &mut RandomState,
    ) -> Option<Self> {
        let mut of = own.iter().filter(|of| of.direction == direction);
        let (first, last) = (of.next()?, of.next_back());
        let reverse = own.iter().find(|of| of.direction != direction)?;
        let mut all = Vec::new();
        for (question, kind, elsewhere) in [
            (last, Kind::Paraphrase, Kind::ParaphraseElsewhere),
            (Some(reverse), Kind::Reverse, Kind::ReverseElsewhere),
        ] {
            let Some(question) = question else { continue };
            all.push((kind, &*question.prompt, &*question.answer));
            let mut same: Vec<&Question> =
                asked.iter().filter(|of| is_elsewhere(question, of)).collect();
            random.shuffle(&mut same);
            same.truncate(others);
            if same.is_empty() {
                return None;
            }
            all.extend(same.iter().map(|of| (elsewhere, &*of.prompt, &*question.answer)));
            if kind == Kind::Reverse {
                all.extend(same.iter().map(|of| (Kind::OtherReverse, &*of.prompt, &*of.answer)));
            }
        }
        Some(Self { trained: (&first.prompt, &first.answer), all })
    }

    /// The means by kind and part.
    fn means(&self, gains: &Gains) -> BTreeMap<Kind, Vec<f64>> {
        let mut sums: BTreeMap<Kind, (usize, Vec<f64>)> = BTreeMap::new();
        for (at, (kind, ..)) in self.all.iter().enumerate() {
            let (count, sum) =
                sums.entry(*kind).or_insert_with(|| (0, vec![0.0; gains.parts.len()]));
            *count += 1;
            sum.iter_mut().zip(&gains.parts).for_each(|(sum, (_, part))| *sum += part[at]);
        }
        let mean = |(count, sum): (usize, Vec<f64>)| sum.iter().map(|s| s / count as f64).collect();
        sums.into_iter().map(|(kind, of)| (kind, mean(of))).collect()
    }
}

/// Whether `other` is the same question about another fact, to which this one's answer is wrong.
fn is_elsewhere(question: &Question, other: &Question) -> bool {
    let key = |of: &Question| (of.direction, of.phrasing);
    other.relation == question.relation
        && key(other) == key(question)
        && other.prompt != question.prompt
        && !other.answers.contains(&question.answers[0])
}

fn mean(values: &[f64]) -> Mean {
    let ends = |Interval { low, high }| [low, high];
    Mean {
        mean: values.iter().sum::<f64>() / values.len() as f64,
        interval: interval_of_mean(values).map(ends),
    }
}

/// A quantity by fact and part of the model; of facts of one group their mean.
struct Rows(Vec<Vec<f64>>);

impl Rows {
    fn of(facts: &[FactGains], row: impl Fn(&FactGains) -> Option<Vec<f64>>) -> Self {
        let mut groups: Vec<(Option<&str>, Vec<Vec<f64>>)> = Vec::new();
        for (fact, row) in facts.iter().filter_map(|fact| Some((fact, row(fact)?))) {
            let group = fact.group.as_deref();
            match groups.iter_mut().find(|(of, _)| group.is_some() && *of == group) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((group, vec![row])),
            }
        }
        let mean = |(_, rows): (_, Vec<Vec<f64>>)| -> Vec<f64> {
            let of = |at| rows.iter().map(|row| row[at]).sum::<f64>() / rows.len() as f64;
            (0..rows[0].len()).map(of).collect()
        };
        Self(groups.into_iter().map(mean).collect())
    }

    /// The whole model's quantity by observation.
    fn whole(&self) -> Vec<f64> {
        self.0.iter().map(|row| row.iter().sum()).collect()
    }

    fn by_part(&self) -> Vec<Mean> {
        let parts = self.0.first().map_or(0, Vec::len);
        let of = |at| mean(&self.0.iter().map(|row| row[at]).collect::<Vec<f64>>());
        (0..parts).map(of).collect()
    }
}

fn kind_gains(kind: Kind, facts: &[FactGains]) -> Option<KindGains> {
    let rows = Rows::of(facts, |of| of.gains.get(&kind).cloned());
    let gain = (!rows.0.is_empty()).then(|| mean(&rows.whole()))?;
    Some(KindGains { kind, name: kind.name(), gain, by_part: rows.by_part() })
}

fn excess(kind: Kind, facts: &[FactGains]) -> Option<Excess> {
    let control = match kind {
        Kind::Paraphrase => Kind::ParaphraseElsewhere,
        _ => Kind::ReverseElsewhere,
    };
    let rows = Rows::of(facts, |of| {
        let pairs = of.gains.get(&kind)?.iter().zip(of.gains.get(&control)?);
        Some(pairs.map(|(own, control)| own - control).collect())
    });
    let whole = rows.whole();
    let p = p_of_sign_flips(&whole, FLIPS, &mut RandomState::new(SEED))?;
    let above = whole.iter().filter(|x| **x > 0.0).count() as f64 / whole.len() as f64;
    Some(Excess { kind, excess: mean(&whole), by_part: rows.by_part(), above, p })
}
