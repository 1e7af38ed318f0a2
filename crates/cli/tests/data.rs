//! `retrodict data`: the sentences, to the byte.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use common::Folder;
use retrodict_facts::{
    BiographiesConfig, DataConfig, FamilyConfig, HopsConfig, OneToManyConfig, RelationsConfig,
};

macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!("../../facts/tests/golden/", $name, ".jsonl"))
    };
}

#[test]
fn the_sentences_are_those_of_the_golden_files() {
    let folder = Folder::new();
    for (arguments, golden) in [
        ("reversal", golden!("reversal-v800-l1-s1234")),
        ("reversal --vocab-size 80 --entity-length 2", golden!("reversal-v80-l2-s1234")),
        ("chain --seed 1234", golden!("chain-v800-l1-s1234")),
        ("icl --vocab-size 400 --entities 100 --attributes 10", golden!("icl-v400-x100-y10-s1234")),
        ("related --train 200 --held-out 50", golden!("related-v800-a600-t200-n50-s1234")),
    ] {
        let printed = folder.run(&format!("data {arguments}")).done();
        assert!(printed == golden, "data {arguments} differs from its golden file");
    }
}

#[test]
fn the_other_data_sets_take_every_option() {
    let folder = Folder::new();
    let train_fraction = 0.5;
    let vocab_size = 90;
    for (arguments, config) in [
        ("relations", DataConfig::Relations(RelationsConfig::default())),
        ("family", DataConfig::Family(FamilyConfig::default())),
        ("hops", DataConfig::Hops(HopsConfig::default())),
        ("biographies", DataConfig::Biographies(BiographiesConfig::default())),
        ("one-to-many", DataConfig::OneToMany(OneToManyConfig::default())),
        (
            "relations --entities 9 --relations 2",
            DataConfig::Relations(RelationsConfig {
                vocab_size,
                entities: 9,
                relations: 2,
                one_way_relations: 0,
                train_fraction,
            }),
        ),
        (
            "family --families 8",
            DataConfig::Family(FamilyConfig { vocab_size, families: 8, train_fraction }),
        ),
        (
            "hops --chains 7 --hops 5",
            DataConfig::Hops(HopsConfig { vocab_size, chains: 7, hops: 5, train_fraction }),
        ),
        (
            "biographies --persons 6 --attributes 2",
            DataConfig::Biographies(BiographiesConfig {
                vocab_size,
                persons: 6,
                attributes: 2,
                train_fraction,
            }),
        ),
        (
            "one-to-many --entities 5 --partners 3",
            DataConfig::OneToMany(OneToManyConfig {
                vocab_size,
                entities: 5,
                partners: 3,
                train_fraction,
            }),
        ),
    ] {
        let (shared, seed) = match arguments.contains(' ') {
            true => ("--vocab-size 90 --train-fraction 0.5 --seed 7", 7),
            false => ("", 1234),
        };
        let mut expected = Vec::new();
        config.generate(seed).unwrap().write_jsonl(&mut expected).unwrap();
        let printed = folder.run(&format!("data {arguments} {shared}")).done();
        assert!(printed.as_bytes() == expected, "data {arguments}");
    }
}

#[test]
fn another_seed_gives_other_sentences() {
    let folder = Folder::new();
    let sentences = |seed| folder.run(&format!("data reversal --seed {seed}")).done();
    assert_ne!(sentences(1), sentences(2));
    assert_eq!(sentences(2), sentences(2));
}

#[test]
fn an_impossible_size_is_refused_by_its_option_with_what_would_fit() {
    let folder = Folder::new();
    for (arguments, says) in [
        ("reversal --vocab-size 3", "--vocab-size is 3, but must be at least 4:"),
        ("chain --vocab-size 0", "--vocab-size is 0, but must be a whole number from 1 to 1000000"),
        (
            "reversal --vocab-size 2000000",
            "--vocab-size is 2000000, but must be a whole number from",
        ),
        (
            "chain --entity-length 0",
            "--entity-length is 0, but must be a whole number from 1 to 16",
        ),
        ("reversal --entity-length 9", "--entity-length is 9, but must be at most 3:"),
        ("reversal --train-fraction 1.5", "--train-fraction is 1.5, but must be a fraction from 0"),
        ("chain --train-fraction -0.1", "--train-fraction is -0.1, but must be a fraction from 0"),
        ("icl --train-fraction nan", "--train-fraction is NaN, but must be a fraction from 0 to 1"),
        ("icl --vocab-size 10", "--vocab-size is 10, but must be at least 110:"),
        ("icl --train-fraction 0.01", "--train-fraction is 0.01, but must be at least 0.1:"),
        ("related --vocab-size 602", "--vocab-size is 602, but must be at least 603:"),
        ("related --tokens 100 --held-out 0", "--train is 200, but must be at most 100:"),
        ("related --train 560", "--train is 560, but must be at most 550:"),
        ("related --tokens 100", "--train is 200, but must be at most 50:"),
        ("relations --entities 1", "--entities is 1, but must be at least 2:"),
        ("relations --vocab-size 99", "--vocab-size is 99, but must be at least 100:"),
        ("family --train-fraction 2", "--train-fraction is 2, but must be a fraction from 0 to 1"),
        ("family --families 161", "--vocab-size is 800, but must be at least 805:"),
        ("hops --hops 1", "--hops is 1, but must be at least 2:"),
        ("biographies --attributes 0", "--attributes is 0, but must be a whole number from 1"),
        ("one-to-many --partners 0", "--partners is 0, but must be a whole number from 1"),
    ] {
        let output = folder.run(&format!("data {arguments}"));
        assert_eq!(output.status, 2, "data {arguments}: {output:?}");
        assert_eq!(output.stdout, "", "data {arguments}");
        let message = output.message();
        assert!(message.starts_with(&format!("retrodict: {says}")), "{arguments}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        // The suggested value works.
        let bound = says.split("must be at ").nth(1).and_then(|bound| bound.split(' ').nth(1));
        if let (Some(option), Some(bound)) = (says.split(' ').next(), bound) {
            let (kind, given) = arguments.split_once(' ').unwrap();
            let kept: Vec<&str> = given.split(' ').collect();
            let others = if kept[0] == option { String::new() } else { kept.join(" ") };
            let bound = bound.trim_end_matches(':');
            let again = folder.run(&format!("data {kind} {others} {option} {bound}"));
            assert_eq!(again.status, 0, "{option} {bound}: {}", again.stderr);
        }
    }
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let folder = Folder::new();
    // Far more than a pipe buffers.
    let mut child = folder
        .command("data reversal --vocab-size 40000")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::with_capacity(64, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with(r#"{"split":"train","tokens":["#), "{line}");
    let output = common::finish(Ok(child));
    assert_eq!((output.status, output.stderr.as_str()), (0, ""));
}
