//! Impossible sizes are refused with the key, its value and the bound, and a value at the bound is
//! accepted.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, not in their helpers

use retrodict_facts::recipe::training_set_size;
use retrodict_facts::{
    BiographiesConfig, ChainConfig, DataConfig, DataKind as _, FactsError, FamilyConfig, HoldOut,
    HopsConfig, IclConfig, OneToManyConfig, Recipe, RelatedConfig, RelationsConfig, ReversalConfig,
};

/// The key, the value and the bound that a refusal names, all of them in its message.
fn refused<T: std::fmt::Debug>(result: Result<T, FactsError>) -> (&'static str, usize, usize) {
    let error = result.unwrap_err();
    let (value, bound) = match error {
        FactsError::TooSmall { value, least, .. } => (value, least),
        FactsError::TooLarge { value, most, .. } => (value, most),
        ref other => panic!("{other}"),
    };
    let message = error.to_string();
    assert!(message.starts_with(&format!("{} is {value}, ", error.key())), "{message}");
    assert!(message.contains(&format!(" {bound}: ")), "{message}");
    (error.key(), value, bound)
}

#[test]
fn pairs_and_chains_of_impossible_size() {
    let cases = [
        ((0, 1), ("vocab_size", 0, 4)),
        ((3, 1), ("vocab_size", 3, 4)),
        ((4_000_000_000, 1), ("vocab_size", 4_000_000_000, 1 << 20)),
        ((usize::MAX, usize::MAX), ("vocab_size", usize::MAX, 1 << 20)),
        ((800, 0), ("entity_length", 0, 1)),
        ((800, 4), ("entity_length", 4, 3)),
        ((800, usize::MAX), ("entity_length", usize::MAX, 3)),
        ((1 << 20, 2), ("entity_length", 2, 1)),
        // One token a type: one entity, however long.
        ((4, 1_000_000), ("entity_length", 1_000_000, 24)),
    ];
    for ((vocab_size, entity_length), expected) in cases {
        let (key, _, bound) = expected;
        let mut reversal = ReversalConfig { vocab_size, entity_length, train_fraction: 0.7 };
        assert_eq!(refused(reversal.generate(0)), expected);
        let chain = ChainConfig { vocab_size, entity_length, train_fraction: 0.7 };
        assert_eq!(refused(chain.generate(0)), expected);

        match key {
            "vocab_size" => reversal.vocab_size = bound,
            _ => reversal.entity_length = bound,
        }
        if entity_length < usize::MAX {
            assert_eq!(reversal.validate(), Ok(()));
        }
    }
}

#[test]
fn fractions_that_are_none() {
    for train_fraction in [-0.1, 1.000001, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let errors = [
            ReversalConfig { train_fraction, ..ReversalConfig::default() }.generate(0),
            ChainConfig { train_fraction, ..ChainConfig::default() }.generate(0),
            IclConfig { train_fraction, ..IclConfig::default() }.generate(0),
        ]
        .map(Result::unwrap_err);
        for error in errors {
            assert_eq!(error.key(), "train_fraction");
            let message = error.to_string();
            assert!(message.contains(&train_fraction.to_string()), "{message}");
            assert!(message.contains("from 0 to 1"), "{message}");
        }
    }
}

#[test]
fn in_context_pairs_of_impossible_size() {
    let config = |vocab_size, entities, attributes| IclConfig {
        vocab_size,
        entities,
        attributes,
        ..IclConfig::default()
    };
    assert_eq!(refused(config(400, 0, 10).generate(0)), ("entities", 0, 1));
    assert_eq!(refused(config(400, 100, 0).generate(0)), ("attributes", 0, 1));
    assert_eq!(refused(config(109, 100, 10).generate(0)), ("vocab_size", 109, 110));
    assert_eq!(config(110, 100, 10).validate(), Ok(()));
    assert_eq!(refused(config(400, usize::MAX, 10).generate(0)), ("entities", usize::MAX, 1 << 19));
    assert_eq!(
        refused(config(400, 1, usize::MAX).generate(0)),
        ("attributes", usize::MAX, 1 << 19)
    );
    let many = config(1 << 20, 1 << 19, 1 << 19).generate(0);
    assert_eq!(refused(many), ("attributes", 1 << 19, 2));
}

#[test]
fn in_context_pairs_with_nothing_to_train() {
    // 1/49 rounded, times 49, falls short of 1.
    for n in [2, 10, 49] {
        let tiny = IclConfig { train_fraction: 0.01, ..IclConfig::default() };
        let by_sentences = IclConfig { attributes: n, ..tiny };
        let by_entities = IclConfig { entities: n, hold_out: HoldOut::Entities, ..tiny };
        for (mut config, trained) in [(by_sentences, 100), (by_entities, 10)] {
            let error = config.generate(0).unwrap_err();
            let FactsError::NothingToTrain { least, .. } = error else { panic!("{error}") };
            let message = error.to_string();
            assert!(message.contains(&format!("at least {least}: with {n} ")), "{message}");

            config.train_fraction = least;
            assert_eq!(config.generate(0).unwrap().train.len(), trained);
            config.train_fraction = least.next_down();
            assert!(config.validate().is_err(), "{least} is not the least");
        }
    }
}

#[test]
fn related_chains_of_impossible_size() {
    let config =
        |vocab_size, tokens, train, held_out| RelatedConfig { vocab_size, tokens, train, held_out };
    assert_eq!(refused(config(800, 0, 0, 0).generate(0)), ("tokens", 0, 1));
    assert_eq!(
        refused(config(800, usize::MAX, 1, 1).generate(0)),
        ("tokens", usize::MAX, (1 << 20) - 3)
    );
    assert_eq!(refused(config(602, 600, 200, 50).generate(0)), ("vocab_size", 602, 603));
    assert_eq!(config(603, 600, 200, 50).validate(), Ok(()));
    assert_eq!(refused(config(800, 600, 601, 50).generate(0)), ("train", 601, 550));
    assert_eq!(refused(config(800, 600, 200, 401).generate(0)), ("train", 200, 199));
    assert_eq!(
        refused(config(800, 600, 600, usize::MAX).generate(0)),
        ("held_out", usize::MAX, 600)
    );
    assert_eq!(refused(config(800, 600, 0, 0).generate(0)), ("train", 0, 1));
}

/// The other data sets have a vocabulary and two sizes; a family has one.
fn task(kind: &str, vocab_size: usize, n: usize, k: usize) -> DataConfig {
    let train_fraction = 0.7;
    match kind {
        "relations" => DataConfig::Relations(RelationsConfig {
            vocab_size,
            entities: n,
            relations: k,
            one_way_relations: 0,
            train_fraction,
        }),
        "family" => DataConfig::Family(FamilyConfig { vocab_size, families: n, train_fraction }),
        "hops" => DataConfig::Hops(HopsConfig { vocab_size, chains: n, hops: k, train_fraction }),
        "biographies" => DataConfig::Biographies(BiographiesConfig {
            vocab_size,
            persons: n,
            attributes: k,
            train_fraction,
        }),
        _ => DataConfig::OneToMany(OneToManyConfig {
            vocab_size,
            entities: n,
            partners: k,
            train_fraction,
        }),
    }
}

#[test]
fn other_data_sets_of_impossible_size() {
    const MAX: usize = usize::MAX;
    let cases = [
        ("relations", (800, 1, 3), ("entities", 1, 2)),
        ("relations", (800, MAX, 3), ("entities", MAX, 1 << 19)),
        ("relations", (99, 50, 3), ("vocab_size", 99, 100)),
        ("relations", (MAX, 50, 3), ("vocab_size", MAX, 1 << 20)),
        ("relations", (800, 50, 0), ("relations", 0, 1)),
        ("relations", (800, 50, MAX), ("relations", MAX, 10485)),
        ("family", (800, 0, 0), ("families", 0, 1)),
        ("family", (800, MAX, 0), ("families", MAX, 209715)),
        ("family", (149, 30, 0), ("vocab_size", 149, 150)),
        ("hops", (800, 0, 3), ("chains", 0, 1)),
        ("hops", (800, MAX, 3), ("chains", MAX, 349525)),
        ("hops", (800, 60, 1), ("hops", 1, 2)),
        ("hops", (800, 60, MAX), ("hops", MAX, 186)),
        ("hops", (239, 60, 3), ("vocab_size", 239, 240)),
        ("biographies", (800, 0, 3), ("persons", 0, 1)),
        ("biographies", (800, MAX, 3), ("persons", MAX, 1 << 19)),
        ("biographies", (800, 50, 0), ("attributes", 0, 1)),
        ("biographies", (800, 50, MAX), ("attributes", MAX, 6990)),
        ("biographies", (199, 50, 3), ("vocab_size", 199, 200)),
        ("one-to-many", (800, 0, 4), ("entities", 0, 1)),
        ("one-to-many", (800, MAX, 4), ("entities", MAX, 1 << 19)),
        ("one-to-many", (800, 50, 0), ("partners", 0, 1)),
        ("one-to-many", (800, 50, MAX), ("partners", MAX, 10485)),
        ("one-to-many", (249, 50, 4), ("vocab_size", 249, 250)),
    ];
    for (kind, (vocab_size, n, k), expected) in cases {
        let config = task(kind, vocab_size, n, k);
        assert_eq!(refused(config.generate(0)), expected, "{kind}");
        // Refused settings have sizes too.
        assert!(config.vocab() >= vocab_size);
        for recipe in Recipe::all() {
            let sized = training_set_size(&[recipe], &config);
            assert!(sized.is_err() || sized.unwrap().longest >= config.sentence_length());
        }
        // Then another key may be wrong, but not this one.
        let (key, _, bound) = expected;
        let corrected = match key {
            "vocab_size" => task(kind, bound, n, k),
            "relations" | "hops" | "attributes" | "partners" => task(kind, vocab_size, n, bound),
            _ => task(kind, vocab_size, bound, k),
        };
        if let Err(error) = corrected.validate() {
            assert!(bound > 1000 || kind == "hops", "{error}");
            assert_ne!(error.key(), key, "{error}");
        }
    }
    for train_fraction in [-0.1, f64::NAN] {
        for config in [
            DataConfig::Relations(RelationsConfig { train_fraction, ..Default::default() }),
            DataConfig::Family(FamilyConfig { train_fraction, ..Default::default() }),
            DataConfig::Hops(HopsConfig { train_fraction, ..Default::default() }),
            DataConfig::Biographies(BiographiesConfig { train_fraction, ..Default::default() }),
            DataConfig::OneToMany(OneToManyConfig { train_fraction, ..Default::default() }),
        ] {
            assert_eq!(config.generate(0).unwrap_err().key(), "train_fraction");
        }
    }
    let more = RelationsConfig { one_way_relations: 4, ..RelationsConfig::default() };
    assert_eq!(DataConfig::Relations(more).generate(0).unwrap_err().key(), "one_way_relations");
}
