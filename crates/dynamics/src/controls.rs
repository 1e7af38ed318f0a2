//! Controls of a remedy: whether it keeps the trained direction, leaves relations without a reverse
//! alone, and answers with more than the question's own entity.

use retrodict_facts::{Dataset, Query, Question, Role, Token};

use crate::answers::{greedy, right};
use crate::mean;

/// All questions that are trained of the held-out facts.
pub(crate) fn forward(dataset: &Dataset) -> Vec<Question> {
    let queries = dataset.trained_of_held_out().flat_map(|group| &group.queries);
    queries.map(Query::question).collect()
}

/// The questions of the group with a role; none without the group.
pub(crate) fn of_group(dataset: &Dataset, role: Role) -> Vec<Question> {
    let queries = dataset.group_of(role).map_or(&[][..], |group| &group.queries);
    queries.iter().map(Query::question).collect()
}

/// The held-out facts, each with its trained direction: `(seen, unseen)`.
pub(crate) fn pairs(dataset: &Dataset) -> impl Iterator<Item = (&Query, &Query)> {
    let pairs = dataset.seen_and_unseen();
    pairs.into_iter().flat_map(|[seen, unseen]| seen.queries.iter().zip(&unseen.queries))
}

/// Questions that have no answer, with the answer of a model that ignores the relation: the source
/// of each seen fact with the relation of its reverse.
pub(crate) fn crossed(dataset: &Dataset) -> Vec<Question> {
    let crossed = |(seen, unseen): (&Query, &Query)| {
        Query { relation: unseen.relation, ..seen.clone() }.question()
    };
    pairs(dataset).map(crossed).collect()
}

/// Held-out questions about relations of which no pair is trained in both directions, in a data set
/// that has such pairs of other relations.
pub(crate) fn one_way(dataset: &Dataset) -> Vec<Question> {
    let both = dataset.group_of(Role::Backward).map_or(&[][..], |group| &group.queries);
    let both_ways = |query: &Query| both.iter().any(|of| of.relation == query.relation);
    let unseen = pairs(dataset).filter(|(seen, unseen)| !(both_ways(seen) || both_ways(unseen)));
    match both.is_empty() {
        true => Vec::new(),
        false => unseen.map(|(_, unseen)| unseen.question()).collect(),
    }
}

/// Whether each question of the controls is answered as the measure counts it, under the measure's
/// name. `logits` as for [`answers`](crate::answers).
pub fn controls_by_question(
    dataset: &Dataset,
    mut logits: impl FnMut(&[Vec<Token>]) -> Vec<Vec<f32>>,
) -> [(&'static str, Vec<bool>); 5] {
    [
        ("forward_top1", forward(dataset)),
        ("control_top1", of_group(dataset, Role::ControlTrained)),
        ("blind_swap_rate", of_group(dataset, Role::ControlSwapped)),
        ("spurious_rate", crossed(dataset)),
        ("one_way_top1", one_way(dataset)),
    ]
    .map(|(measure, questions)| (measure, right(&questions, &mut logits)))
}

/// The share of held-out questions answered with the entity that they ask about, as a model does
/// that has learned of identities what it should have learned of pairs.
pub(crate) fn echoes(
    dataset: &Dataset,
    logits: &mut impl FnMut(&[Vec<Token>]) -> Vec<Vec<f32>>,
) -> Option<f64> {
    let queries = &dataset.held_out_group()?.queries;
    let length = queries.first()?.source.len();
    let contexts = queries.iter().map(|query| query.question().context).collect();
    let said = greedy(contexts, length, logits);
    mean(said.iter().zip(queries).map(|(said, query)| f64::from(*said == query.source)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers;
    use retrodict_facts::{ChainConfig, DataKind as _, Group, RelationsConfig, ReversalConfig};

    /// A model that says after each context what `next` says of it.
    fn says(
        vocab: usize,
        next: impl Fn(&[Token]) -> Token,
    ) -> impl FnMut(&[Vec<Token>]) -> Vec<Vec<f32>> {
        move |contexts| {
            let row = |context: &Vec<Token>| {
                let mut row = vec![0.0; vocab];
                row[next(context) as usize] = 1.0;
                row
            };
            contexts.iter().map(row).collect()
        }
    }

    #[test]
    fn a_parrot_echoes_every_held_out_question_and_knows_nothing() {
        let pairs = ReversalConfig { vocab_size: 40, entity_length: 2, train_fraction: 0.5 };
        let pairs = pairs.generate(3).unwrap();
        // The token three before: the entity's first after "e1 e2 r", its second after one more.
        let found = answers(&pairs, says(pairs.vocab, |context| context[context.len() - 3]));
        assert_eq!((found.echo_rate, found.forward_top1), (Some(1.0), Some(0.0)));
        assert_eq!((found.control_top1, found.blind_swap_rate), (None, None));
    }

    #[test]
    fn a_model_without_relations_gives_spurious_answers_and_a_bare_one_none() {
        let pairs = ReversalConfig { vocab_size: 40, entity_length: 1, train_fraction: 0.5 };
        let pairs = pairs.generate(3).unwrap();
        let facts = &pairs.group_of(Role::Seen).unwrap().queries;
        let partner = |context: &[Token]| {
            facts.iter().find(|q| q.source[0] == context[0]).map_or(0, |q| q.answer[0])
        };
        let found = answers(&pairs, says(pairs.vocab, partner));
        assert_eq!((found.spurious_rate, found.one_way_top1), (Some(1.0), None));
        let found = answers(&pairs, says(pairs.vocab, |_| 0));
        assert_eq!(found.spurious_rate, Some(0.0));
    }

    #[test]
    fn one_way_relations_are_asked_apart() {
        let config = RelationsConfig { one_way_relations: 1, ..RelationsConfig::default() };
        let data = config.generate(3).unwrap();
        let unseen = &data.group_of(Role::Unseen).unwrap().queries;
        let last = 2 * config.relations as Token - 2;
        let of_last = |q: &&Query| q.relation >= last;
        assert_eq!(unseen.iter().filter(of_last).count(), config.entities);
        // A model that answers the reverse of every other relation.
        let answers_others = |context: &[Token]| {
            let right = unseen.iter().find(|q| q.question().context == context);
            right.filter(|q| !of_last(q)).map_or(0, |q| q.answer[0])
        };
        let found = answers(&data, says(data.vocab, answers_others));
        assert_eq!(found.one_way_top1, Some(0.0));
        assert!(found.direct_top1.unwrap() > 0.0);
        let none = RelationsConfig { train_fraction: 0.0, ..config }.generate(3).unwrap();
        assert_eq!(answers(&none, says(none.vocab, |_| 0)).one_way_top1, None);
    }

    #[test]
    fn forward_is_both_links_of_a_chain_and_nothing_else() {
        let chains = ChainConfig { vocab_size: 80, entity_length: 1, train_fraction: 0.7 };
        let chains = chains.generate(5).unwrap();
        let first = &chains.group("held_out_a_to_b").unwrap().queries;
        let knows = |context: &[Token]| {
            let query = first.iter().find(|query| query.question().context == context);
            query.map_or(0, |query| query.answer[0])
        };
        let found = answers(&chains, says(chains.vocab, knows));
        assert_eq!(found.forward_top1, Some(0.5));
        assert_eq!(found.echo_rate, Some(0.0));
    }

    #[test]
    fn a_blind_swap_is_counted_as_one_and_trained_controls_apart() {
        let mut pairs = ReversalConfig::default().generate(1).unwrap();
        let queries = pairs.group_of(Role::Seen).unwrap().queries.clone();
        let swapped = queries.iter().map(|query| {
            let (source, answer) = (query.answer.clone(), query.source.clone());
            Query { source, answer, ..query.clone() }
        });
        let (trained, swapped) = (queries.clone(), swapped.take(4).collect::<Vec<_>>());
        pairs.groups.insert(0, Group::new(Role::ControlTrained, trained));
        pairs.groups.insert(1, Group::new(Role::ControlSwapped, swapped.clone()));
        let knows = |context: &[Token]| {
            // One of the four is swapped, and nothing of what was trained is known.
            if swapped[0].question().context == context { swapped[0].answer[0] } else { 0 }
        };
        let found = answers(&pairs, says(pairs.vocab, knows));
        assert_eq!((found.blind_swap_rate, found.control_top1), (Some(0.25), Some(0.0)));
    }
}
