//! Specs that are right: defaults, overrides, the hash, and writing them back.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use retrodict_engine::Rule;
use retrodict_facts::{DataConfig, HoldOut, IclConfig, RelatedConfig};
use retrodict_lab::spec::{
    BatchSize, Precision, READY, Spec, SpecHash, commented, ready, reference,
};

const CHAIN: &str = "[data]\nkind = \"chain\"\n";

fn parse(text: &str) -> Spec {
    Spec::parse(text, "a/b/chains.toml").unwrap()
}

fn with(overrides: &[(&str, &str)]) -> Spec {
    Spec::parse_with(ready("reversal-quick").unwrap(), "SPEC.toml", overrides).unwrap()
}

#[test]
fn all_but_the_kind_has_the_contracts_default() {
    let bare = parse("data.kind = \"reversal\"\n");
    let mut written = with(&[]);
    assert_eq!(bare.name, "chains");
    assert_eq!(bare.seeds, (0..10).collect::<Vec<_>>());
    // Without a period nothing is measured on the way; the rest is the contract's example.
    (written.probe.every, written.checkpoint.every) = (None, None);
    written.name = "chains".into();
    assert_eq!(bare, written);

    assert_eq!(
        parse("data.kind = \"icl\"").data.kind,
        DataConfig::Icl(IclConfig {
            vocab_size: 400,
            entities: 100,
            attributes: 10,
            train_fraction: 0.7,
            hold_out: HoldOut::Sentences,
        })
    );
    assert_eq!(
        parse("data.kind = \"related\"").data.kind,
        DataConfig::Related(RelatedConfig {
            vocab_size: 800,
            tokens: 600,
            train: 200,
            held_out: 50
        })
    );
}

#[test]
fn overrides_are_toml_or_else_bare_words() {
    let spec = with(&[
        ("model.layers", "3"),
        ("model.position", "rotary"),
        ("train.optimizer", "\"sgd\""),
        ("train.momentum", ".5"),
        ("train.batch_size", "full"),
        ("train.lr", "1"),
        ("data.kind", "chain"),
        ("probe.every", "0"),
        ("seeds", "5..8"),
        ("precision", "f64"),
        ("checkpoint.at", "[7, 0, 7]"),
        ("model.layers", " 4 "),
    ]);
    let decoder = spec.model.decoder().unwrap();
    assert_eq!(decoder.layers, 4);
    assert_eq!(decoder.position.word(), "rotary");
    assert!(matches!(spec.train.optimizer, Rule::Sgd(_)));
    assert_eq!(spec.train.batch_size, BatchSize::Full);
    assert_eq!(spec.train.lr, 1.0);
    assert_eq!(spec.data.kind.word(), "chain");
    assert_eq!(spec.probe.every, None);
    assert_eq!(spec.seeds, [5, 6, 7]);
    assert_eq!(spec.precision, Precision::F64);
    assert_eq!(*spec.checkpoint.at, [0, 7]);
}

#[test]
fn the_hash_sees_what_decides_the_numbers_and_nothing_else() {
    let hash = with(&[]).hash();
    for same in [
        ("name", "other"),
        ("seeds", "3"),
        ("checkpoint.every", "7"),
        ("checkpoint.at", "[1, 2]"),
        ("checkpoint.last", "false"),
    ] {
        assert_eq!(with(&[same]).hash(), hash, "{same:?}");
    }
    let other = [
        ("precision", "f64"),
        ("precision", "bf16"),
        ("data.kind", "chain"),
        ("data.vocab_size", "801"),
        ("data.entity_length", "2"),
        ("data.train_fraction", "0.71"),
        ("data.seed", "0"),
        ("model.layers", "3"),
        ("model.heads", "8"),
        ("model.dim", "128"),
        ("model.position", "none"),
        ("model.dropout", "0"),
        ("model.tie_head", "true"),
        ("model.freeze_embeddings", "true"),
        ("train.optimizer", "adam"),
        ("train.lr", "0.0010000000000000002"),
        ("train.weight_decay", "0.9"),
        ("train.betas", "[0.999, 0.9]"),
        ("train.batch_size", "full"),
        ("train.epochs", "151"),
        ("train.loss_on", "sequence"),
        ("train.init_seed", "0"),
        ("train.order_seed", "0"),
        ("probe.every", "21"),
    ];
    let mut hashes: Vec<_> = other.map(|one| with(&[one]).hash()).into();
    let unprobed = parse("data.kind = \"reversal\"\nprobe.effective_weights = false").hash();
    assert_ne!(unprobed, parse("data.kind = \"reversal\"").hash());
    hashes.push(hash);
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), other.len() + 1, "two specs share a hash");
}

/// Runs from before a key existed are still found, and the key is written.
#[test]
fn a_key_that_came_later_does_not_change_the_hash_where_it_says_what_was() {
    let rotary = |sets: &[(&str, &str)]| with(&[&[("model.position", "rotary")], sets].concat());
    let icl = |sets: &[(&str, &str)]| {
        Spec::parse_with(ready("icl-quick").unwrap(), "SPEC.toml", sets).unwrap()
    };
    // As computed by version 0.1.0 before either key existed.
    assert_eq!(rotary(&[]).hash().to_string(), "7129ebd0fbc63d9d");
    assert!(rotary(&[]).to_toml().contains("rotary_fraction = 0.5\n"));
    assert!(icl(&[]).to_toml().contains("hold_out = \"sentences\"\n"));
    assert_ne!(rotary(&[("model.rotary_fraction", "1")]).hash(), rotary(&[]).hash());
    assert_ne!(icl(&[("data.hold_out", "entities")]).hash(), icl(&[]).hash());

    // Without rotation there is no fraction.
    assert!(!with(&[]).to_toml().contains("rotary_fraction"));
}

/// Runs of an earlier meaning of a value are not taken for runs of the present one.
#[test]
fn a_value_with_a_new_meaning_has_a_new_hash() {
    for (sets, line) in [
        (&[("model.mixer", "lstm")][..], "model.mixer=\"lstm\" revision 2"),
        (&[("model.mixer", "gru")], "model.mixer=\"gru\" revision 2"),
        (&[("train.optimizer", "muon")], "train.optimizer=\"muon\" revision 2"),
        (
            &[("model.kind", "one-layer"), ("model.context", "all")],
            "model.context=\"all\" revision 2",
        ),
    ] {
        let spec = with(sets);
        assert!(spec.hashed_lines().contains(&line.to_owned()), "{line}");
        assert!(!spec.to_toml().contains("revision"));
    }
    assert!(with(&[]).hashed_lines().iter().all(|line| !line.contains("revision")));
}

#[test]
fn the_hash_does_not_see_how_a_spec_is_written() {
    let hash = parse(CHAIN).hash();
    let long = "train = { lr = 1e-3, weight_decay = 0.01 }\nmodel.dropout = 0.10\n\
                [probe]\nevery = 0\n[data]\ntrain_fraction = 7e-1\nvocab_size = 0x320\nkind = 'chain'\n";
    assert_eq!(parse(long).hash(), hash);

    let whole = |lr: &str, decay: &str| {
        parse(&format!("{CHAIN}[train]\nlr = {lr}\nweight_decay = {decay}")).hash()
    };
    assert_eq!(whole("1", "0"), whole("1.0", "-0.0"));
    // SGD without momentum had no key of its own in early versions.
    let sgd = |rest: &str| parse(&format!("{CHAIN}[train]\noptimizer = \"sgd\"\n{rest}")).hash();
    assert_eq!(sgd("momentum = 0"), sgd(""));
    assert_ne!(sgd("momentum = 0.5"), sgd(""));
}

/// These are the keys of every user's store: a change orphans their runs.
#[test]
fn hashes_stay_what_they_are() {
    let hashes: Vec<_> = READY[..8]
        .iter()
        .map(|(name, text)| format!("{name} {}", Spec::parse(text, name).unwrap().hash()))
        .collect();
    assert_eq!(
        hashes,
        [
            "reversal-quick c51939033f2b0b34",
            "reversal-paper 2b2adbbe99558118",
            "chain-quick d987a1f7826e8f16",
            "chain-paper 7aa4e865bd4708e7",
            "icl-quick fe6e3d5350387acd",
            "icl-paper 960acd4d6ebca437",
            "related-quick 828e23670a18dd84",
            "related-paper e062befbf9fc4e85",
        ]
    );
}

#[test]
fn a_hash_reads_back_and_lookalikes_do_not() {
    let hash = SpecHash(0x00ab_cdef_0123_4567);
    assert_eq!(hash.to_string(), "00abcdef01234567");
    assert_eq!("00abcdef01234567".parse(), Ok(hash));
    for other in ["00ABCDEF01234567", "abcdef01234567", "+0abcdef01234567", "", "00abcdef012345678"]
    {
        assert!(other.parse::<SpecHash>().is_err(), "{other}");
    }
}

#[test]
fn a_resolved_spec_reads_back_equal() {
    let mut specs: Vec<_> =
        READY.iter().map(|(name, text)| Spec::parse(text, name).unwrap()).collect();
    specs.push(parse(CHAIN));
    specs.push(with(&[
        ("seeds", "[7, 4294967295]"),
        ("data.seed", "3"),
        ("train.init_seed", "4"),
        ("train.order_seed", "5"),
        ("train.optimizer", "sgd"),
        ("train.lr", "1e-300"),
        ("train.weight_decay", "12345678901234567890.0"),
        ("train.batch_size", "full"),
        ("checkpoint.at", "[0, 100]"),
    ]));
    specs.push(with(&[("model.position", "rotary"), ("model.rotary_fraction", "0.3")]));
    specs.push(parse("[data]\nkind = \"icl\"\nhold_out = \"entities\""));
    for spec in specs {
        let again = Spec::parse(&spec.to_toml(), "elsewhere.toml").unwrap();
        assert_eq!(again, spec);
        assert_eq!(again.hash(), spec.hash());
    }
}

#[test]
fn the_quick_spec_is_the_contracts_and_the_papers_is_the_papers() {
    let quick = with(&[]);
    assert_eq!((quick.probe.every, quick.checkpoint.every), (Some(20), Some(50)));
    let paper = Spec::parse(ready("reversal-paper").unwrap(), "").unwrap();
    let decoder = paper.model.decoder().unwrap();
    assert_eq!((decoder.layers, decoder.heads, decoder.dim), (24, 12, 768));
    assert_eq!((paper.train.lr, paper.train.epochs), (0.01, 3000));
    assert_eq!(paper.train.weight_decay, 0.01);
    assert_eq!(paper.seeds.len(), 10);
}

#[test]
fn a_commented_spec_reads_back_and_explains_every_key() {
    for (name, text) in READY.iter() {
        let spec = Spec::parse(text, name).unwrap();
        assert_eq!(spec.name, *name);
        let whole = commented(&spec);
        assert_eq!(Spec::parse(&whole, name).unwrap(), spec, "{name}");
        let lines: Vec<&str> = whole.lines().collect();
        for pair in
            lines.windows(2).filter(|pair| pair[1].contains(" = ") && !pair[1].starts_with("# "))
        {
            assert!(pair[0].starts_with("# "), "{name}: `{}` has no comment", pair[1]);
        }
        // Every key that this spec could have stands there, given or as a comment.
        for key in ["momentum", "rotary_fraction", "temperature", "loss_parameter", "soft_tie"] {
            assert!(
                whole.contains(&format!("\n# {key} =")) || whole.contains(&format!("\n{key} =")),
                "{name}: {key}"
            );
        }
    }
    let unknown = ready("reversal-quik").unwrap_err().to_string();
    assert_eq!(unknown, "there is no ready spec `reversal-quik`; did you mean `reversal-quick`?");
}

#[test]
fn every_kind_of_data_has_a_ready_spec() {
    // The kind `file` needs a file of the user's.
    for kind in DataConfig::WORDS.iter().filter(|kind| **kind != "file") {
        let spec = Spec::parse(ready(&format!("{kind}-quick")).unwrap(), kind).unwrap();
        assert_eq!(spec.data.kind.word(), *kind);
    }
}

#[test]
fn the_reference_of_all_keys_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/spec.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, reference()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert!(written == reference(), "docs/spec.md is not current; UPDATE_DOCS=1 rewrites it");
}
