//! Answers to held-out questions: greedy, and in two explicit steps.

use std::collections::BTreeMap;

use retrodict_facts::{Dataset, Entity, Group, Query, Question, Role, Token};
use serde::{Deserialize, Serialize};

use crate::{Directions, Outranked, Ranking, controls, mean};

/// Accuracies over the questions of a data set, fractions from 0 to 1; `None` where there is no such
/// question.
///
/// Decoding is greedy, token by token over the whole vocabulary, and an answer is right if every
/// token of the entity is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// Held-out questions answered correctly.
    pub direct_top1: Option<f64>,
    /// Mean number of candidates of a held-out question among the held-out answers of its type.
    pub candidates_mean: Option<f64>,
    /// Accuracy of a guess among them: the mean of 1/n.
    pub chance: Option<f64>,
    /// Mean number of candidates among all entities of the type.
    #[serde(default)]
    pub candidates_of_type_mean: Option<f64>,
    /// Accuracy of a guess among those.
    #[serde(default)]
    pub chance_of_type: Option<f64>,
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
    /// Sources of held-out facts that, asked with the reverse's relation, are answered with their
    /// partner: no sentence answers this question.
    #[serde(default)]
    pub spurious_rate: Option<f64>,
    /// Held-out questions about relations without a pair trained in both directions, answered
    /// correctly.
    #[serde(default)]
    pub one_way_top1: Option<f64>,
    /// The tokens that rank before the right answers; measured by [`outranked`](crate::outranked).
    #[serde(flatten, default)]
    pub outranked: Outranked,
    /// Whether the two directions of a fact share a representation; measured on request.
    #[serde(flatten, default)]
    pub directions: Directions,
    /// The distance to a model that also answers the held-out questions; measured on request.
    #[serde(flatten, default)]
    pub reach: Reach,
}

/// Distances between parameters, Euclidean over all of them; `None` where not measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    /// From the initial model to the trained one.
    pub travelled: Option<f64>,
    /// From the trained model to one that also answers every held-out question, over `travelled`:
    /// an upper bound on the least.
    pub reverse_distance: Option<f64>,
    /// Epochs of training on all sentences until it did.
    pub reverse_epochs: Option<f64>,
}

/// The outcomes of single questions under the id of the measure that is their mean: ranks, NLLs, or
/// 1 and 0. Two runs on one data set have the same questions in the same order. Measures without
/// questions are missing, as all are in the files of earlier versions.
pub type ByQuestion = BTreeMap<String, Vec<f32>>;

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
    let ranking = Ranking::in_context(dataset);
    let (of_held_out, of_type) = (ranking.held_out_candidates(), ranking.candidates_of_type());
    let (held_out, whole) = (dataset.chains(false), dataset.chains(true));
    Answers {
        direct_top1: direct(&questions, logits),
        candidates_mean: of_held_out.mean,
        chance: of_held_out.chance,
        candidates_of_type_mean: of_type.mean,
        chance_of_type: of_type.chance,
        two_step_top1: held_out.and_then(|[b, c, _]| two_steps(b, c, logits)),
        whole_direct_top1: whole.and_then(|[_, _, c]| {
            let questions: Vec<_> = c.queries.iter().map(Query::question).collect();
            direct(&questions, logits)
        }),
        whole_two_step_top1: whole.and_then(|[b, c, _]| two_steps(b, c, logits)),
        forward_top1: direct(&controls::forward(dataset), logits),
        echo_rate: controls::echoes(dataset, logits),
        control_top1: direct(&controls::of_group(dataset, Role::ControlTrained), logits),
        blind_swap_rate: direct(&controls::of_group(dataset, Role::ControlSwapped), logits),
        spurious_rate: direct(&controls::crossed(dataset), logits),
        one_way_top1: direct(&controls::one_way(dataset), logits),
        outranked: Outranked::default(),
        directions: Directions::default(),
        reach: Reach::default(),
    }
}

/// The fraction of questions that greedy decoding answers correctly.
fn direct(
    questions: &[Question],
    logits: &mut impl FnMut(&[Vec<Token>]) -> Vec<Vec<f32>>,
) -> Option<f64> {
    mean(right(questions, logits).into_iter().map(f64::from))
}

/// Whether greedy decoding answers each question correctly.
pub(crate) fn right(
    questions: &[Question],
    logits: &mut impl FnMut(&[Vec<Token>]) -> Vec<Vec<f32>>,
) -> Vec<bool> {
    let Some(first) = questions.first() else { return Vec::new() };
    let contexts = questions.iter().map(|question| question.context.clone()).collect();
    let said = greedy(contexts, first.answer.len(), logits);
    said.iter().zip(questions).map(|(said, question)| *said == question.answer).collect()
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

fn rows(
    contexts: &[Vec<Token>],
    logits: &mut impl FnMut(&[Vec<Token>]) -> Vec<Vec<f32>>,
) -> Vec<Vec<f32>> {
    let rows = logits(contexts);
    assert_eq!(rows.len(), contexts.len(), "a row of logits for each context");
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use retrodict_facts::{ChainConfig, DataKind as _, ReversalConfig};
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

    #[test]
    fn a_diverged_model_answers_nothing() {
        let dataset = ChainConfig::default().generate(1).unwrap();
        let nan = |contexts: &[Vec<Token>]| vec![vec![f32::NAN; dataset.vocab]; contexts.len()];
        let found = answers(&dataset, nan);
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
