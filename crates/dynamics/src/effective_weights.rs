//! The effective weights of a model (paper, section 5): the logits of a group's
//! answers after each of its sources.

use retrodict_facts::{Group, Query, Token};

use crate::{Logits, WeightMatrix};

/// The context before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Context {
    /// The source alone, as in the paper's figures.
    SingleToken,
    /// The source and the relation token, as in the sentences.
    WithRelation,
}

impl Context {
    fn tokens(self, query: &Query) -> Vec<Token> {
        match self {
            Self::SingleToken => query.source.clone(),
            Self::WithRelation => [&query.source[..], &[query.relation]].concat(),
        }
    }
}

/// Measures the effective weights of a group.
///
/// `logits` is called once with the contexts, a row of tokens for each query and all of one length,
/// and returns `[vocabulary][context]`: the logits at each context's last position. Returns `None`
/// without a call for a group without queries, and where an entity has several tokens: no single
/// logit is an entity's then.
///
/// # Panics
/// If `logits` returns no row of some candidate's token.
pub fn measure<L: Logits>(
    group: &Group,
    context: Context,
    logits: impl FnOnce(&[Vec<Token>]) -> L,
) -> Option<WeightMatrix> {
    let queries = &group.queries;
    let single = |query: &Query| query.source.len() == 1 && query.answer.len() == 1;
    if queries.is_empty() || !queries.iter().all(single) {
        return None;
    }
    let contexts: Vec<_> = queries.iter().map(|query| context.tokens(query)).collect();
    let (table, count) = (logits(&contexts), contexts.len());
    let logits: &[f32] = (*table).as_ref();
    let candidates: Vec<usize> = queries.iter().map(|query| query.answer[0] as usize).collect();
    let values = (0..count)
        .flat_map(|context| candidates.iter().map(move |token| (token * count) + context))
        .map(|at| logits[at]);
    let types = queries.iter().map(|query| query.answer_type).collect();
    WeightMatrix::new(values.collect(), types).ok()
}

#[cfg(test)]
mod tests {
    use super::{Context, measure};
    use crate::{asymmetry, intransitivity};
    use retrodict_facts::{
        ChainConfig, DataKind as _, Dataset, EntityType, Group, Query, RelatedConfig,
        ReversalConfig, Role, Token,
    };

    fn group() -> Group {
        let query = |source, relation, answer, answer_type| Query {
            source: vec![source],
            relation,
            answer: vec![answer],
            answer_type,
        };
        let queries = vec![
            query(2, 0, 5, EntityType::Y),
            query(4, 0, 3, EntityType::Y),
            query(7, 1, 6, EntityType::X),
        ];
        Group::new(Role::Seen, queries)
    }

    /// The logit of token t after a context: the context's digits, read as a number, and t.
    fn readable(contexts: &[Vec<Token>]) -> Vec<f32> {
        let number = |context: &Vec<Token>| context.iter().fold(0, |number, &t| 10 * number + t);
        let row = |t| contexts.iter().map(move |context| (10 * number(context) + t) as f32);
        (0..8).flat_map(row).collect()
    }

    #[test]
    fn rows_are_sources_and_columns_are_answers() {
        let weights = measure(&group(), Context::SingleToken, readable).unwrap();
        assert_eq!(weights.values(), [25.0, 23.0, 26.0, 45.0, 43.0, 46.0, 75.0, 73.0, 76.0]);
        assert_eq!(weights.types(), [EntityType::Y, EntityType::Y, EntityType::X]);
    }

    #[test]
    fn the_relation_follows_the_source() {
        let weights = measure(&group(), Context::WithRelation, readable).unwrap();
        assert_eq!(
            weights.values(),
            [205.0, 203.0, 206.0, 405.0, 403.0, 406.0, 715.0, 713.0, 716.0]
        );
    }

    #[test]
    fn entities_of_several_tokens_have_no_logit() {
        let long = ReversalConfig { vocab_size: 80, entity_length: 2, train_fraction: 0.7 };
        let related = RelatedConfig::default();
        for dataset in [long.generate(0).unwrap(), related.generate(0).unwrap()] {
            for group in &dataset.groups {
                for context in [Context::SingleToken, Context::WithRelation] {
                    assert_eq!(measure(group, context, |_| -> Vec<f32> { panic!("asked") }), None);
                }
            }
        }
        let empty = Group { queries: Vec::new(), ..group() };
        assert_eq!(
            measure(&empty, Context::SingleToken, |_| -> Vec<f32> { panic!("asked") }),
            None
        );
    }

    /// A bigram table that has learned only the training sentences: 5 where a source and a target
    /// occurred together, whatever the relation, else 0.
    fn margins<const N: usize>(dataset: &Dataset, ids: [&str; N]) -> [f64; N] {
        let table = |contexts: &[Vec<Token>]| {
            let mut table = vec![0.0; dataset.vocab * contexts.len()];
            for (at, context) in contexts.iter().enumerate() {
                for sentence in dataset.train.iter().filter(|s| s[0] == context[0]) {
                    table[sentence[2] as usize * contexts.len() + at] = 5.0;
                }
            }
            table
        };
        ids.map(|id| {
            let group = dataset.group(id).unwrap();
            measure(group, Context::SingleToken, table).unwrap().margin().unwrap()
        })
    }

    #[test]
    fn memorised_sentences_show_the_curse_in_full() {
        let reversal = ReversalConfig { vocab_size: 80, ..ReversalConfig::default() };
        let ids = ["train_forward", "train_backward", "held_out_seen", "held_out_unseen"];
        let [forward, backward, seen, unseen] = margins(&reversal.generate(5).unwrap(), ids);
        assert_eq!([forward, backward, seen, unseen], [5.0, 5.0, 5.0, 0.0]);
        assert_eq!(asymmetry(seen, unseen), Some(1.0));
        assert_eq!(asymmetry(forward, backward), Some(0.0));

        let chain = ChainConfig { vocab_size: 80, ..ChainConfig::default() };
        let ids = ["held_out_a_to_b", "held_out_b_to_c", "held_out_a_to_c", "train_a_to_c"];
        let [a_to_b, b_to_c, a_to_c, trained] = margins(&chain.generate(5).unwrap(), ids);
        assert_eq!([a_to_b, b_to_c, a_to_c, trained], [5.0, 5.0, 0.0, 5.0]);
        assert_eq!(intransitivity(a_to_b, b_to_c, a_to_c), Some(1.0));
    }
}
