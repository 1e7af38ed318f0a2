//! The printed data sets, against the authors' and against NumPy.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, not in their helpers

use std::collections::HashSet;

use retrodict_facts::{
    BiographiesConfig, ChainConfig, DataConfig, DataKind as _, Dataset, FamilyConfig, HoldOut,
    HopsConfig, IclConfig, OneToManyConfig, RelatedConfig, RelationsConfig, ReversalConfig,
};
use sha2::{Digest, Sha256};

fn printed(dataset: &Dataset) -> Vec<u8> {
    let mut out = Vec::new();
    dataset.write_jsonl(&mut out).unwrap();
    out
}

#[test]
fn equal_the_golden_files_byte_for_byte() {
    let short = ReversalConfig { vocab_size: 80, entity_length: 2, train_fraction: 0.7 };
    let cases = [
        (DataConfig::Reversal(ReversalConfig::default()), "reversal-v800-l1"),
        (DataConfig::Reversal(short), "reversal-v80-l2"),
        (DataConfig::Chain(ChainConfig::default()), "chain-v800-l1"),
        (DataConfig::Icl(IclConfig::default()), "icl-v400-x100-y10"),
        (DataConfig::Related(RelatedConfig::default()), "related-v800-a600-t200-n50"),
    ];
    for (config, name) in cases {
        let path = format!("{}/tests/golden/{name}-s1234.jsonl", env!("CARGO_MANIFEST_DIR"));
        let golden = std::fs::read(path).unwrap();
        // Not `assert_eq`: it would print both files.
        assert!(printed(&config.generate(1234).unwrap()) == golden, "{name} differs");
    }
}

/// A line of `digests.txt`: `kind seed=… key=value … digest`.
struct Recorded<'a> {
    line: &'a str,
}

impl<'a> Recorded<'a> {
    fn value(&self, key: &str) -> &'a str {
        let mut pairs = self.line.split(' ').filter_map(|word| word.split_once('='));
        pairs.find(|(found, _)| *found == key).unwrap().1
    }

    fn count(&self, key: &str) -> usize {
        self.value(key).parse().unwrap()
    }

    fn config(&self) -> DataConfig {
        let vocab_size = self.count("vocab_size");
        let fraction = || self.value("train_fraction").parse().unwrap();
        match self.line.split(' ').next().unwrap() {
            "reversal" => DataConfig::Reversal(ReversalConfig {
                vocab_size,
                entity_length: self.count("entity_length"),
                train_fraction: fraction(),
            }),
            "chain" => DataConfig::Chain(ChainConfig {
                vocab_size,
                entity_length: self.count("entity_length"),
                train_fraction: fraction(),
            }),
            "icl" => DataConfig::Icl(IclConfig {
                vocab_size,
                entities: self.count("entities"),
                attributes: self.count("attributes"),
                train_fraction: fraction(),
                hold_out: match self.value("hold_out") {
                    "sentences" => HoldOut::Sentences,
                    "entities" => HoldOut::Entities,
                    other => panic!("unknown hold_out {other}"),
                },
            }),
            "related" => DataConfig::Related(RelatedConfig {
                vocab_size,
                tokens: self.count("tokens"),
                train: self.count("train"),
                held_out: self.count("held_out"),
            }),
            "relations" => DataConfig::Relations(RelationsConfig {
                vocab_size,
                entities: self.count("entities"),
                relations: self.count("relations"),
                one_way_relations: 0,
                train_fraction: fraction(),
            }),
            "family" => DataConfig::Family(FamilyConfig {
                vocab_size,
                families: self.count("families"),
                train_fraction: fraction(),
            }),
            "hops" => DataConfig::Hops(HopsConfig {
                vocab_size,
                chains: self.count("chains"),
                hops: self.count("hops"),
                train_fraction: fraction(),
            }),
            "biographies" => DataConfig::Biographies(BiographiesConfig {
                vocab_size,
                persons: self.count("persons"),
                attributes: self.count("attributes"),
                train_fraction: fraction(),
            }),
            "one-to-many" => DataConfig::OneToMany(OneToManyConfig {
                vocab_size,
                entities: self.count("entities"),
                partners: self.count("partners"),
                train_fraction: fraction(),
            }),
            kind => panic!("unknown kind {kind}"),
        }
    }
}

/// In-context data of which whole entities are held out.
fn unseen_entities(entities: usize, attributes: usize) -> Dataset {
    let hold_out = HoldOut::Entities;
    let config = IclConfig { entities, attributes, hold_out, ..IclConfig::default() };
    config.generate(1234).unwrap()
}

#[test]
fn held_out_entities_stand_in_no_training_sentence() {
    let dataset = unseen_entities(10, 4);
    let split: [Vec<u32>; 2] = [&dataset.train, &dataset.held_out].map(|sentences| {
        assert!(sentences.iter().all(|s| s[0] == s[6] && s[2] == s[4]));
        let mut entities: Vec<u32> = sentences.iter().map(|s| s[0]).collect();
        entities.dedup();
        entities
    });
    let [seen, unseen] = &split;
    assert_eq!((seen.len(), unseen.len()), (7, 3));
    assert!(dataset.train.iter().flatten().all(|token| !unseen.contains(token)));
    // All sentences of an entity are on one side; the attributes are trained.
    assert_eq!((dataset.train.len(), dataset.held_out.len()), (28, 12));
    let attributes: HashSet<u32> = dataset.train.iter().map(|s| s[2]).collect();
    assert!(dataset.held_out.iter().all(|s| attributes.contains(&s[2])));

    // The same entities are drawn, in the same order, as in the paper's split.
    let papers = IclConfig { entities: 10, attributes: 4, ..IclConfig::default() };
    let mut drawn: Vec<u32> =
        papers.generate(1234).unwrap().train.iter().map(|sentence| sentence[0]).collect();
    drawn.dedup();
    assert_eq!(drawn, split.concat());
}

#[test]
fn questions_are_the_held_out_sentences_cut_before_the_last_entity() {
    let long = ReversalConfig { vocab_size: 40, entity_length: 3, ..ReversalConfig::default() };
    for dataset in [
        long.generate(2).unwrap(),
        ChainConfig::default().generate(2).unwrap(),
        RelatedConfig::default().generate(2).unwrap(),
        IclConfig::default().generate(2).unwrap(),
        unseen_entities(100, 10),
    ] {
        let questions = dataset.held_out_questions();
        assert_eq!(questions.len(), dataset.held_out.len());
        let asked: HashSet<Vec<u32>> =
            questions.iter().map(|q| [&q.context[..], &q.answer].concat()).collect();
        assert_eq!(asked, dataset.held_out.iter().cloned().collect());
        assert!(questions.iter().all(|q| q.answer.len() == dataset.entity_length));
    }
    let whole = ReversalConfig { train_fraction: 1.0, ..ReversalConfig::default() };
    assert_eq!(whole.generate(2).unwrap().held_out_questions(), []);
}

#[test]
fn entity_tokens_are_those_that_are_used_by_type() {
    let reversal = ReversalConfig { vocab_size: 20, ..ReversalConfig::default() };
    let dataset = reversal.generate(3).unwrap();
    let tokens = dataset.entity_tokens();
    let (xs, ys) = tokens.split_at(5);
    assert!(xs.is_sorted() && ys.is_sorted() && ys.len() == 5);
    for (_, sentence) in dataset.sentences() {
        let [first, last] = [sentence[0], sentence[2]];
        let (x, y) = if sentence[1] == 0 { (first, last) } else { (last, first) };
        assert!(xs.contains(&x) && ys.contains(&y));
    }

    let chain = ChainConfig { vocab_size: 20, ..ChainConfig::default() }.generate(3).unwrap();
    let tokens = chain.entity_tokens();
    assert_eq!(tokens.len(), 15);
    for at in 0..2 {
        let of_type: HashSet<u32> = tokens[5 * at..][..5].iter().copied().collect();
        let group = &chain.groups[at];
        assert_eq!(group.queries.iter().filter(|q| !of_type.contains(&q.source[0])).count(), 0);
    }

    // A, B and C are one token each; B's and C's come with the variable ones.
    let related = RelatedConfig { tokens: 9, train: 4, held_out: 2, ..RelatedConfig::default() };
    let dataset = related.generate(3).unwrap();
    let tokens = dataset.entity_tokens();
    let (first, last) = (&dataset.groups[0].queries[0], &dataset.groups[1].queries[0]);
    assert_eq!((tokens[0], tokens[8]), (first.source[0], last.answer[0]));
    assert_eq!(tokens.len(), 3 + 6);

    assert_eq!(IclConfig::default().generate(3).unwrap().entity_tokens().len(), 110);
}

/// `digests.txt` is written by `record_digests.py`, an independent account of the
/// data sets in NumPy.
#[test]
fn equal_what_numpy_draws_for_other_seeds_and_sizes() {
    let recorded = include_str!("digests.txt").lines().map(|line| Recorded { line });
    for recorded in recorded {
        let config = recorded.config();
        let dataset = config.generate(recorded.value("seed").parse().unwrap()).unwrap();
        let digest = Sha256::digest(printed(&dataset));
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(recorded.line.ends_with(&digest), "{} has {digest}", recorded.line);

        assert!(!dataset.train.is_empty());
        for (_, sentence) in dataset.sentences() {
            let question = matches!(config, DataConfig::Biographies(_)) && sentence.len() == 3;
            assert!(sentence.len() == config.sentence_length() || question);
            assert!(sentence.iter().all(|&token| (token as usize) < config.vocab()));
        }
        assert_eq!(dataset.vocab, config.vocab());
        assert_eq!(dataset.entity_length, config.entity_length());
        assert_eq!(dataset.sentence_length(), config.sentence_length());
    }
}
