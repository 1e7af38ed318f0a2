//! The measures of a run, one entry each.
//!
//! The table of `run` and its `--json`, the columns of `metrics.parquet`, the claims of
//! `paper/*.toml`, comparisons, the page and `docs/store.md` all read [`MEASURES`]: a new measure
//! is one new entry.

use serde::{Deserialize, Deserializer, de};

use crate::embeddings::random_mean_absolute_cosine;
use crate::experiment::Experiment;
use crate::knowledge::Knowledge;
use crate::result::RunResult;
use crate::store::MetricsRow;
use retrodict_settings::nearest;

/// A number that describes a run.
#[derive(Debug)]
pub struct Measure {
    /// Its name in files: a column, a key of `--json`, `measure` of a claim.
    pub id: &'static str,
    /// The heading of its column, without the unit.
    pub heading: &'static str,
    /// The heading in the table of `run`; `None` leaves it out there.
    pub brief: Option<&'static str>,
    /// Its unit.
    pub unit: Unit,
    /// The better values.
    pub better: Better,
    /// The other listings that show it.
    pub shown: Shown,
    /// One sentence for `docs/store.md`.
    pub doc: &'static str,
    /// When and how it is measured.
    pub value: Value,
}

/// The unit of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nats, capped at 115.13 per sentence.
    Nats,
    /// A fraction from 0 to 1.
    Fraction,
    /// A ratio, without unit.
    Ratio,
    /// An index from 0 to 1 in tables, not clamped elsewhere.
    Index,
    /// A rank, counted from 1, or a count.
    Count,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// Its name in documentation.
    pub fn word(self) -> &'static str {
        match self {
            Unit::Nats => "nats",
            Unit::Fraction => "fraction",
            Unit::Ratio => "ratio",
            Unit::Index => "index",
            Unit::Count => "count",
            Unit::Milliseconds => "ms",
            Unit::Seconds => "s",
        }
    }
}

/// The better values of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Larger ones.
    Higher,
    /// Smaller ones.
    Lower,
    /// Neither: it is descriptive.
    Neither,
}

/// The listings that include a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// `run --json` and the page's table of runs.
    JsonAndPage,
    /// The same, but the page only where entities have several tokens: with one token it repeats
    /// the measure of the whole entity.
    JsonAndPageOfSeveralTokens,
    /// `run --json` only.
    Json,
    /// The page's table of runs only.
    Page,
    /// None: it serves claims and is a column.
    Nowhere,
}

/// How a measure is computed.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// After every epoch; a column of `metrics.parquet`. A run's value is the last epoch's.
    Epoch {
        /// The epochs that have a value.
        when: When,
        /// The value of an epoch.
        of: fn(&Epoch) -> Option<f64>,
    },
    /// From the results stored at the end of the run; `None` where it does not apply.
    Run(fn(&Experiment, &RunResult) -> Option<f64>),
}

/// The epochs after which a measure is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Every epoch of every run.
    Always,
    /// Every epoch, where there is something to measure.
    Known,
    /// The epochs of probes and the last one.
    Probed,
    /// Every epoch where entities have one token; otherwise as [`When::Probed`].
    Ranked,
}

impl When {
    /// Whether the measure is left out between probes, in a run whose entities have `tokens` tokens.
    pub(crate) fn skips(self, tokens: usize) -> bool {
        self == When::Probed || (self == When::Ranked && tokens > 1)
    }
}

/// All inputs of the measures of an epoch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epoch {
    /// The scores of the training sentences, in training mode: means over batches of each batch's
    /// mean.
    pub train: TrainScores,
    /// The scores of the data set's own training sentences after the epoch, without dropout and
    /// with the weights at rest; `None` between probes.
    pub train_eval: Option<Scores>,
    /// The scores of the held-out sentences after the epoch; `None` without any.
    pub held_out: Option<Scores>,
    /// Ranks and indexes after the epoch.
    pub knowledge: Knowledge,
    /// Seconds of training so far.
    pub seconds: f64,
}

/// NLL is capped here: 1e-50 is added to a probability before its logarithm (paper, section 5).
const NLL_CAP: f64 = 115.129_254_649_702_28;

/// An NLL up to the cap; NaN stays NaN.
pub(crate) fn capped(nll: f64) -> f64 {
    if nll > NLL_CAP { NLL_CAP } else { nll }
}

/// Means over training sentences.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrainScores {
    /// NLL of the last entity, summed over its tokens, in nats.
    pub nll: f64,
    /// NLL of its first token, in nats.
    pub first_token_nll: f64,
}

/// Means over sentences.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scores {
    /// NLL of the last entity, summed over its tokens, in nats.
    pub nll: f64,
    /// NLL of its first token, in nats.
    pub first_token_nll: f64,
    /// The fraction whose last entity ranks first in every token.
    pub top1: f64,
}

/// A measure of an epoch.
const fn after(when: When, of: fn(&Epoch) -> Option<f64>) -> Value {
    Value::Epoch { when, of }
}

/// Every measure, in the order of tables and of the columns of `metrics.parquet`.
pub const MEASURES: &[Measure] = &[
    Measure {
        id: "train_nll",
        heading: "train NLL",
        brief: Some("train NLL"),
        unit: Unit::Nats,
        better: Better::Lower,
        shown: Shown::JsonAndPage,
        doc: "NLL of the training sentences' last entity, summed over its tokens, in training \
              mode: the mean over the epoch's batches of each batch's mean. With masked or permuted \
              sentences the mean over the predicted tokens times the tokens of an entity.",
        value: after(When::Always, |epoch| Some(epoch.train.nll)),
    },
    Measure {
        id: "train_first_token_nll",
        heading: "train first-token NLL",
        brief: None,
        unit: Unit::Nats,
        better: Better::Lower,
        shown: Shown::JsonAndPageOfSeveralTokens,
        doc: "The same of the entity's first token alone.",
        value: after(When::Always, |epoch| Some(epoch.train.first_token_nll)),
    },
    Measure {
        id: "train_eval_nll",
        heading: "train NLL at rest",
        brief: None,
        unit: Unit::Nats,
        better: Better::Lower,
        shown: Shown::JsonAndPage,
        doc: "Mean NLL of the last entity of the data set's own training sentences (not of those \
              that recipes add), summed over its tokens, after the epoch: without dropout, with the \
              weights at rest. Measured with the probes and after the last epoch.",
        value: after(When::Probed, |epoch| Some(epoch.train_eval?.nll)),
    },
    Measure {
        id: "held_out_nll",
        heading: "held-out NLL",
        brief: Some("held-out NLL"),
        unit: Unit::Nats,
        better: Better::Lower,
        shown: Shown::JsonAndPage,
        doc: "Mean NLL of the held-out sentences' last entity, summed over its tokens, after the \
              epoch; empty without held-out sentences.",
        value: after(When::Known, |epoch| Some(epoch.held_out?.nll)),
    },
    Measure {
        id: "held_out_first_token_nll",
        heading: "held-out first-token NLL",
        brief: None,
        unit: Unit::Nats,
        better: Better::Lower,
        shown: Shown::JsonAndPageOfSeveralTokens,
        doc: "The same of the entity's first token alone.",
        value: after(When::Known, |epoch| Some(epoch.held_out?.first_token_nll)),
    },
    Measure {
        id: "held_out_nll_over_uniform",
        heading: "held-out NLL / guessing",
        brief: None,
        unit: Unit::Ratio,
        better: Better::Lower,
        shown: Shown::Page,
        doc: "`held_out_nll` over the NLL of uniform guessing; 1 is as good as guessing.",
        value: Value::Run(|experiment, run| {
            Some(run.last?.held_out_nll()? / experiment.guessing_nll())
        }),
    },
    Measure {
        id: "held_out_top1",
        heading: "held-out top-1",
        brief: Some("held-out top-1"),
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::JsonAndPage,
        doc: "Fraction of the held-out sentences whose last entity ranks first, token by token.",
        value: after(When::Known, |epoch| Some(epoch.held_out?.top1)),
    },
    Measure {
        id: "rank_held_out",
        heading: "rank among held-out answers",
        brief: Some("rank held-out"),
        unit: Unit::Fraction,
        better: Better::Lower,
        shown: Shown::JsonAndPage,
        doc: "Mean normalised rank of the right answer to a held-out question among \
              the answers to held-out questions of the same type: 0 is first, 1 last, \
              0.5 chance. Entities of several tokens are ranked by the probability of \
              all their tokens, with the probes and after the last epoch.",
        value: after(When::Ranked, |epoch| epoch.knowledge.in_context.held_out.rank),
    },
    Measure {
        id: "rank_type",
        heading: "rank in its type",
        brief: Some("rank in type"),
        unit: Unit::Fraction,
        better: Better::Lower,
        shown: Shown::JsonAndPage,
        doc: "Mean normalised rank of the right answer to a held-out question among \
              all entities of its type: 0 is first, 1 last, 0.5 chance.",
        value: after(When::Ranked, |epoch| epoch.knowledge.in_context.of_type.rank),
    },
    Measure {
        id: "rank_vocabulary",
        heading: "rank in vocabulary",
        brief: Some("rank in vocab"),
        unit: Unit::Fraction,
        better: Better::Lower,
        shown: Shown::JsonAndPage,
        doc: "Mean normalised rank of the right answer to a held-out question among \
              the whole vocabulary, averaged over its tokens: 0 is first, 1 last, 0.5 \
              chance.",
        value: after(When::Ranked, |epoch| epoch.knowledge.in_context.vocabulary.rank),
    },
    Measure {
        id: "top1_among_held_out",
        heading: "first among held-out answers",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::JsonAndPage,
        doc: "Fraction of the held-out questions whose answer ranks before all others \
              of the answers to held-out questions of the same type.",
        value: after(When::Ranked, |epoch| epoch.knowledge.in_context.held_out.top1),
    },
    Measure {
        id: "top1_among_type",
        heading: "first in its type",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::JsonAndPage,
        doc: "Fraction of the held-out questions whose answer ranks before all others \
              of the entities of its type.",
        value: after(When::Ranked, |epoch| epoch.knowledge.in_context.of_type.top1),
    },
    Measure {
        id: "rank_held_out_after_entity",
        heading: "rank among held-out answers after the entity",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Lower,
        shown: Shown::Json,
        doc: "Mean normalised rank of the right answer to a held-out question among \
              the answers to held-out questions of the same type after the entity \
              alone, without the relation token: 0 is first, 1 last, 0.5 chance.",
        value: after(When::Ranked, |epoch| epoch.knowledge.after_entity.held_out.rank),
    },
    Measure {
        id: "rank_type_after_entity",
        heading: "rank in its type after the entity",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Lower,
        shown: Shown::Json,
        doc: "Mean normalised rank of the right answer to a held-out question among \
              all entities of its type after the entity alone, without the relation \
              token: 0 is first, 1 last, 0.5 chance.",
        value: after(When::Ranked, |epoch| epoch.knowledge.after_entity.of_type.rank),
    },
    Measure {
        id: "rank_vocabulary_after_entity",
        heading: "rank in vocabulary after the entity",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Lower,
        shown: Shown::Json,
        doc: "Mean normalised rank of the right answer to a held-out question among \
              the whole vocabulary, averaged over its tokens after the entity alone, \
              without the relation token: 0 is first, 1 last, 0.5 chance.",
        value: after(When::Ranked, |epoch| epoch.knowledge.after_entity.vocabulary.rank),
    },
    Measure {
        id: "top1_among_held_out_after_entity",
        heading: "first among held-out answers after the entity",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::Json,
        doc: "Fraction of the held-out questions whose answer ranks before all others \
              of the answers to held-out questions of the same type after the entity \
              alone, without the relation token.",
        value: after(When::Ranked, |epoch| epoch.knowledge.after_entity.held_out.top1),
    },
    Measure {
        id: "top1_among_type_after_entity",
        heading: "first in its type after the entity",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::Json,
        doc: "Fraction of the held-out questions whose answer ranks before all others \
              of the entities of its type after the entity alone, without the relation \
              token.",
        value: after(When::Ranked, |epoch| epoch.knowledge.after_entity.of_type.top1),
    },
    Measure {
        id: "held_out_top1_after_entity",
        heading: "first in vocabulary after the entity",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::Json,
        doc: "Fraction of the held-out questions whose answer ranks first in the whole \
              vocabulary after the entity alone, without the relation token.",
        value: after(When::Ranked, |epoch| epoch.knowledge.after_entity.vocabulary.top1),
    },
    Measure {
        id: "seconds",
        heading: "training time",
        brief: None,
        unit: Unit::Seconds,
        better: Better::Lower,
        shown: Shown::Nowhere,
        doc: "Seconds of training so far.",
        value: after(When::Always, |epoch| Some(epoch.seconds)),
    },
    Measure {
        id: "asymmetry",
        heading: "asymmetry",
        brief: Some("asymmetry"),
        unit: Unit::Index,
        better: Better::Lower,
        shown: Shown::JsonAndPage,
        doc: "Asymmetry index of the effective weights after the source entity alone, \
              1 − unseen / seen margin: 0 is no reversal curse, 1 the whole of it. Empty until the \
              seen margin is 1 nat. Tables show it clamped to 0 and 1; means and files do not.",
        value: after(When::Known, |epoch| epoch.knowledge.indexes.asymmetry),
    },
    Measure {
        id: "asymmetry_in_context",
        heading: "asymmetry in context",
        brief: None,
        unit: Unit::Index,
        better: Better::Lower,
        shown: Shown::JsonAndPage,
        doc: "The same with the relation token in the context.",
        value: after(When::Known, |epoch| epoch.knowledge.indexes.asymmetry_in_context),
    },
    Measure {
        id: "intransitivity",
        heading: "intransitivity",
        brief: Some("intransitivity"),
        unit: Unit::Index,
        better: Better::Lower,
        shown: Shown::JsonAndPage,
        doc: "Intransitivity index of chains (A ⇝ C from A → B and B → C): 0 is none, 1 is full.",
        value: after(When::Known, |epoch| epoch.knowledge.indexes.intransitivity),
    },
    Measure {
        id: "direct_top1",
        heading: "right, asked directly",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::JsonAndPage,
        doc: "Fraction of held-out questions that greedy decoding answers right.",
        value: Value::Run(|_, run| run.answers?.direct_top1),
    },
    Measure {
        id: "direct_top1_over_chance",
        heading: "right, asked directly / guessing",
        brief: None,
        unit: Unit::Ratio,
        better: Better::Higher,
        shown: Shown::Nowhere,
        doc: "`direct_top1` over the accuracy of a guess among the answer's candidates; 1 is as \
              good as guessing.",
        value: Value::Run(|_, run| Some(run.answers?.direct_top1? / run.answers?.chance?)),
    },
    Measure {
        id: "two_step_top1",
        heading: "right, in two steps",
        brief: Some("in two steps"),
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::JsonAndPage,
        doc: "Fraction of held-out chains whose C is found in two explicit steps.",
        value: Value::Run(|_, run| run.answers?.two_step_top1),
    },
    Measure {
        id: "whole_direct_top1",
        heading: "whole chains right, asked directly",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::Json,
        doc: "Fraction of the chains trained whole whose A ⇝ C is answered right.",
        value: Value::Run(|_, run| run.answers?.whole_direct_top1),
    },
    Measure {
        id: "whole_two_step_top1",
        heading: "whole chains right, in two steps",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::Json,
        doc: "Fraction of the chains trained whole whose C is found in two explicit steps.",
        value: Value::Run(|_, run| run.answers?.whole_two_step_top1),
    },
    Measure {
        id: "forward_top1",
        heading: "right, seen direction",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::Json,
        doc: "Fraction of what is trained of the held-out facts that is answered right.",
        value: Value::Run(|_, run| run.answers?.forward_top1),
    },
    Measure {
        id: "echo_rate",
        heading: "answered with its own entity",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Lower,
        shown: Shown::Json,
        doc: "Fraction of held-out questions answered with the entity in the question.",
        value: Value::Run(|_, run| run.answers?.echo_rate),
    },
    Measure {
        id: "control_top1",
        heading: "right, control relations",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::Json,
        doc: "Fraction of the trained facts of relations without a reverse that is answered right.",
        value: Value::Run(|_, run| run.answers?.control_top1),
    },
    Measure {
        id: "blind_swap_rate",
        heading: "blind swaps",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Lower,
        shown: Shown::Json,
        doc: "Fraction of the questions about relations without a reverse that is answered as if \
              there were one.",
        value: Value::Run(|_, run| run.answers?.blind_swap_rate),
    },
    Measure {
        id: "candidates_mean",
        heading: "candidates",
        brief: Some("candidates"),
        unit: Unit::Count,
        better: Better::Neither,
        shown: Shown::Json,
        doc: "Answers to held-out questions of one type, on average: the candidates of \
              `rank_held_out`.",
        value: Value::Run(|_, run| run.answers?.candidates_mean),
    },
    Measure {
        id: "candidates_of_type_mean",
        heading: "entities of the type",
        brief: None,
        unit: Unit::Count,
        better: Better::Neither,
        shown: Shown::Json,
        doc: "Entities of the type of a held-out question's answer, on average.",
        value: Value::Run(|_, run| run.answers?.candidates_of_type_mean),
    },
    Measure {
        id: "outranked_by_trained_answers",
        heading: "outranked by trained answers",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Neither,
        shown: Shown::Json,
        doc: "Of the tokens that rank before the right answers to held-out questions, \
              the fraction that training gave as an answer to the same relation.",
        value: Value::Run(|_, run| run.answers?.outranked.outranked_by_trained_answers),
    },
    Measure {
        id: "top1_less_answer_mean",
        heading: "first less mean logit",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::Json,
        doc: "Fraction of the held-out questions whose answer would rank first if each \
              answer's logit were less its mean over the trained questions.",
        value: Value::Run(|_, run| run.answers?.outranked.top1_less_answer_mean),
    },
    Measure {
        id: "top1_less_relation_mean",
        heading: "first less relation's mean logit",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::Json,
        doc: "The same with the mean over the trained questions of the same relation.",
        value: Value::Run(|_, run| run.answers?.outranked.top1_less_relation_mean),
    },
    Measure {
        id: "top1_over_head_norm",
        heading: "first over head norm",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::Json,
        doc: "The same with each logit over the norm of the answer's row of the output \
              head.",
        value: Value::Run(|_, run| run.answers?.outranked.top1_over_head_norm),
    },
    Measure {
        id: "top1_less_log_count",
        heading: "first less log count",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::Json,
        doc: "The same with each logit less ln(1 + its count as an answer in \
              training).",
        value: Value::Run(|_, run| run.answers?.outranked.top1_less_log_count),
    },
    Measure {
        id: "top1_without_trained_answers",
        heading: "first without trained answers",
        brief: None,
        unit: Unit::Fraction,
        better: Better::Higher,
        shown: Shown::Json,
        doc: "The same without the answers that training gave to the same relation.",
        value: Value::Run(|_, run| run.answers?.outranked.top1_without_trained_answers),
    },
    Measure {
        id: "travelled",
        heading: "distance travelled",
        brief: None,
        unit: Unit::Ratio,
        better: Better::Neither,
        shown: Shown::JsonAndPage,
        doc: "Euclidean distance between the parameters of the initial and of the \
              trained model; with `probe.reach`.",
        value: Value::Run(|_, run| run.answers?.reach.travelled),
    },
    Measure {
        id: "reverse_distance",
        heading: "distance to the reverse / travelled",
        brief: None,
        unit: Unit::Ratio,
        better: Better::Neither,
        shown: Shown::JsonAndPage,
        doc: "Distance from the trained model to one that also answers every held-out \
              question and keeps the trained ones, over `travelled`: an upper bound on \
              the least. With `probe.reach`.",
        value: Value::Run(|_, run| run.answers?.reach.reverse_distance),
    },
    Measure {
        id: "reverse_epochs",
        heading: "epochs to the reverse",
        brief: None,
        unit: Unit::Count,
        better: Better::Neither,
        shown: Shown::JsonAndPage,
        doc: "Epochs of training on all sentences, held-out ones included, until the \
              trained model answered every question; with `probe.reach`.",
        value: Value::Run(|_, run| run.answers?.reach.reverse_epochs),
    },
    Measure {
        id: "embedding_cosine_mean_absolute",
        heading: "mean |cosine| of embeddings",
        brief: None,
        unit: Unit::Ratio,
        better: Better::Neither,
        shown: Shown::JsonAndPage,
        doc: "Mean |cosine| between the embeddings of different entity tokens.",
        value: Value::Run(|_, run| run.embedding_cosines.as_ref()?.mean_absolute_off_diagonal),
    },
    Measure {
        id: "embedding_cosine_over_random",
        heading: "mean |cosine| of embeddings / random",
        brief: None,
        unit: Unit::Ratio,
        better: Better::Neither,
        shown: Shown::Page,
        doc: "`embedding_cosine_mean_absolute` over that of random directions in as many \
              dimensions; 1 is as orthogonal as random directions.",
        value: Value::Run(|experiment, run| {
            let mean = run.embedding_cosines.as_ref()?.mean_absolute_off_diagonal?;
            let dim = experiment.spec.model.decoder()?.dim;
            Some(mean / random_mean_absolute_cosine(dim))
        }),
    },
    Measure {
        id: "ms_per_step",
        heading: "time a step",
        brief: Some("ms a step"),
        unit: Unit::Milliseconds,
        better: Better::Lower,
        shown: Shown::JsonAndPage,
        doc: "Milliseconds a training step took on average.",
        value: Value::Run(|_, run| run.ms_per_step()),
    },
];

impl Measure {
    /// The measure `id` of the program itself.
    ///
    /// # Panics
    /// If there is none; in a constant, when the program is compiled.
    pub const fn named(id: &str) -> &'static Measure {
        let mut at = 0;
        while at < MEASURES.len() {
            if equal(MEASURES[at].id, id) {
                return &MEASURES[at];
            }
            at += 1;
        }
        panic!("there is no such measure")
    }

    /// The measure `id`.
    ///
    /// # Errors
    /// A message that names the nearest, or all.
    pub fn find(id: &str) -> Result<&'static Measure, String> {
        let ids = || MEASURES.iter().map(|measure| measure.id);
        MEASURES.iter().find(|measure| measure.id == id).ok_or_else(|| {
            let hint = match nearest(id, ids()) {
                Some(right) => format!("did you mean `{right}`?"),
                None => format!("there are {}", ids().collect::<Vec<_>>().join(", ")),
            };
            format!("there is no measure `{id}`; {hint}")
        })
    }

    /// Those measured after every epoch, in the order of their columns.
    pub fn of_epochs() -> impl Iterator<Item = &'static Measure> {
        MEASURES.iter().filter(|measure| matches!(measure.value, Value::Epoch { .. }))
    }

    /// Those of `run --json`.
    pub fn of_json() -> impl Iterator<Item = &'static Measure> {
        use Shown::{Json, JsonAndPage, JsonAndPageOfSeveralTokens};
        let shown = [Json, JsonAndPage, JsonAndPageOfSeveralTokens];
        MEASURES.iter().filter(move |measure| shown.contains(&measure.shown))
    }

    /// Those of the page's table of runs, whose entities have `tokens` tokens.
    pub fn of_page(tokens: usize) -> impl Iterator<Item = &'static Measure> {
        MEASURES.iter().filter(move |measure| match measure.shown {
            Shown::JsonAndPage | Shown::Page => true,
            Shown::JsonAndPageOfSeveralTokens => tokens > 1,
            Shown::Json | Shown::Nowhere => false,
        })
    }

    /// The heading of its column, with the unit where it has one.
    pub fn heading_with_unit(&self) -> String {
        match self.unit {
            Unit::Fraction | Unit::Ratio | Unit::Index | Unit::Count => self.heading.to_owned(),
            unit => format!("{} ({})", self.heading, unit.word()),
        }
    }

    /// Its value in a run; `None` where it does not apply.
    pub fn of(&self, experiment: &Experiment, run: &RunResult) -> Option<f64> {
        match self.value {
            Value::Epoch { .. } => run.last?.get(self.id),
            Value::Run(of) => of(experiment, run),
        }
    }

    /// A value as a table prints it.
    pub fn format(&self, value: Option<f64>) -> String {
        let clamped = |x: f64| if self.unit == Unit::Index { x.clamp(0.0, 1.0) } else { x };
        match value.map(clamped) {
            Some(x) if x != 0.0 && x.abs() < 0.01 => format!("{x:.5}"),
            Some(x) => format!("{x:.3}"),
            None => "–".to_owned(),
        }
    }
}

impl PartialEq for Measure {
    fn eq(&self, other: &Measure) -> bool {
        self.id == other.id
    }
}

impl Eq for Measure {}

impl<'de> Deserialize<'de> for &'static Measure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        Measure::find(&id).map_err(de::Error::custom)
    }
}

/// `==` for texts in constants.
const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut same = a.len() == b.len();
    let mut at = 0;
    while same && at < a.len() {
        same = a[at] == b[at];
        at += 1;
    }
    same
}

/// The number of measures of an epoch.
pub(crate) const EPOCH_MEASURES: usize = {
    let (mut at, mut count) = (0, 0);
    while at < MEASURES.len() {
        count += matches!(MEASURES[at].value, Value::Epoch { .. }) as usize;
        at += 1;
    }
    count
};

impl Experiment {
    /// The NLL of guessing a whole entity uniformly over the vocabulary, in nats: the sum over its
    /// tokens, as every NLL of an entity is.
    pub fn guessing_nll(&self) -> f64 {
        self.objective.entity_length as f64 * (self.network.vocab() as f64).ln()
    }

    /// That number as a formula: `2 ln 802`.
    pub fn guessing_label(&self) -> String {
        let vocab = self.network.vocab();
        match self.objective.entity_length {
            1 => format!("ln {vocab}"),
            tokens => format!("{tokens} ln {vocab}"),
        }
    }
}

impl MetricsRow {
    /// The row of an epoch.
    pub fn measured(number: u64, step: u64, epoch: &Epoch) -> MetricsRow {
        let mut row = MetricsRow::empty(number, step);
        for (slot, measure) in row.values.iter_mut().zip(Measure::of_epochs()) {
            if let Value::Epoch { of, .. } = measure.value {
                *slot = of(epoch);
            }
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_an_unknown_one_gets_the_nearest() {
        for (at, measure) in MEASURES.iter().enumerate() {
            assert!(MEASURES[..at].iter().all(|other| other.id != measure.id), "{}", measure.id);
            assert_eq!(Measure::named(measure.id), measure);
            assert!(measure.doc.ends_with('.'), "{}", measure.id);
        }
        let error = Measure::find("held_out_top").unwrap_err();
        assert_eq!(error, "there is no measure `held_out_top`; did you mean `held_out_top1`?");
    }

    #[test]
    fn an_epoch_has_a_column_for_each_of_its_measures() {
        let train = TrainScores { nll: 1.0, first_token_nll: 2.0 };
        let mut epoch = Epoch { train, seconds: 4.0, ..Epoch::default() };
        epoch.knowledge.in_context.of_type.rank = Some(0.25);
        let row = MetricsRow::measured(1, 6, &epoch);
        assert_eq!((row.epoch, row.step), (1, 6));
        let known = Measure::of_epochs().filter_map(|m| Some((m.id, row.get(m.id)?)));
        assert_eq!(
            known.collect::<Vec<_>>(),
            [
                ("train_nll", 1.0),
                ("train_first_token_nll", 2.0),
                ("rank_type", 0.25),
                ("seconds", 4.0),
            ]
        );
    }

    #[test]
    fn an_index_is_clamped_in_tables_alone() {
        let asymmetry = Measure::named("asymmetry");
        assert_eq!(asymmetry.format(Some(1.25)), "1.000");
        assert_eq!(asymmetry.format(Some(-0.5)), "0.000");
        assert_eq!(Measure::named("held_out_nll_over_uniform").format(Some(1.25)), "1.250");
    }
}
