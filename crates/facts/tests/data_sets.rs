//! The printed data sets, against the authors' and against NumPy.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, not in their helpers

use retrodict_facts::{ChainConfig, DataConfig, Dataset, IclConfig, RelatedConfig, ReversalConfig};
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
            }),
            "related" => DataConfig::Related(RelatedConfig {
                vocab_size,
                tokens: self.count("tokens"),
                train: self.count("train"),
                held_out: self.count("held_out"),
            }),
            kind => panic!("unknown kind {kind}"),
        }
    }
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
            assert_eq!(sentence.len(), config.sentence_length());
            assert!(sentence.iter().all(|&token| (token as usize) < config.vocab()));
        }
        assert_eq!(dataset.vocab, config.vocab());
        assert_eq!(dataset.entity_length, config.entity_length());
        assert_eq!(dataset.sentence_length(), config.sentence_length());
    }
}
