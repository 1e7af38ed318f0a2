//! The answers that rank before the right one, and the changes of logits that would put it first.
//!
//! A model may have a trace of a pair and still give other answers. Each change here removes one
//! advantage that those answers may have; where it puts the right answer first, the other answers
//! outranked it by that advantage.

use std::collections::{BTreeMap, BTreeSet};

use retrodict_facts::{Dataset, Question, Token};
use serde::{Deserialize, Serialize};

use crate::mean;

/// Shares of the held-out questions, from 0 to 1; `None` where nothing is held out or entities have
/// several tokens. Each `top1_…` is the share whose right answer is first in the whole vocabulary
/// after a change of the logits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Outranked {
    /// The share of the tokens before right answers that training gave as an answer to the same
    /// relation.
    pub outranked_by_trained_answers: Option<f64>,
    /// Each answer's logit less its mean over the trained questions.
    pub top1_less_answer_mean: Option<f64>,
    /// Each answer's logit less its mean over the trained questions of the same relation.
    pub top1_less_relation_mean: Option<f64>,
    /// Each answer's logit over the norm of its row of the output head.
    pub top1_over_head_norm: Option<f64>,
    /// Each answer's logit less the logarithm of 1 + its count as an answer in training (logit
    /// adjustment; Menon et al., 2021).
    pub top1_less_log_count: Option<f64>,
    /// Without the answers that training gave to the same relation.
    pub top1_without_trained_answers: Option<f64>,
}

/// Trained questions asked at once.
const CHUNK: usize = 256;

/// Measures a model. `logits` returns the logits `[vocabulary][context]` of the token after each
/// context; `head_norms` are the norms of the rows of the output head, by token.
///
/// # Panics
/// If `logits` returns no row of some answer.
pub fn outranked(
    dataset: &Dataset,
    head_norms: Option<&[f64]>,
    mut logits: impl FnMut(&[Vec<Token>]) -> Vec<f32>,
) -> Outranked {
    let held_out = dataset.held_out_questions();
    let single = |question: &Question| question.answer.len() == 1;
    let one_length = |of: &mut dyn Iterator<Item = usize>| {
        of.collect::<BTreeSet<_>>().len() == 1 // also false where there is none
    };
    let trained: Vec<(&[Token], Token)> = dataset
        .train
        .iter()
        .filter_map(|sentence| sentence.split_last().map(|(answer, context)| (context, *answer)))
        .collect();
    if !held_out.iter().all(single)
        || !one_length(&mut held_out.iter().map(|question| question.context.len()))
        || !one_length(&mut trained.iter().map(|(context, _)| context.len()))
    {
        return Outranked::default();
    }
    let relation = |context: &[Token]| context.last().copied().unwrap_or_default();
    let mut answers: BTreeMap<Token, BTreeSet<Token>> = BTreeMap::new();
    let mut counts: BTreeMap<Token, u32> = BTreeMap::new();
    for (context, answer) in &trained {
        answers.entry(relation(context)).or_default().insert(*answer);
        *counts.entry(*answer).or_default() += 1;
    }
    let asked: Vec<_> = held_out.iter().map(|question| question.context.clone()).collect();
    let table = logits(&asked);

    // Sums of logits over the trained questions by relation, `[vocabulary]`, in chunks: the whole
    // table of a large vocabulary would fill the memory.
    let vocab = table.len() / asked.len();
    let mut by_relation: BTreeMap<Token, (usize, Vec<f64>)> = BTreeMap::new();
    for chunk in trained.chunks(CHUNK) {
        let contexts: Vec<_> = chunk.iter().map(|(context, _)| context.to_vec()).collect();
        let logits = logits(&contexts);
        for (at, context) in contexts.iter().enumerate() {
            let (questions, sums) =
                by_relation.entry(relation(context)).or_insert_with(|| (0, vec![0.0; vocab]));
            *questions += 1;
            for (sum, row) in sums.iter_mut().zip(logits.chunks_exact(contexts.len())) {
                *sum += f64::from(row[at]);
            }
        }
    }
    let mean_of = |token: usize| {
        by_relation.values().map(|(_, sums)| sums[token]).sum::<f64>() / trained.len() as f64
    };
    let means: Vec<f64> = (0..vocab).map(mean_of).collect();
    let mean_after = |relation: Token, token: usize| {
        by_relation.get(&relation).map_or(0.0, |(questions, sums)| sums[token] / *questions as f64)
    };

    let count = asked.len();
    let logit = |token: usize, question: usize| f64::from(table[token * count + question]);
    let top1 = |changed: &dyn Fn(usize, usize) -> f64| {
        mean((0..count).map(|question| {
            let right = held_out[question].answer[0] as usize;
            let own = changed(right, question);
            let first = (0..vocab).all(|token| token == right || own > changed(token, question));
            f64::from(first)
        }))
    };
    let given = |token: usize, question: usize| {
        let of = answers.get(&relation(&asked[question]));
        of.is_some_and(|answers| answers.contains(&(token as Token)))
    };
    let before = (0..count).flat_map(|question| {
        let right = held_out[question].answer[0] as usize;
        let before = move |token: &usize| logit(*token, question) > logit(right, question);
        (0..vocab).filter(before).map(move |token| (token, question))
    });
    Outranked {
        outranked_by_trained_answers: mean(
            before.map(|(token, question)| f64::from(given(token, question))),
        ),
        top1_less_answer_mean: top1(&|token, question| logit(token, question) - means[token]),
        top1_less_relation_mean: top1(&|token, question| {
            logit(token, question) - mean_after(relation(&asked[question]), token)
        }),
        top1_over_head_norm: head_norms.and_then(|norms| {
            top1(&|token, question| logit(token, question) / norms.get(token).unwrap_or(&1.0))
        }),
        top1_less_log_count: top1(&|token, question| {
            let count = counts.get(&(token as Token)).copied().unwrap_or(0);
            logit(token, question) - libm::log(1.0 + f64::from(count))
        }),
        top1_without_trained_answers: top1(&|token, question| {
            let right = held_out[question].answer[0] as usize == token;
            let left_out = given(token, question) && !right;
            if left_out { f64::NEG_INFINITY } else { logit(token, question) }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retrodict_facts::{ChainConfig, DataKind as _, ReversalConfig};

    /// Every change undoes one advantage of the wrong answers, and no other does.
    #[test]
    fn each_change_undoes_its_own_advantage() {
        let config = ReversalConfig { vocab_size: 40, entity_length: 1, train_fraction: 0.5 };
        let dataset = config.generate(3).unwrap();
        let questions = dataset.held_out_questions();
        let trace = |context: &[Token], token: Token| {
            let right = questions.iter().any(|q| q.context == context && q.answer == [token]);
            if right { 1.0 } else { 0.0 }
        };
        let given = |relation: Token, token: Token| {
            dataset.train.iter().any(|s| s[1] == relation && s[2] == token)
        };
        let measure = |norms: &[f64], logit: &dyn Fn(&[Token], Token) -> f64| {
            outranked(&dataset, Some(norms), |contexts| {
                let row = |token| contexts.iter().map(move |c| logit(c, token) as f32);
                (0..dataset.vocab as Token).flat_map(row).collect()
            })
        };
        let flat = vec![1.0; dataset.vocab];
        let plain = measure(&flat, &trace);
        assert_eq!(plain.outranked_by_trained_answers, None, "nothing is before the right answer");
        assert_eq!(plain.top1_less_answer_mean, Some(1.0));

        // Some tokens are always 5 higher: their mean is.
        let high = measure(&flat, &|c, t| trace(c, t) + if t % 3 == 0 { 5.0 } else { 0.0 });
        assert_eq!(high.top1_less_answer_mean, Some(1.0));
        assert!(high.top1_without_trained_answers < Some(1.0));
        // Higher after one relation only.
        let bias = |c: &[Token], t| if given(c[1], t) { 5.0 } else { 0.0 };
        let relational = measure(&flat, &|c, t| trace(c, t) + bias(c, t));
        assert_eq!(relational.top1_less_relation_mean, Some(1.0));
        assert_eq!(relational.top1_without_trained_answers, Some(1.0));
        assert_eq!(relational.outranked_by_trained_answers, Some(1.0));
        assert_eq!(relational.top1_less_answer_mean, Some(0.0));
        // Long rows of the head.
        let norms: Vec<f64> = (0..dataset.vocab).map(|t| 1.0 + 9.0 * (t % 2) as f64).collect();
        let long = measure(&norms, &|c, t| (0.5 + trace(c, t)) * norms[t as usize]);
        assert_eq!(long.top1_over_head_norm, Some(1.0));
        assert!(long.top1_less_log_count < Some(1.0));
        // The logarithm of the count.
        let count = |t| dataset.train.iter().filter(|s| s[2] == t).count() as f64;
        let frequent = measure(&flat, &|c, t| trace(c, t) + (1.0 + count(t)).ln());
        assert_eq!(frequent.top1_less_log_count, Some(1.0));
    }

    #[test]
    fn entities_of_several_tokens_and_nothing_held_out_have_no_value() {
        let long = ReversalConfig { vocab_size: 80, entity_length: 2, train_fraction: 0.7 };
        let whole = ChainConfig { train_fraction: 1.0, ..ChainConfig::default() };
        for dataset in [long.generate(0).unwrap(), whole.generate(0).unwrap()] {
            assert_eq!(outranked(&dataset, None, |_| panic!("asked")), Outranked::default());
        }
    }
}
