//! The questions: the data set's groups of questions, and pairs of runs to patch between.

use retrodict_facts::{Dataset, Group, Query, Role, Step, Token};

/// Pairs of runs that a patch is tried on, at most; their mean moves little with more.
const MOST_PAIRS: usize = 64;

/// A question with what may answer it: of an entity of several tokens the first that tells it from
/// others of its type. Tokens that all of them begin with are given, as in the *related* data,
/// where they name the type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) context: Vec<Token>,
    /// Tokens of the entity that is asked about, the first ones of the context.
    pub(super) source: usize,
    pub(super) right: usize,
    /// The answers of the right one's type to the group's other questions.
    pub(super) others: Vec<usize>,
}

/// The questions of a group.
pub(super) fn asked(group: &Group) -> Vec<Asked> {
    group.queries.iter().map(|query| ask(query, group)).collect()
}

fn ask(query: &Query, group: &Group) -> Asked {
    let of_type = |other: &&Query| other.answer_type == query.answer_type;
    let alike = || group.queries.iter().filter(of_type).map(|other| &other.answer);
    let shared = |at: &usize| alike().all(|other| other.get(*at) == query.answer.get(*at));
    // Where there is one answer only, it is asked from its first token on.
    let several = alike().any(|other| *other != query.answer);
    let given = (0..query.answer.len()).take_while(shared).count();
    let given = if several { given.min(query.answer.len() - 1) } else { 0 };
    let token = |answer: &[Token]| answer.get(given).copied().unwrap_or_default() as usize;
    let right = token(&query.answer);
    let mut others: Vec<usize> = alike().map(|other| token(other)).collect();
    others.retain(|token| *token != right);
    others.sort_unstable();
    others.dedup();
    let mut context = query.question().context;
    context.extend(&query.answer[..given]);
    Asked { context, source: query.source.len(), right, others }
}

/// Pairs of runs: the i-th of the one is put into the i-th of the other.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pairs {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) clean: Vec<Asked>,
    pub(super) corrupted: Vec<Vec<Token>>,
}

/// The pairs of questions that can be patched in a data set; the i-th contexts of a pair have equal
/// lengths.
///
/// - `trained-into-trained`: a trained question into another one of the same relation;
/// - `trained-into-unseen`: the same questions into held-out ones of their relation, which the
///   model cannot answer;
/// - `seen-into-unseen`: what was said of a held-out fact into what was not; of a chain it is
///   B → C, whose answer is that of A ⇝ C.
pub(super) fn pairs(dataset: &Dataset) -> Vec<Pairs> {
    let Some(unseen) = dataset.held_out_group() else { return Vec::new() };
    let trained: Vec<(&Query, &Group)> = dataset
        .groups
        .iter()
        .filter(|group| group.role.is_trained_whole())
        .flat_map(|group| group.queries.iter().map(move |query| (query, group)))
        .collect();
    let mut into_unseen = Pairs {
        id: "trained-into-unseen",
        title: "trained question into an unseen one",
        clean: Vec::new(),
        corrupted: Vec::new(),
    };
    let mut into_trained = Pairs {
        id: "trained-into-trained",
        title: "trained question into another",
        ..into_unseen.clone()
    };
    for (at, query) in unseen.queries.iter().take(MOST_PAIRS).enumerate() {
        let like = trained.iter().filter(|(other, _)| {
            (other.relation, other.answer_type) == (query.relation, query.answer_type)
                && other.source.len() == query.source.len()
        });
        let like: Vec<&(&Query, &Group)> = like.collect();
        let Some((clean, group)) = like.get(at % like.len().max(1)) else { continue };
        into_unseen.clean.push(ask(clean, group));
        into_unseen.corrupted.push(ask(query, unseen).context);
        let (next, of) = like[(at + 1) % like.len()];
        if next.answer != clean.answer {
            into_trained.clean.push(ask(clean, group));
            into_trained.corrupted.push(ask(next, of).context);
        }
    }
    let mut all = vec![into_trained, into_unseen];
    let seen = dataset
        .group_of(Role::Seen)
        .or_else(|| dataset.group_of(Role::Chain { whole: false, step: Step::Second }))
        .filter(|seen| seen.queries.len() == unseen.queries.len());
    if let Some(seen) = seen {
        let both = seen.queries.iter().zip(&unseen.queries).take(MOST_PAIRS);
        let both = both.filter(|(seen, unseen)| seen.source.len() == unseen.source.len());
        let (clean, corrupted) = both.map(|(s, u)| (ask(s, seen), ask(u, unseen).context)).unzip();
        all.push(Pairs {
            id: "seen-into-unseen",
            title: "seen into unseen, the same fact",
            clean,
            corrupted,
        });
    }
    for pairs in &mut all {
        pairs.keep_one_length();
    }
    all.retain(|pairs| !pairs.clean.is_empty());
    all
}

impl Pairs {
    /// A picture has one set of positions: pairs of another length than the first are left out, and
    /// those whose answer has no rivals.
    fn keep_one_length(&mut self) {
        let length = self.clean.first().map_or(0, |asked| asked.context.len());
        let (clean, corrupted) =
            (std::mem::take(&mut self.clean), std::mem::take(&mut self.corrupted));
        let both = clean.into_iter().zip(corrupted);
        (self.clean, self.corrupted) = both
            .filter(|(clean, corrupted)| {
                let fits = clean.context.len() == length && corrupted.len() == length;
                fits && !clean.others.is_empty()
            })
            .unzip();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retrodict_facts::DataConfig::{self, *};

    #[test]
    fn pairs_of_reversal_differ_in_the_entity_alone_or_are_one_fact() {
        let dataset = Reversal(Default::default()).generate(0).unwrap();
        let all = pairs(&dataset);
        let ids: Vec<&str> = all.iter().map(|pairs| pairs.id).collect();
        assert_eq!(ids, ["trained-into-trained", "trained-into-unseen", "seen-into-unseen"]);
        for pairs in &all {
            assert!(pairs.clean.len() >= 32 && pairs.clean.len() == pairs.corrupted.len());
            for (clean, corrupted) in pairs.clean.iter().zip(&pairs.corrupted) {
                let mut sentence = clean.context.clone();
                sentence.push(clean.right as u32);
                assert!(dataset.train.contains(&sentence), "the clean run knows its answer");
                let same_relation = clean.context[1] == corrupted[1];
                assert_ne!(clean.context[0], corrupted[0]);
                assert_eq!(same_relation, pairs.id != "seen-into-unseen");
                if !same_relation {
                    assert_eq!(corrupted[0] as usize, clean.right, "the other end of the pair");
                }
                assert!(!clean.others.contains(&clean.right));
            }
        }
    }

    /// Where all answers of a type begin alike, what follows tells them apart.
    #[test]
    fn what_all_answers_share_is_given() {
        let dataset = Related(Default::default()).generate(0).unwrap();
        let group = dataset.held_out_group().unwrap();
        for (asked, query) in asked(group).iter().zip(&group.queries) {
            assert_eq!(asked.context, [query.question().context, vec![query.answer[0]]].concat());
            assert_eq!(asked.right as u32, query.answer[1]);
            assert_eq!(asked.others.len(), group.queries.len() - 1);
        }
    }

    /// In every data set with groups, the questions of a group are as long as each other.
    #[test]
    fn questions_of_a_group_have_one_length() {
        let kinds: [DataConfig; 8] = [
            Reversal(Default::default()),
            Chain(Default::default()),
            Related(Default::default()),
            Relations(Default::default()),
            Family(Default::default()),
            Hops(Default::default()),
            Biographies(Default::default()),
            OneToMany(Default::default()),
        ];
        for config in kinds {
            let (dataset, kind) = (config.generate(0).unwrap(), config.word());
            assert!(!pairs(&dataset).is_empty(), "{kind}");
            for group in &dataset.groups {
                let all = asked(group);
                let lengths = all.iter().map(|asked| asked.context.len());
                let (least, most) = (lengths.clone().min(), lengths.max());
                assert_eq!(least, most, "{kind}: {}", group.id());
            }
        }
    }
}
