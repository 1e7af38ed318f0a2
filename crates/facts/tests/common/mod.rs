//! Data sets of the kinds that are not the paper's, in sizes that several tests go through.

use retrodict_facts::{
    BiographiesConfig, DataConfig, FamilyConfig, HopsConfig, OneToManyConfig, RelationsConfig,
};

/// Small data sets of the kinds that are not the paper's.
pub(crate) fn tasks() -> Vec<DataConfig> {
    let vocab_size = 300;
    let sizes = [(7, 2), (2, 3), (12, 4)];
    let mut configs = Vec::new();
    for (train_fraction, (n, k)) in
        [0.7, 0.5, 0.0, 1.0].into_iter().flat_map(|f| sizes.map(|s| (f, s)))
    {
        configs.extend([
            DataConfig::Relations(RelationsConfig {
                vocab_size,
                entities: n,
                relations: k,
                one_way_relations: 0,
                train_fraction,
            }),
            DataConfig::Family(FamilyConfig { vocab_size, families: n, train_fraction }),
            DataConfig::Hops(HopsConfig { vocab_size, chains: n, hops: k, train_fraction }),
            DataConfig::Biographies(BiographiesConfig {
                vocab_size,
                persons: n,
                attributes: k,
                train_fraction,
            }),
            DataConfig::OneToMany(OneToManyConfig {
                vocab_size,
                entities: n,
                partners: k,
                train_fraction,
            }),
        ]);
    }
    configs
}
