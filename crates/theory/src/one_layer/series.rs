//! The measurements at each logged step.

use std::collections::BTreeMap;

use retrodict_dynamics::{asymmetry, intransitivity, mean};
use retrodict_facts::{EntityType, Group, Role, Step};
use serde::{Deserialize, Serialize};

use super::layout::TokenSet;
use super::model::{OneLayer, Score};
use super::{Observed, OneLayerConfig, ln_complement};

/// One logged step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps made.
    pub step: u64,
    /// η_Y · step: the time of the gradient flow that SGD and gradient descent follow.
    pub t: f64,
    /// η_Y · step / N: the learning rate times the updates that a sentence has had on average.
    pub own_time: f64,
    /// Mean NLL of the training sentences.
    pub train_loss: f64,
    /// The smallest p of a training sentence.
    pub train_probability_min: f64,
    /// The largest 1 − p of a training sentence.
    pub train_complement_max: f64,
    /// Mean 1 − p of the sentences that the theorem is about: with pairs the training sentences,
    /// with chains the links of the held-out ones. `None` where there are none.
    pub judged_complement_mean: Option<f64>,
    /// The smallest p of these.
    pub judged_probability_min: Option<f64>,
    /// The largest quotient of the 1 − p of one of these over that of gradient flow after the same
    /// own time, among those with an own time of at least ln M: before, both are nearly 1. `None`
    /// where there are none.
    pub complement_over_flow_max: Option<f64>,
    /// Mean NLL of the held-out sentences.
    pub held_out_loss: Option<f64>,
    /// The largest p of a held-out sentence.
    pub held_out_probability_max: Option<f64>,
    /// Mean attention on the source over the training sentences; the rest is on the relation token.
    pub attention_on_source: f64,
    /// Margins of the effective weights Y, by group.
    pub margins: BTreeMap<String, f64>,
    /// Of the held-out pairs.
    pub asymmetry: Option<f64>,
    /// Of the held-out chains.
    pub intransitivity: Option<f64>,
}

/// Measures at each logged step.
pub(super) struct Recorder<'a> {
    config: &'a OneLayerConfig,
    observed: &'a Observed,
    rivals: Vec<Vec<(EntityType, TokenSet)>>,
    pub(super) series: Vec<Point>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(config: &'a OneLayerConfig, observed: &'a Observed) -> Recorder<'a> {
        let rivals = observed.dataset.groups.iter().map(by_type).collect();
        Recorder { config, observed, rivals, series: Vec::new() }
    }

    pub(super) fn record(&mut self, model: &OneLayer) {
        let observed = self.observed;
        let train = model.scores(&observed.train);
        let held_out = model.scores(&observed.held_out);
        let times = model.own_times();
        let judged = || observed.judged.iter().map(|&at| train[at]);
        let ln_vocab = libm::log(observed.dataset.vocab as f64);
        let over_flow = |&at: &usize| {
            let flow = ln_complement(observed.dataset.vocab, times[at]);
            (times[at] >= ln_vocab).then(|| (train[at].ln_complement - flow).exp())
        };
        let groups = observed.dataset.groups.iter().zip(&self.rivals);
        let margins: BTreeMap<String, f64> = groups
            .filter_map(|(group, rivals)| {
                Some((group.id().to_owned(), margin(model, group, rivals)?))
            })
            .collect();
        let of = |role: Role| margins.get(role.id()).copied();
        let chain = Step::ALL.map(|step| of(Role::Chain { whole: false, step }));
        let attention = observed.train.iter().map(|sentence| model.attention_on_source(sentence));
        let probability = |score: Score| score.ln_probability.exp();
        let complement = |score: Score| score.ln_complement.exp();
        let t = self.config.lr_decoder * model.step() as f64;
        let all = || train.iter().copied();
        self.series.push(Point {
            step: model.step(),
            t,
            own_time: t / train.len() as f64,
            train_loss: mean(all().map(|score| -score.ln_probability)).unwrap_or(0.0),
            train_probability_min: all().map(probability).fold(1.0, f64::min),
            train_complement_max: all().map(complement).fold(0.0, f64::max),
            judged_complement_mean: mean(judged().map(complement)),
            judged_probability_min: judged().map(probability).reduce(f64::min),
            complement_over_flow_max: observed.judged.iter().filter_map(over_flow).reduce(f64::max),
            held_out_loss: mean(held_out.iter().map(|score| -score.ln_probability)),
            held_out_probability_max: held_out.iter().copied().map(probability).reduce(f64::max),
            attention_on_source: mean(attention).unwrap_or(1.0),
            asymmetry: of(Role::Seen)
                .zip(of(Role::Unseen))
                .and_then(|(seen, unseen)| asymmetry(seen, unseen)),
            intransitivity: match chain {
                [Some(a_to_b), Some(b_to_c), Some(a_to_c)] => {
                    intransitivity(a_to_b, b_to_c, a_to_c)
                }
                _ => None,
            },
            margins,
        });
    }
}

/// A group's candidates, by type.
fn by_type(group: &Group) -> Vec<(EntityType, TokenSet)> {
    let of_type = |kind: EntityType| {
        let queries = group.queries.iter().filter(|query| query.answer_type == kind);
        (kind, queries.map(|query| query.answer[0]).collect::<TokenSet>())
    };
    [EntityType::X, EntityType::Y, EntityType::Z]
        .map(of_type)
        .into_iter()
        .filter(|(_, set)| !set.is_empty())
        .collect()
}

/// The margin of a group as `WeightMatrix::margin` defines it, from rows of Y in which most columns
/// are one number.
fn margin(model: &OneLayer, group: &Group, rivals: &[(EntityType, TokenSet)]) -> Option<f64> {
    mean(group.queries.iter().filter_map(|query| {
        let (_, candidates) = rivals.iter().find(|(kind, _)| *kind == query.answer_type)?;
        if candidates.len() < 2 {
            return None;
        }
        let row = model.decoder_row(query.source[0]);
        let right = row.weight(query.answer[0]);
        Some(right - (row.sum(candidates) - right) / (candidates.len() - 1) as f64)
    }))
}

#[cfg(test)]
mod tests {
    use retrodict_dynamics::{Context, measure};

    use super::super::{Context as Attention, Data, Sentence, sentence};
    use super::*;

    #[test]
    fn margins_are_those_of_the_weight_matrix() {
        for (data, init) in [(Data::Reversal, 0.0), (Data::Chain, 0.0), (Data::Reversal, 1.0)] {
            let config = OneLayerConfig { data, init, vocab_size: 40, ..OneLayerConfig::default() };
            let dataset = config.facts().generate(3).unwrap();
            let [train, held_out]: [Vec<Sentence>; 2] = [&dataset.train, &dataset.held_out]
                .map(|of| of.iter().map(|s| sentence(s)).collect());
            for context in [Attention::Contextual, Attention::All] {
                let settings = OneLayerConfig { context, ..config };
                let mut model = OneLayer::new(settings, dataset.vocab, &train, &held_out).unwrap();
                model.train_to(2000).unwrap();
                for group in &dataset.groups {
                    let logits = |contexts: &[Vec<u32>]| {
                        let rows: Vec<_> =
                            contexts.iter().map(|context| model.decoder_row(context[0])).collect();
                        let of = |token| rows.iter().map(move |row| row.weight(token) as f32);
                        (0..dataset.vocab as u32).flat_map(of).collect::<Vec<f32>>()
                    };
                    let matrix = measure(group, Context::SingleToken, logits).unwrap();
                    let ours = margin(&model, group, &by_type(group));
                    let close = ours
                        .zip(matrix.margin())
                        .is_some_and(|(ours, theirs)| (ours - theirs).abs() < 1e-5);
                    assert!(close, "{}: {ours:?} {:?}", group.id(), matrix.margin());
                }
            }
        }
    }
}
