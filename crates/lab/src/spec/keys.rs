//! The keys that a spec may have, section by section, and what a wrong one may
//! have been meant to be.

use super::DataName;
use retrodict_settings::nearest;

/// Every section with its keys, in the order in which a spec is written; the
/// first section is what stands above all others.
pub(crate) const SECTIONS: &[(&str, &[&str])] = &[
    ("", &["name", "seeds", "precision"]),
    (
        "data",
        &[
            "kind",
            "vocab_size",
            "entity_length",
            "entities",
            "attributes",
            "tokens",
            "train",
            "held_out",
            "relations",
            "families",
            "chains",
            "hops",
            "persons",
            "partners",
            "train_fraction",
            "hold_out",
            "recipes",
            "seed",
        ],
    ),
    (
        "model",
        &[
            "kind",
            "layers",
            "heads",
            "dim",
            "position",
            "rotary_fraction",
            "dropout",
            "tie_head",
            "freeze_embeddings",
            "mixer",
            "residual",
            "norm",
            "norm_place",
            "nonlinearity",
            "value_output",
            "context",
        ],
    ),
    (
        "train",
        &[
            "optimizer",
            "lr",
            "schedule",
            "warmup",
            "weight_decay",
            "betas",
            "momentum",
            "batch_size",
            "epochs",
            "loss_on",
            "init_seed",
            "order_seed",
        ],
    ),
    (
        "objective",
        &[
            "reading",
            "loss",
            "loss_parameter",
            "ahead",
            "contrastive",
            "temperature",
            "symmetry",
            "symmetry_in_context",
            "squares",
            "soft_tie",
            "antisymmetry",
            "nuclear_norm",
            "spectral_norm",
        ],
    ),
    ("probe", &["every", "effective_weights"]),
    ("checkpoint", &["every", "at", "last"]),
];

/// The kinds of data that have a key of `[data]`.
pub(crate) fn owners(key: &str) -> &'static [DataName] {
    use DataName::{
        Biographies, Chain, Family, Hops, Icl, OneToMany, Related, Relations, Reversal,
    };
    match key {
        "entity_length" => &[Reversal, Chain],
        "train_fraction" => {
            &[Reversal, Chain, Icl, Relations, Family, Hops, Biographies, OneToMany]
        }
        "entities" => &[Icl, Relations, OneToMany],
        "attributes" => &[Icl, Biographies],
        "hold_out" => &[Icl],
        "tokens" | "train" | "held_out" => &[Related],
        "relations" => &[Relations],
        "families" => &[Family],
        "chains" | "hops" => &[Hops],
        "persons" => &[Biographies],
        "partners" => &[OneToMany],
        _ => &[Reversal, Chain, Icl, Related, Relations, Family, Hops, Biographies, OneToMany],
    }
}

/// The keys of `[data]` that `kind` has.
pub(crate) fn data_keys(kind: DataName) -> impl Iterator<Item = &'static str> {
    keys_of("data").iter().copied().filter(move |key| owners(key).contains(&kind))
}

/// `section.key`, or the key alone above the first section.
pub(crate) fn path(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// Whether `[section]` exists.
pub(crate) fn is_section(section: &str) -> bool {
    named_sections().any(|name| name == section)
}

/// Whether `section` has `key`.
pub(crate) fn is_key(section: &str, key: &str) -> bool {
    keys_of(section).contains(&key)
}

/// What an unknown section was meant to be.
pub(crate) fn section_hint(section: &str) -> String {
    match nearest(section, named_sections()) {
        Some(right) => format!("did you mean `[{right}]`?"),
        None => format!("the sections are {}", join(named_sections(), "and")),
    }
}

/// What an unknown key of `section` was meant to be: a key of another section,
/// the nearest here, the nearest elsewhere, or one of those listed.
pub(crate) fn key_hint(section: &str, key: &str) -> String {
    let homes: Vec<_> = SECTIONS
        .iter()
        .filter(|(home, keys)| *home != section && keys.contains(&key))
        .map(|(home, _)| match *home {
            "" => "at the top, above the first section".to_owned(),
            home => format!("in [{home}]"),
        })
        .collect();
    if !homes.is_empty() {
        return format!("`{key}` belongs {}", homes.join(" or "));
    }
    if let Some(right) = nearest(key, keys_of(section).iter().copied()) {
        return format!("did you mean `{}`?", path(section, right));
    }
    let elsewhere = SECTIONS.iter().flat_map(|(_, keys)| keys.iter().copied());
    if let Some(right) = nearest(key, elsewhere) {
        let home = SECTIONS.iter().find(|(_, keys)| keys.contains(&right));
        return format!("did you mean `{}`?", path(home.map_or("", |(section, _)| section), right));
    }
    let keys = join(keys_of(section).iter().copied(), "and");
    match section {
        "" => format!("the keys above the first section are {keys}"),
        section => format!("the keys of [{section}] are {keys}"),
    }
}

/// `a, b and c`, with `last` as the last conjunction.
pub(crate) fn join<'a>(words: impl Iterator<Item = &'a str>, last: &str) -> String {
    let words: Vec<_> = words.collect();
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => (*only).to_owned(),
        Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
    }
}

fn keys_of(section: &str) -> &'static [&'static str] {
    SECTIONS.iter().find(|(name, _)| *name == section).map_or(&[], |(_, keys)| keys)
}

fn named_sections() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().map(|(name, _)| *name).filter(|name| !name.is_empty())
}
