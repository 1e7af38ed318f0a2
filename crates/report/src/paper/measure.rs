//! What can be measured of a run.

use retrodict_lab::{Experiment, RunResult};
use serde::Deserialize;

/// A number that a run ends with, named as in `run --json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// NLL of the training sentences in nats, in training mode.
    TrainNll,
    /// The same of their last entity's first token.
    TrainFirstTokenNll,
    /// NLL of the held-out sentences in nats.
    HeldOutNll,
    /// The same of their last entity's first token.
    HeldOutFirstTokenNll,
    /// [`HeldOutNll`](Measure::HeldOutNll) over that of uniform guessing: 1 is as good as guessing.
    HeldOutNllOverUniform,
    /// Share of held-out sentences whose last entity ranks first, token by token.
    HeldOutTop1,
    /// From 0, none, to 1, the curse.
    Asymmetry,
    /// The same after the context that the question has.
    AsymmetryInContext,
    /// The same for A ⇝ C of chains.
    Intransitivity,
    /// Share of held-out questions that greedy decoding answers right.
    DirectTop1,
    /// [`DirectTop1`](Measure::DirectTop1) over that of guessing among the candidates of the answer's
    /// type, who are answers to held-out questions themselves: 1 is as good as guessing.
    DirectTop1OverChance,
    /// Share of held-out chains whose C is found in two explicit steps.
    TwoStepTop1,
    /// Share of held-out questions whose answer ranks first among the candidates of its type.
    Top1AmongCandidates,
    /// The mean of that rank; 1 is best.
    RankAmongCandidatesMean,
    /// Mean |cosine| between the embeddings of different entity tokens.
    EmbeddingCosineMeanAbsolute,
    /// Share of what is trained of the held-out facts that is answered right.
    ForwardTop1,
    /// Share of held-out questions answered with the entity that they ask about.
    EchoRate,
    /// Share of the trained facts of relations without a reverse that is answered right.
    ControlTop1,
    /// Share of the questions about them that is answered as if there were one.
    BlindSwapRate,
    /// Milliseconds that a training step took.
    MsPerStep,
}

impl Measure {
    /// Those that a table of runs shows, where they apply.
    pub const TABLE: [Measure; 15] = [
        Measure::TrainNll,
        Measure::TrainFirstTokenNll,
        Measure::HeldOutNll,
        Measure::HeldOutFirstTokenNll,
        Measure::HeldOutNllOverUniform,
        Measure::HeldOutTop1,
        Measure::Asymmetry,
        Measure::AsymmetryInContext,
        Measure::Intransitivity,
        Measure::DirectTop1,
        Measure::TwoStepTop1,
        Measure::Top1AmongCandidates,
        Measure::RankAmongCandidatesMean,
        Measure::EmbeddingCosineMeanAbsolute,
        Measure::MsPerStep,
    ];

    /// Above a column, with its unit.
    pub fn heading(self) -> &'static str {
        match self {
            Measure::TrainNll => "train NLL (nats)",
            Measure::TrainFirstTokenNll => "train first-token NLL (nats)",
            Measure::HeldOutNll => "held-out NLL (nats)",
            Measure::HeldOutFirstTokenNll => "held-out first-token NLL (nats)",
            Measure::HeldOutNllOverUniform => "held-out NLL / guessing",
            Measure::HeldOutTop1 => "held-out top-1",
            Measure::Asymmetry => "asymmetry",
            Measure::AsymmetryInContext => "asymmetry in context",
            Measure::Intransitivity => "intransitivity",
            Measure::DirectTop1 => "right, asked directly",
            Measure::DirectTop1OverChance => "right, asked directly / guessing",
            Measure::TwoStepTop1 => "right, in two steps",
            Measure::Top1AmongCandidates => "top-1 among candidates",
            Measure::RankAmongCandidatesMean => "mean rank among candidates",
            Measure::EmbeddingCosineMeanAbsolute => "mean |cosine| of embeddings",
            Measure::ForwardTop1 => "right, seen direction",
            Measure::EchoRate => "answered with its own entity",
            Measure::ControlTop1 => "right, control relations",
            Measure::BlindSwapRate => "blind swaps",
            Measure::MsPerStep => "time a step (ms)",
        }
    }

    /// Whether a table of entities with one token leaves it out: there it equals the whole NLL.
    pub(crate) fn is_of_first_token(self) -> bool {
        matches!(self, Measure::TrainFirstTokenNll | Measure::HeldOutFirstTokenNll)
    }

    /// Its value in a run; `None` where it does not apply.
    pub fn of(self, experiment: &Experiment, run: &RunResult) -> Option<f64> {
        let last = run.last.as_ref();
        let answers = run.answers.as_ref();
        match self {
            Measure::TrainNll => Some(last?.train_nll),
            Measure::TrainFirstTokenNll => Some(last?.train_first_token_nll),
            Measure::HeldOutNll => last?.held_out_nll,
            Measure::HeldOutFirstTokenNll => last?.held_out_first_token_nll,
            Measure::HeldOutNllOverUniform => Some(last?.held_out_nll? / uniform(experiment)),
            Measure::HeldOutTop1 => last?.held_out_top1,
            Measure::Asymmetry => run.indexes.asymmetry,
            Measure::AsymmetryInContext => run.indexes.asymmetry_in_context,
            Measure::Intransitivity => run.indexes.intransitivity,
            Measure::DirectTop1 => answers?.direct_top1,
            Measure::DirectTop1OverChance => Some(answers?.direct_top1? / answers?.chance?),
            Measure::TwoStepTop1 => answers?.two_step_top1,
            Measure::Top1AmongCandidates => answers?.top1_among_candidates,
            Measure::RankAmongCandidatesMean => answers?.rank_among_candidates_mean,
            Measure::EmbeddingCosineMeanAbsolute => {
                run.embedding_cosines.as_ref()?.mean_absolute_off_diagonal
            }
            Measure::ForwardTop1 => answers?.forward_top1,
            Measure::EchoRate => answers?.echo_rate,
            Measure::ControlTop1 => answers?.control_top1,
            Measure::BlindSwapRate => answers?.blind_swap_rate,
            Measure::MsPerStep => run.ms_per_step(),
        }
    }
}

/// The NLL of uniform guessing of a whole entity, in nats.
pub(crate) fn uniform(experiment: &Experiment) -> f64 {
    experiment.objective.entity_length as f64 * (experiment.network.vocab() as f64).ln()
}

/// How that number comes about: `2 ln 802`.
pub(crate) fn uniform_label(experiment: &Experiment) -> String {
    let vocab = experiment.network.vocab();
    match experiment.objective.entity_length {
        1 => format!("ln {vocab}"),
        tokens => format!("{tokens} ln {vocab}"),
    }
}
