//! `retrodict data KIND`.

use std::io::{self, BufWriter, Write as _};

use retrodict_facts::{
    BiographiesConfig, ChainConfig, DataConfig, FamilyConfig, HoldOut, HopsConfig, IclConfig,
    OneToManyConfig, RelatedConfig, RelationsConfig, ReversalConfig,
};

use super::Failure;
use crate::args::{self, DataArgs, DataKind};

pub(crate) fn data(args: &DataArgs) -> Result<(), Failure> {
    let (config, seed) = match &args.kind {
        DataKind::Reversal(a) => (
            DataConfig::Reversal(ReversalConfig {
                vocab_size: a.vocab_size,
                entity_length: a.entity_length,
                train_fraction: a.train_fraction,
            }),
            &a.seed,
        ),
        DataKind::Chain(a) => (
            DataConfig::Chain(ChainConfig {
                vocab_size: a.vocab_size,
                entity_length: a.entity_length,
                train_fraction: a.train_fraction,
            }),
            &a.seed,
        ),
        DataKind::Icl(a) => (
            DataConfig::Icl(IclConfig {
                vocab_size: a.vocab_size,
                entities: a.entities,
                attributes: a.attributes,
                train_fraction: a.train_fraction,
                hold_out: match a.hold_out {
                    args::HoldOut::Sentences => HoldOut::Sentences,
                    args::HoldOut::Entities => HoldOut::Entities,
                },
            }),
            &a.seed,
        ),
        DataKind::Related(a) => (
            DataConfig::Related(RelatedConfig {
                vocab_size: a.vocab_size,
                tokens: a.tokens,
                train: a.train,
                held_out: a.held_out,
            }),
            &a.seed,
        ),
        DataKind::Relations(a) => (
            DataConfig::Relations(RelationsConfig {
                vocab_size: a.vocab_size,
                entities: a.entities,
                relations: a.relations,
                train_fraction: a.train_fraction,
            }),
            &a.seed,
        ),
        DataKind::Family(a) => (
            DataConfig::Family(FamilyConfig {
                vocab_size: a.vocab_size,
                families: a.families,
                train_fraction: a.train_fraction,
            }),
            &a.seed,
        ),
        DataKind::Hops(a) => (
            DataConfig::Hops(HopsConfig {
                vocab_size: a.vocab_size,
                chains: a.chains,
                hops: a.hops,
                train_fraction: a.train_fraction,
            }),
            &a.seed,
        ),
        DataKind::Biographies(a) => (
            DataConfig::Biographies(BiographiesConfig {
                vocab_size: a.vocab_size,
                persons: a.persons,
                attributes: a.attributes,
                train_fraction: a.train_fraction,
            }),
            &a.seed,
        ),
        DataKind::OneToMany(a) => (
            DataConfig::OneToMany(OneToManyConfig {
                vocab_size: a.vocab_size,
                entities: a.entities,
                partners: a.partners,
                train_fraction: a.train_fraction,
            }),
            &a.seed,
        ),
    };
    // The library names keys of a spec; here they are options.
    let option = |error: retrodict_facts::FactsError| {
        let key = error.key();
        let option = format!("--{}", key.replace('_', "-"));
        Failure::Usage(error.to_string().replacen(key, &option, 1))
    };
    let dataset = config.generate(seed.seed).map_err(option)?;
    let mut out = BufWriter::new(io::stdout().lock());
    dataset.write_jsonl(&mut out)?;
    Ok(out.flush()?)
}
