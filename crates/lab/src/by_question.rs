//! The outcomes of single questions at the end of a run: intervals over questions need more than
//! their mean.

use std::collections::BTreeMap;

use retrodict_dynamics::{ByQuestion, controls_by_question};
use retrodict_engine::Scalar;
use retrodict_facts::Dataset;
use retrodict_models::Trainer;

use crate::measures::capped;

/// Asks a trained model every question. The ranks of the right answers are given: among the held-out
/// answers, and among all entities of the type.
pub(crate) fn by_question<T: Scalar>(
    trainer: &mut Trainer<T>,
    dataset: &Dataset,
    [held_out, of_type]: [Vec<f64>; 2],
) -> ByQuestion {
    let controls = controls_by_question(dataset, |contexts| trainer.next_token_logits(contexts));
    let scores = match dataset.held_out.is_empty() {
        true => &[][..],
        false => trainer.evaluate(&dataset.held_out),
    };
    let mut outcomes = BTreeMap::from([
        ("held_out_nll", scores.iter().map(|score| capped(score.nll) as f32).collect()),
        ("held_out_top1", zeros_and_ones(scores.iter().map(|score| score.top1))),
        ("rank_held_out", held_out.iter().map(|&rank| rank as f32).collect()),
        ("rank_type", of_type.iter().map(|&rank| rank as f32).collect()),
    ]);
    outcomes.extend(controls.map(|(measure, right)| (measure, zeros_and_ones(right.into_iter()))));
    let some = outcomes.into_iter().filter(|(_, of): &(_, Vec<f32>)| !of.is_empty());
    some.map(|(measure, outcomes)| (measure.to_owned(), outcomes)).collect()
}

fn zeros_and_ones(of: impl Iterator<Item = bool>) -> Vec<f32> {
    of.map(|right| f32::from(u8::from(right))).collect()
}
