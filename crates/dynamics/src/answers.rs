//! Answers to held-out questions: greedy, among given candidates, and in two explicit steps.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use retrodict_facts::{Dataset, Entity, EntityType, Group, Query, Question, Role, Token};
use serde::{Deserialize, Serialize};

use crate::{controls, mean};

/// Accuracies and ranks over the questions of a data set, fractions from 0 to 1 and ranks from 1.
/// `None` where there is no such question.
///
/// Decoding is greedy, token by token over the whole vocabulary, and an answer is right if every
/// token of the entity is. **Candidates** are the entities of the right answer's type that are
/// answers to held-out questions, scored by the probability of all their tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// Held-out questions answered correctly.
    pub direct_top1: Option<f64>,
    /// Mean number of candidates of a held-out question; the rank of chance is (n + 1)/2.
    pub candidates_mean: Option<f64>,
    /// Accuracy of a guess among them: the mean of 1/n.
    pub chance: Option<f64>,
    /// Mean rank of the right answer among them; 1 is best, and ties share their mean rank.
    /// Questions with one candidate are excluded, here and below.
    pub rank_among_candidates_mean: Option<f64>,
    /// Held-out questions whose right answer ranks before every other candidate.
    pub top1_among_candidates: Option<f64>,
    /// Held-out chains whose C is found in two explicit steps: the answer to A → is the source of B
    /// → (the paper's chain of thought, section 5).
    pub two_step_top1: Option<f64>,
    /// Fully trained chains whose A ⇝ is answered correctly.
    pub whole_direct_top1: Option<f64>,
    /// Fully trained chains whose C is found in two explicit steps.
    pub whole_two_step_top1: Option<f64>,
    /// The trained part of the held-out facts, answered correctly: pairs in their seen direction; A
    /// → B and B → C of chains. A remedy that lowers it has only moved the curse.
    pub forward_top1: Option<f64>,
    /// Held-out questions answered with the entity in the question.
    pub echo_rate: Option<f64>,
    /// Trained facts of relations that have no reverse, answered correctly (group
    /// `control_trained`).
    pub control_top1: Option<f64>,
    /// Questions answered as if every relation had a reverse: blind swaps (group `control_swapped`;
    /// reported in 2406.05183).
    pub blind_swap_rate: Option<f64>,
}

/// Measures a model's answers. `logits` returns the logits `[context][vocabulary]` of the token
/// after each context; the contexts of one call have one length.
///
/// # Panics
/// If `logits` returns another number of rows than contexts, or a row without some candidate's
/// token.
pub fn answers(
    dataset: &Dataset,
    mut logits: impl FnMut(&[Vec<Token>]) -> Vec<Vec<f32>>,
) -> Answers {
    let logits = &mut logits;
    let questions = dataset.held_out_questions();
    let ranks = ranks(&questions, logits);
    let (held_out, whole) = (dataset.chains(false), dataset.chains(true));
    Answers {
        direct_top1: direct(&questions, logits),
        candidates_mean: mean(ranks.iter().map(|rank| rank.candidates as f64)),
        chance: chance(&ranks),
        rank_among_candidates_mean: mean(ranks.iter().map(|rank| rank.rank)),
        top1_among_candidates: mean(ranks.iter().map(|rank| f64::from(rank.first))),
        two_step_top1: held_out.and_then(|[b, c, _]| two_steps(b, c, logits)),
        whole_direct_top1: whole.and_then(|[_, _, c]| {
            let questions: Vec<_> = c.queries.iter().map(Query::question).collect();
            direct(&questions, logits)
        }),
        whole_two_step_top1: whole.and_then(|[b, c, _]| two_steps(b, c, logits)),
        forward_top1: controls::forward(dataset, logits),
        echo_rate: controls::echoes(dataset, logits),
        control_top1: controls::of_group(dataset, Role::ControlTrained, logits),
        blind_swap_rate: controls::of_group(dataset, Role::ControlSwapped, logits),
    }
}

/// The fraction of questions that greedy decoding answers correctly.
pub(crate) fn direct(
    questions: &[Question],
    logits: &mut impl FnMut(&[Vec<Token>]) -> Vec<Vec<f32>>,
) -> Option<f64> {
    let contexts = questions.iter().map(|question| question.context.clone()).collect();
    let length = questions.first()?.answer.len();
    let said = greedy(contexts, length, logits);
    mean(said.iter().zip(questions).map(|(said, question)| f64::from(*said == question.answer)))
}

/// The fraction of chains whose end is found with the first step's answer as the next source.
fn two_steps(
    a_to_b: &Group,
    b_to_c: &Group,
    logits: &mut impl FnMut(&[Vec<Token>]) -> Vec<Vec<f32>>,
) -> Option<f64> {
    let length = a_to_b.queries.first()?.answer.len();
    let first = a_to_b.queries.iter().map(|query| query.question().context).collect();
    let middle = greedy(first, length, logits);
    let second = middle.into_iter().zip(&b_to_c.queries).map(|(mut context, query)| {
        context.push(query.relation);
        context
    });
    let said = greedy(second.collect(), length, logits);
    let answers = b_to_c.queries.iter().map(|query| &query.answer);
    mean(said.iter().zip(answers).map(|(said, right)| f64::from(said == right)))
}

/// Decodes `length` tokens greedily after each context.
pub(crate) fn greedy(
    mut contexts: Vec<Vec<Token>>,
    length: usize,
    logits: &mut impl FnMut(&[Vec<Token>]) -> Vec<Vec<f32>>,
) -> Vec<Entity> {
    let mut entities = vec![Entity::new(); contexts.len()];
    for _ in 0..length {
        let rows = rows(&contexts, logits);
        for ((context, entity), row) in contexts.iter_mut().zip(&mut entities).zip(rows) {
            let likeliest =
                row.iter().enumerate().fold((0, f32::NEG_INFINITY), |best, (at, &x)| {
                    // Ties go to the first; a NaN is never the largest.
                    if x > best.1 { (at, x) } else { best }
                });
            context.push(likeliest.0 as Token);
            entity.push(likeliest.0 as Token);
        }
    }
    entities
}

/// The rank of the right answer to one question.
struct Rank {
    rank: f64,
    candidates: usize,
    first: bool,
}

/// The ranks of all right answers that have competitors.
fn ranks(
    questions: &[Question],
    logits: &mut impl FnMut(&[Vec<Token>]) -> Vec<Vec<f32>>,
) -> Vec<Rank> {
    let mut candidates: BTreeMap<EntityType, BTreeSet<&Entity>> = BTreeMap::new();
    for question in questions {
        candidates.entry(question.answer_type).or_default().insert(&question.answer);
    }
    if questions.is_empty() {
        return Vec::new();
    }
    let contexts: Vec<_> = questions.iter().map(|question| question.context.clone()).collect();
    let first_rows = rows(&contexts, logits);
    let mut ranks = Vec::new();
    for (question, first_row) in questions.iter().zip(first_rows) {
        let rivals = &candidates[&question.answer_type];
        if rivals.len() < 2 {
            continue;
        }
        let scores = log_probabilities(&question.context, &first_row, rivals, logits);
        let right = scores[&question.answer];
        let others = scores.iter().filter(|(entity, _)| **entity != &question.answer);
        let (mut before, mut equal) = (0, 0);
        for (_, other) in others {
            match right.partial_cmp(other) {
                Some(Ordering::Greater) => {}
                Some(Ordering::Equal) => equal += 1,
                // A NaN ranks last.
                Some(Ordering::Less) | None => before += 1,
            }
        }
        ranks.push(Rank {
            rank: 1.0 + f64::from(before) + f64::from(equal) / 2.0,
            candidates: rivals.len(),
            first: before + equal == 0,
        });
    }
    ranks
}

/// The mean of 1/n over questions with n candidates. Questions are counted first, so that sixty
/// with sixty candidates give 1/60 to the last bit, and a result at chance can be recognised.
fn chance(ranks: &[Rank]) -> Option<f64> {
    let mut questions: BTreeMap<usize, usize> = BTreeMap::new();
    for rank in ranks {
        *questions.entry(rank.candidates).or_default() += 1;
    }
    let right: f64 = questions.iter().map(|(n, count)| *count as f64 / *n as f64).sum();
    (!ranks.is_empty()).then(|| right / ranks.len() as f64)
}

/// ln p(candidate | context) of every candidate, the product over its tokens; `first_row` holds
/// the logits that follow the context itself.
fn log_probabilities<'c>(
    context: &[Token],
    first_row: &[f32],
    candidates: &BTreeSet<&'c Entity>,
    logits: &mut impl FnMut(&[Vec<Token>]) -> Vec<Vec<f32>>,
) -> BTreeMap<&'c Entity, f64> {
    let first = log_softmax(first_row);
    let mut sums: BTreeMap<_, _> =
        candidates.iter().map(|&candidate| (candidate, first[candidate[0] as usize])).collect();
    let length = candidates.first().map_or(0, |candidate| candidate.len());
    for place in 1..length {
        // Sorting puts candidates that begin alike side by side.
        let mut prefixes: Vec<&[Token]> = candidates.iter().map(|c| &c[..place]).collect();
        prefixes.dedup();
        let contexts: Vec<_> = prefixes.iter().map(|prefix| [context, prefix].concat()).collect();
        let next: BTreeMap<_, _> = prefixes
            .into_iter()
            .zip(rows(&contexts, logits).iter().map(|row| log_softmax(row)))
            .collect();
        for (candidate, sum) in &mut sums {
            *sum += next[&candidate[..place]][candidate[place] as usize];
        }
    }
    sums
}

fn rows(
    contexts: &[Vec<Token>],
    logits: &mut impl FnMut(&[Vec<Token>]) -> Vec<Vec<f32>>,
) -> Vec<Vec<f32>> {
    let rows = logits(contexts);
    assert_eq!(rows.len(), contexts.len(), "a row of logits for each context");
    rows
}

fn log_softmax(row: &[f32]) -> Vec<f64> {
    let largest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let shift = largest + row.iter().map(|&x| (f64::from(x) - largest).exp()).sum::<f64>().ln();
    row.iter().map(|&x| f64::from(x) - shift).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use retrodict_facts::{
        ChainConfig, DataKind as _, HoldOut, IclConfig, RelatedConfig, ReversalConfig,
    };
    use std::collections::HashMap;

    fn close(found: Option<f64>, right: f64) -> bool {
        (found.unwrap() - right).abs() < 1e-12
    }

    /// A model that has memorised sentences: 9 for each token that once followed a context, else 0.
    fn by_heart(
        sentences: &[Vec<Token>],
        vocab: usize,
    ) -> impl FnMut(&[Vec<Token>]) -> Vec<Vec<f32>> {
        let mut next = HashMap::new();
        for sentence in sentences {
            for place in 1..sentence.len() {
                next.insert(sentence[..place].to_vec(), sentence[place]);
            }
        }
        move |contexts| {
            let row = |context: &Vec<Token>| {
                let mut row = vec![0.0; vocab];
                if let Some(&token) = next.get(context) {
                    row[token as usize] = 9.0;
                }
                row
            };
            contexts.iter().map(row).collect()
        }
    }

    /// Logits without any order, a function of the context.
    fn scattered(contexts: &[Vec<Token>], vocab: usize) -> Vec<Vec<f32>> {
        let row = |context: &Vec<Token>| {
            let mut state = context
                .iter()
                .fold(1_u64, |s, &t| (s ^ u64::from(t)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut draw = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 40) as f32 / 2_f32.powi(22)
            };
            (0..vocab).map(|_| draw()).collect()
        };
        contexts.iter().map(row).collect()
    }

    #[test]
    fn a_memory_needs_two_steps_for_what_it_was_not_told() {
        for entity_length in [1, 2, 3] {
            let config = ChainConfig { vocab_size: 40, entity_length, train_fraction: 0.7 };
            let dataset = config.generate(4).unwrap();
            let found = answers(&dataset, by_heart(&dataset.train, dataset.vocab));
            assert_eq!(found.direct_top1, Some(0.0));
            assert_eq!(found.two_step_top1, Some(1.0));
            assert_eq!(
                (found.whole_direct_top1, found.whole_two_step_top1),
                (Some(1.0), Some(1.0))
            );

            // Forgetting one held-out B → C and one whole A → B costs one chain each.
            let forget = |id: &str| {
                let question = dataset.group(id).unwrap().queries[1].question();
                [question.context, question.answer].concat()
            };
            let gone = [forget("held_out_b_to_c"), forget("train_a_to_b")];
            let rest: Vec<_> =
                dataset.train.iter().filter(|s| !gone.contains(s)).cloned().collect();
            let found = answers(&dataset, by_heart(&rest, dataset.vocab));
            let lacks_one = |id: &str| 1.0 - 1.0 / dataset.group(id).unwrap().queries.len() as f64;
            assert!(close(found.two_step_top1, lacks_one("held_out_a_to_c")));
            assert!(close(found.whole_two_step_top1, lacks_one("train_a_to_c")));
            assert_eq!(found.whole_direct_top1, Some(1.0));
        }
    }

    #[test]
    fn one_wrong_token_makes_an_entity_wrong() {
        let config = ReversalConfig { vocab_size: 40, entity_length: 2, train_fraction: 0.7 };
        let dataset = config.generate(4).unwrap();
        let all: Vec<_> = dataset.sentences().map(|(_, sentence)| sentence.to_vec()).collect();
        assert_eq!(answers(&dataset, by_heart(&all, dataset.vocab)).direct_top1, Some(1.0));
        for (token, right) in [(3, 0.5), (4, 0.5)] {
            let mut half = all.clone();
            let n = dataset.held_out.len();
            assert_eq!(n % 2, 0);
            for sentence in half.iter_mut().rev().take(n / 2) {
                sentence[token] = 0;
            }
            let found = answers(&dataset, by_heart(&half, dataset.vocab));
            assert_eq!(found.direct_top1, Some(right), "token {token}");
        }
    }

    /// Every candidate's probability multiplied out, one context at a time.
    #[test]
    fn ranks_are_those_of_all_candidates_written_out() {
        let reversal = |vocab_size, entity_length| {
            ReversalConfig { vocab_size, entity_length, train_fraction: 0.7 }.generate(6).unwrap()
        };
        let unseen = IclConfig {
            entities: 12,
            attributes: 4,
            hold_out: HoldOut::Entities,
            ..IclConfig::default()
        };
        let related =
            RelatedConfig { tokens: 30, train: 5, held_out: 9, ..RelatedConfig::default() };
        for dataset in [
            reversal(60, 1),
            reversal(40, 2),
            reversal(20, 3),
            related.generate(6).unwrap(),
            unseen.generate(6).unwrap(),
        ] {
            let vocab = dataset.vocab;
            let probability = |context: &[Token], entity: &[Token]| {
                let mut context = context.to_vec();
                entity
                    .iter()
                    .map(|&token| {
                        let row = scattered(std::slice::from_ref(&context), vocab).remove(0);
                        let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
                        context.push(token);
                        f64::from(row[token as usize]).exp() / sum
                    })
                    .product::<f64>()
            };
            let questions = dataset.held_out_questions();
            let (mut ranks, mut firsts, mut counts, mut n) = (0.0, 0.0, 0.0, 0.0);
            let mut guesses = 0.0;
            for question in &questions {
                let right = probability(&question.context, &question.answer);
                let mut rivals: Vec<&Entity> = questions
                    .iter()
                    .filter(|other| other.answer_type == question.answer_type)
                    .map(|other| &other.answer)
                    .collect();
                rivals.sort();
                rivals.dedup();
                if rivals.len() == 1 {
                    continue;
                }
                let better = rivals
                    .iter()
                    .filter(|rival| probability(&question.context, rival) > right)
                    .count();
                ranks += 1.0 + better as f64;
                firsts += f64::from(better == 0);
                counts += rivals.len() as f64;
                guesses += 1.0 / rivals.len() as f64;
                n += 1.0;
            }
            let found = answers(&dataset, |contexts| scattered(contexts, vocab));
            assert!(close(found.rank_among_candidates_mean, ranks / n), "{found:?}");
            assert!(close(found.top1_among_candidates, firsts / n), "{found:?}");
            assert!(close(found.candidates_mean, counts / n), "{found:?}");
            assert!(close(found.chance, guesses / n), "{found:?}");
            assert!(ranks > n, "some are not the first");
        }
    }

    #[test]
    fn equals_share_their_mean_rank_and_none_is_first() {
        let dataset = ChainConfig::default().generate(1).unwrap();
        let flat = |contexts: &[Vec<Token>]| vec![vec![0.25; dataset.vocab]; contexts.len()];
        let found = answers(&dataset, flat);
        assert!(close(found.rank_among_candidates_mean, 30.5), "{found:?}");
        assert_eq!(found.top1_among_candidates, Some(0.0));
        assert_eq!(found.candidates_mean, Some(60.0));
        assert_eq!(found.chance, Some(1.0 / 60.0), "exactly");

        let nan = |contexts: &[Vec<Token>]| vec![vec![f32::NAN; dataset.vocab]; contexts.len()];
        let found = answers(&dataset, nan);
        assert!(close(found.rank_among_candidates_mean, 60.0), "{found:?}");
        assert_eq!((found.direct_top1, found.two_step_top1), (Some(0.0), Some(0.0)));
    }

    #[test]
    fn what_is_not_asked_has_no_answer() {
        let whole = ChainConfig { train_fraction: 1.0, ..ChainConfig::default() };
        let dataset = whole.generate(1).unwrap();
        let found = answers(&dataset, by_heart(&dataset.train, dataset.vocab));
        let expected = Answers {
            whole_direct_top1: Some(1.0),
            whole_two_step_top1: Some(1.0),
            ..Answers::default()
        };
        assert_eq!(found, expected);

        let pairs = ReversalConfig::default().generate(1).unwrap();
        let found = answers(&pairs, by_heart(&pairs.train, pairs.vocab));
        assert_eq!(found.direct_top1, Some(0.0));
        assert_eq!((found.two_step_top1, found.whole_direct_top1), (None, None));
    }
}
