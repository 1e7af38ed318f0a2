//! The groups of questions and their roles.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, not in their helpers

use std::collections::HashSet;

use retrodict_facts::{
    ChainConfig, DataConfig, DataKind as _, Dataset, EntityType, Group, HopsConfig, Query,
    RelatedConfig, ReversalConfig, Role, Step, Token,
};

fn ids(groups: &[Group]) -> Vec<&str> {
    groups.iter().map(Group::id).collect()
}

fn sentences(group: &Group) -> impl Iterator<Item = Vec<Token>> {
    group.queries.iter().map(|query| [&query.source[..], &[query.relation], &query.answer].concat())
}

#[test]
fn reversal_groups_say_what_was_seen() {
    for entity_length in [1, 2, 3] {
        let config = ReversalConfig { vocab_size: 200, entity_length, train_fraction: 0.7 };
        let dataset = config.generate(3).unwrap();
        assert_eq!(
            ids(&dataset.groups),
            ["train_forward", "train_backward", "held_out_seen", "held_out_unseen"]
        );
        let [forward, backward, seen, unseen] = &dataset.groups[..] else { panic!() };

        // Every sentence belongs to one group, on its own side of the split.
        let trained: HashSet<_> = dataset.train.iter().cloned().collect();
        let asked: Vec<_> = [forward, backward, seen].into_iter().flat_map(sentences).collect();
        assert_eq!(asked.len(), trained.len());
        assert_eq!(asked.into_iter().collect::<HashSet<_>>(), trained);
        let held_out: HashSet<_> = dataset.held_out.iter().cloned().collect();
        assert_eq!(unseen.queries.len(), held_out.len());
        assert_eq!(sentences(unseen).collect::<HashSet<_>>(), held_out);

        for (of, to) in [(forward, backward), (seen, unseen)] {
            for (query, reverse) in of.queries.iter().zip(&to.queries) {
                assert_eq!((&query.source, &query.answer), (&reverse.answer, &reverse.source));
                assert_ne!(query.relation, reverse.relation);
            }
        }
        for query in dataset.groups.iter().flat_map(|group| &group.queries) {
            let expected = if query.relation == 0 { EntityType::Y } else { EntityType::X };
            assert_eq!(query.answer_type, expected);
        }
        for group in [seen, unseen] {
            let types: Vec<_> = group.queries.iter().map(|query| query.answer_type).collect();
            let changes = types.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert_eq!(changes, 1, "both types, each in one run");
        }
    }
}

#[test]
fn chain_groups_join_into_chains() {
    let chain = ChainConfig { vocab_size: 50, ..ChainConfig::default() }.generate(8).unwrap();
    let related = RelatedConfig { tokens: 60, train: 20, held_out: 9, ..RelatedConfig::default() };
    for dataset in [chain, related.generate(8).unwrap()] {
        assert_eq!(
            ids(&dataset.groups),
            [
                "train_a_to_b",
                "train_b_to_c",
                "train_a_to_c",
                "held_out_a_to_b",
                "held_out_b_to_c",
                "held_out_a_to_c"
            ]
        );
        let trained: HashSet<_> = dataset.train.iter().cloned().collect();
        let asked: HashSet<_> = dataset.groups[..5].iter().flat_map(sentences).collect();
        assert_eq!(asked, trained);
        assert_eq!(sentences(&dataset.groups[5]).collect::<Vec<_>>(), dataset.held_out);

        for three in dataset.groups.chunks(3) {
            let queries = |group: usize| &three[group].queries;
            assert!(!queries(0).is_empty());
            let joined: Vec<Query> = queries(0)
                .iter()
                .zip(queries(1))
                .map(|(a_to_b, b_to_c)| {
                    assert_eq!(a_to_b.answer, b_to_c.source);
                    assert_eq!((a_to_b.relation, b_to_c.relation), (0, 0));
                    assert_eq!(a_to_b.answer_type, EntityType::Y);
                    Query { source: a_to_b.source.clone(), relation: 1, ..b_to_c.clone() }
                })
                .collect();
            assert_eq!(&joined, queries(2));
            assert!(joined.iter().all(|query| query.answer_type == EntityType::Z));
        }
    }
}

#[test]
fn without_held_out_pairs_their_groups_are_empty() {
    let config = ReversalConfig { train_fraction: 1.0, ..ReversalConfig::default() };
    let dataset = config.generate(0).unwrap();
    assert!(dataset.held_out.is_empty());
    assert!(dataset.group("held_out_unseen").unwrap().queries.is_empty());
    assert_eq!(dataset.group("train_backward").unwrap().queries.len(), 200);
    assert!(dataset.group("held_out").is_none());
}

/// Every kind of data, at the settings that a spec without them has; one of a file has none.
fn every_kind() -> impl Iterator<Item = (&'static str, Dataset)> {
    DataConfig::WORDS.iter().filter(|word| **word != "file").map(|word| {
        let dataset = DataConfig::from_word(word).map(|config| config.generate(3));
        (*word, dataset.unwrap().unwrap())
    })
}

#[test]
fn a_role_says_whether_its_questions_are_trained() {
    for (kind, dataset) in every_kind() {
        let trained: HashSet<_> = dataset.train.iter().cloned().collect();
        let held_out: HashSet<_> = dataset.held_out.iter().cloned().collect();
        let mut roles = HashSet::new();
        for group in &dataset.groups {
            let about = format!("{kind} {}", group.id());
            assert!(roles.insert(group.role), "{about}: two groups of one role");
            assert!(!group.queries.is_empty(), "{about}");
            for sentence in sentences(group) {
                assert_eq!(trained.contains(&sentence), group.role.is_trained(), "{about}");
                assert_eq!(held_out.contains(&sentence), group.role.is_held_out(), "{about}");
            }
            assert_eq!(group.role.is_trained_whole(), group.id().starts_with("train_"), "{about}");
        }
    }
}

#[test]
fn the_held_out_group_has_the_held_out_sentences() {
    for (kind, dataset) in every_kind() {
        let Some(group) = dataset.held_out_group() else {
            assert_eq!(kind, "icl");
            continue;
        };
        assert_eq!(Some(group), dataset.groups.last(), "{kind}");
        assert_eq!(dataset.groups.iter().filter(|group| group.role.is_held_out()).count(), 1);
        let held_out: HashSet<_> = dataset.held_out.iter().cloned().collect();
        assert_eq!(sentences(group).collect::<HashSet<_>>(), held_out, "{kind}");
        assert_eq!(group.queries.len(), dataset.held_out.len(), "{kind}");
    }
}

#[test]
fn groups_are_found_by_their_roles() {
    for (kind, dataset) in every_kind() {
        let by_id = |wanted: &[&str]| -> Vec<&Group> {
            wanted.iter().filter_map(|id| dataset.group(id)).collect()
        };
        for group in &dataset.groups {
            assert_eq!(dataset.group_of(group.role), Some(group));
            assert_eq!(dataset.group(group.id()), Some(group));
        }
        assert_eq!(dataset.group_of(Role::ControlSwapped).is_some(), kind == "relations");

        let both = dataset.seen_and_unseen();
        assert_eq!(both.is_some(), dataset.group("held_out_unseen").is_some(), "{kind}");
        let both: Vec<_> = both.into_iter().flatten().collect();
        assert_eq!(both, by_id(&["held_out_seen", "held_out_unseen"]));

        for (whole, split) in [(true, "train"), (false, "held_out")] {
            let chains = dataset.chains(whole);
            let ids = ["a_to_b", "b_to_c", "a_to_c"].map(|step| format!("{split}_{step}"));
            assert_eq!(chains.is_some(), dataset.group(&ids[0]).is_some(), "{kind}");
            let chains: Vec<_> = chains.into_iter().flatten().collect();
            assert_eq!(chains, by_id(&ids.each_ref().map(String::as_str)));
        }
        // Neither the one-step questions of longer chains nor those about persons.
        let of_held_out: Vec<_> = dataset.trained_of_held_out().collect();
        let wanted = by_id(&["held_out_seen", "held_out_a_to_b", "held_out_b_to_c"]);
        assert_eq!(of_held_out, wanted, "{kind}");
    }
}

#[test]
fn chains_of_two_hops_have_roles_of_their_own() {
    let dataset = HopsConfig { hops: 2, ..HopsConfig::default() }.generate(0).unwrap();
    assert!(dataset.chains(false).is_none() && dataset.trained_of_held_out().next().is_none());
    assert_eq!(dataset.held_out_group().unwrap().id(), "held_out_whole");
}

#[test]
fn signs_are_those_of_the_paper() {
    let chain = |whole, step| Role::Chain { whole, step }.sign();
    assert_eq!([Role::Forward, Role::Seen].map(Role::sign), ["A_i → B_i"; 2]);
    assert_eq!([Role::Backward, Role::Unseen].map(Role::sign), ["B_i ← A_i"; 2]);
    for whole in [true, false] {
        let signs = Step::ALL.map(|step| chain(whole, step));
        assert_eq!(signs, ["A_i → B_i", "B_i → C_i", "A_i ⇝ C_i"]);
    }
    assert_eq!(Role::ControlTrained.sign(), "");
}
