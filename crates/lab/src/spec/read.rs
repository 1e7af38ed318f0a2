//! From entries to a [`Spec`]: which key is what, its default and its range.

use std::ops::RangeInclusive;
use std::path::Path;

use retrodict_facts::{
    BiographiesConfig, ChainConfig, DataConfig, FamilyConfig, HoldOut, HopsConfig, IclConfig,
    OneToManyConfig, Recipe, RelatedConfig, RelationsConfig, ReversalConfig,
};
use retrodict_models::{Attended, Design, LrDecay};

use super::check::{
    BELOW_ONE, Checker, FRACTION, NOT_NEGATIVE, PART, POSITIVE, integer_in, one_of,
};
use super::document::{Entry, Found, Value};
use super::error::{Problem, SpecError};
use super::keyword::Keyword;
use super::{
    BatchSize, CheckpointSpec, DataName, DataSpec, LossName, LossOn, ModelKind, ModelSpec,
    ObjectiveSpec, Optimizer, Position, Precision, ProbeSpec, ReadingName, Spec, TrainSpec, keys,
    seeds,
};
use crate::name::check_name;

// Bounds that no experiment here comes near: beyond them lies a slip of the
// keyboard, and an allocation that fails.
const VOCABULARY: RangeInclusive<u64> = 1..=1_000_000;
const ENTITY_LENGTH: RangeInclusive<u64> = 1..=16;
const LAYERS: RangeInclusive<u64> = 1..=1_000;
const DIM: RangeInclusive<u64> = 1..=65_536;
const SENTENCES: RangeInclusive<u64> = 1..=1_000_000;
const TRIPLES: RangeInclusive<u64> = 0..=1_000_000;
const EPOCHS: RangeInclusive<u64> = 1..=1_000_000_000;
const EVERY: RangeInclusive<u64> = 0..=1_000_000_000;
const STEPS: RangeInclusive<u64> = 0..=1_000_000_000_000_000;
const SEED: RangeInclusive<u64> = 0..=seeds::LARGEST_SEED;

const DEFAULT_SEEDS: u64 = 10;
const DEFAULT_BETAS: [f64; 2] = [0.9, 0.999];
/// As its author has it.
const DEFAULT_MUON_MOMENTUM: f64 = 0.95;
const DEFAULT_TEMPERATURE: f64 = 0.1;
const WARMUP: RangeInclusive<u64> = 0..=1_000_000_000;
/// As in the authors' code: 32 of a head's 64 dimensions.
const DEFAULT_ROTARY_FRACTION: f64 = 0.5;

/// The spec that `entries` make, or the first of its problems.
pub(crate) fn spec(
    entries: Vec<Entry>,
    found: Vec<Found>,
    origin: &str,
) -> Result<Spec, SpecError> {
    let mut checker = Checker::new(entries, found, origin);
    let spec = Spec {
        name: name(&mut checker, origin),
        seeds: seed_list(&mut checker),
        precision: checker.keyword("", "precision", Precision::F32),
        data: data(&mut checker),
        model: model(&mut checker),
        train: train(&mut checker),
        objective: objective(&mut checker),
        probe: ProbeSpec {
            every: every(&mut checker, "probe"),
            effective_weights: checker.boolean("probe", "effective_weights", true),
        },
        checkpoint: CheckpointSpec {
            every: every(&mut checker, "checkpoint"),
            at: steps(&mut checker),
            last: checker.boolean("checkpoint", "last", true),
        },
    };
    checker.finish()?;
    Ok(spec)
}

fn name(checker: &mut Checker, origin: &str) -> String {
    let Some(entry) = checker.take("", "name") else {
        let stem = Path::new(origin).file_stem().unwrap_or_default();
        let name = stem.to_string_lossy().into_owned();
        if let Err(error) = check_name(&name) {
            checker.refuse_whole(Problem::Stem(error));
        }
        return name;
    };
    match &entry.value {
        Value::Text(name) => {
            if let Err(error) = check_name(name) {
                checker.refuse(&entry, Problem::Name(error));
            }
            name.clone()
        }
        _ => {
            checker.refuse_value(&entry, "a text in quotes");
            String::new()
        }
    }
}

fn seed_list(checker: &mut Checker) -> Vec<u64> {
    let Some(entry) = checker.take("", "seeds") else {
        return (0..DEFAULT_SEEDS).collect();
    };
    let listed = match &entry.value {
        Value::Integer(_) => integer_in(&entry.value, &(0..=u64::MAX)).map(seeds::count),
        Value::Array(values) => values
            .iter()
            .map(|value| integer_in(value, &(0..=u64::MAX)))
            .collect::<Option<Vec<_>>>()
            .map(seeds::check_list),
        Value::Text(text) => Some(seeds::parse_seeds(text)),
        _ => None,
    };
    match listed {
        Some(Ok(seeds)) => return seeds,
        Some(Err(error)) => checker.refuse(&entry, Problem::Seeds(error)),
        None => {
            checker.refuse_value(&entry, "a count (10), a list ([1, 2, 7]) or a range (\"5..8\")");
        }
    }
    Vec::new()
}

fn data(checker: &mut Checker) -> DataSpec {
    let kind = data_kind(checker);
    if let Some(kind) = kind {
        refuse_other_kinds(checker, kind);
    }
    let vocab_size =
        |checker: &mut Checker, default| checker.size("data", "vocab_size", default, VOCABULARY);
    let entity_length =
        |checker: &mut Checker| checker.size("data", "entity_length", 1, ENTITY_LENGTH);
    let train_fraction =
        |checker: &mut Checker| checker.number("data", "train_fraction", 0.7, FRACTION);
    let count =
        |checker: &mut Checker, key, default| checker.size("data", key, default, VOCABULARY);
    let kind = match kind.unwrap_or(DataName::Reversal) {
        DataName::Reversal => DataConfig::Reversal(ReversalConfig {
            vocab_size: vocab_size(checker, 800),
            entity_length: entity_length(checker),
            train_fraction: train_fraction(checker),
        }),
        DataName::Chain => DataConfig::Chain(ChainConfig {
            vocab_size: vocab_size(checker, 800),
            entity_length: entity_length(checker),
            train_fraction: train_fraction(checker),
        }),
        DataName::Icl => DataConfig::Icl(IclConfig {
            vocab_size: vocab_size(checker, 400),
            entities: count(checker, "entities", 100),
            attributes: count(checker, "attributes", 10),
            train_fraction: train_fraction(checker),
            hold_out: checker.keyword("data", "hold_out", HoldOut::Sentences),
        }),
        DataName::Related => DataConfig::Related(RelatedConfig {
            vocab_size: vocab_size(checker, 800),
            tokens: count(checker, "tokens", 600),
            train: checker.size("data", "train", 200, TRIPLES),
            held_out: checker.size("data", "held_out", 50, TRIPLES),
        }),
        DataName::Relations => DataConfig::Relations(RelationsConfig {
            vocab_size: vocab_size(checker, 800),
            entities: count(checker, "entities", 50),
            relations: count(checker, "relations", 3),
            train_fraction: train_fraction(checker),
        }),
        DataName::Family => DataConfig::Family(FamilyConfig {
            vocab_size: vocab_size(checker, 800),
            families: count(checker, "families", 30),
            train_fraction: train_fraction(checker),
        }),
        DataName::Hops => DataConfig::Hops(HopsConfig {
            vocab_size: vocab_size(checker, 800),
            chains: count(checker, "chains", 60),
            hops: count(checker, "hops", 3),
            train_fraction: train_fraction(checker),
        }),
        DataName::Biographies => DataConfig::Biographies(BiographiesConfig {
            vocab_size: vocab_size(checker, 800),
            persons: count(checker, "persons", 50),
            attributes: count(checker, "attributes", 3),
            train_fraction: train_fraction(checker),
        }),
        DataName::OneToMany => DataConfig::OneToMany(OneToManyConfig {
            vocab_size: vocab_size(checker, 800),
            entities: count(checker, "entities", 50),
            partners: count(checker, "partners", 4),
            train_fraction: train_fraction(checker),
        }),
    };
    let recipes = recipes(checker);
    DataSpec { kind, recipes, seed: checker.optional_integer("data", "seed", SEED) }
}

fn recipes(checker: &mut Checker) -> Vec<Recipe> {
    let Some(entry) = checker.take("data", "recipes") else {
        return Vec::new();
    };
    let Value::Array(names) = &entry.value else {
        checker.refuse_value(&entry, "a list of recipes, such as [\"reverse-tokens\"]");
        return Vec::new();
    };
    let mut recipes = Vec::new();
    for name in names {
        let Value::Text(name) = name else {
            checker.refuse_value(&entry, "a list of recipes, each a text in quotes");
            return Vec::new();
        };
        match name.parse() {
            Ok(recipe) => recipes.push(recipe),
            Err(error) => checker.refuse(&entry, Problem::Recipe(error)),
        }
    }
    recipes
}

/// `data.kind`, the only key without a default; `None` once it is refused.
fn data_kind(checker: &mut Checker) -> Option<DataName> {
    let Some(entry) = checker.take("data", "kind") else {
        checker.refuse_whole(Problem::Missing {
            key: "data.kind",
            right: one_of::<DataName>(&Value::Boolean(false)),
        });
        take_all_data(checker);
        return None;
    };
    if let Value::Text(word) = &entry.value
        && let Some(kind) = DataName::from_word(word)
    {
        return Some(kind);
    }
    checker.refuse_value(&entry, one_of::<DataName>(&entry.value));
    take_all_data(checker);
    None
}

/// Without a kind nobody can say which of the known keys of `[data]` are right.
fn take_all_data(checker: &mut Checker) {
    for kind in DataName::WORDS.iter().map(|(_, kind)| *kind) {
        for key in keys::data_keys(kind) {
            checker.take("data", key);
        }
    }
}

/// Refuses the keys of `[data]` that only other kinds have.
fn refuse_other_kinds(checker: &mut Checker, kind: DataName) {
    let others = DataName::WORDS
        .iter()
        .flat_map(|(_, other)| keys::data_keys(*other))
        .filter(|key| !keys::owners(key).contains(&kind));
    for key in others {
        if let Some(entry) = checker.take("data", key) {
            let owners = keys::owners(key).iter().map(|owner| owner.word());
            let problem = Problem::OtherKind {
                key: entry.path(),
                owners: keys::join(owners, "and"),
                kind: kind.word(),
            };
            checker.refuse(&entry, problem);
        }
    }
}

fn model(checker: &mut Checker) -> ModelSpec {
    let kind = checker.keyword("model", "kind", ModelKind::Decoder);
    let layers = checker.size("model", "layers", 2, LAYERS);
    let heads_at = checker.entry("model", "heads");
    let dim_at = checker.entry("model", "dim");
    let heads = checker.size("model", "heads", 4, DIM);
    let dim = checker.size("model", "dim", 64, DIM);
    // Whichever of the two was written later is the one to mend.
    let at = heads_at.into_iter().chain(dim_at).max_by_key(|e| e.position);
    if !dim.is_multiple_of(heads)
        && let Some(entry) = at
    {
        let hint = divisor_hint(heads, dim);
        checker.refuse(&entry, Problem::Heads { heads, dim, hint });
    }
    let position = checker.keyword("model", "position", Position::Absolute);
    let fraction = checker.number("model", "rotary_fraction", DEFAULT_ROTARY_FRACTION, PART);
    ModelSpec {
        kind,
        layers,
        heads,
        dim,
        position,
        // As with the betas: checked always, kept only where it means something.
        rotary_fraction: match position {
            Position::Rotary => fraction,
            Position::None | Position::Absolute => DEFAULT_ROTARY_FRACTION,
        },
        dropout: checker.number("model", "dropout", 0.1, BELOW_ONE),
        tie_head: checker.boolean("model", "tie_head", false),
        freeze_embeddings: checker.boolean("model", "freeze_embeddings", false),
        design: design(checker),
        context: checker.keyword("model", "context", Attended::All),
    }
}

fn design(checker: &mut Checker) -> Design {
    let gpt2 = Design::default();
    Design {
        mixer: checker.keyword("model", "mixer", gpt2.mixer),
        residual: checker.boolean("model", "residual", gpt2.residual),
        norm: checker.keyword("model", "norm", gpt2.norm),
        norm_place: checker.keyword("model", "norm_place", gpt2.norm_place),
        nonlinearity: checker.keyword("model", "nonlinearity", gpt2.nonlinearity),
        value_output: checker.keyword("model", "value_output", gpt2.value_output),
    }
}

fn objective(checker: &mut Checker) -> ObjectiveSpec {
    let reading = checker.keyword("objective", "reading", ReadingName::NextToken);
    let loss = checker.keyword("objective", "loss", LossName::CrossEntropy);
    let (default, bound) = match loss {
        LossName::CrossEntropy => (0.0, NOT_NEGATIVE),
        LossName::LabelSmoothing => (0.1, BELOW_ONE),
        LossName::Focal => (2.0, NOT_NEGATIVE),
        LossName::Margin => (1.0, POSITIVE),
    };
    let parameter = checker.number("objective", "loss_parameter", default, bound);
    let mut strength = |key| checker.number("objective", key, 0.0, NOT_NEGATIVE);
    ObjectiveSpec {
        reading,
        loss,
        // As with the betas: checked always, kept only where it means something.
        loss_parameter: if loss == LossName::CrossEntropy { 0.0 } else { parameter },
        ahead: strength("ahead"),
        contrastive: strength("contrastive"),
        symmetry: strength("symmetry"),
        squares: strength("squares"),
        soft_tie: strength("soft_tie"),
        antisymmetry: strength("antisymmetry"),
        nuclear_norm: strength("nuclear_norm"),
        spectral_norm: strength("spectral_norm"),
        temperature: checker.number("objective", "temperature", DEFAULT_TEMPERATURE, POSITIVE),
        symmetry_in_context: checker.boolean("objective", "symmetry_in_context", true),
    }
}

fn divisor_hint(heads: usize, dim: usize) -> String {
    let divides = |candidate: &usize| dim.is_multiple_of(*candidate);
    let below = (1..heads.min(dim + 1)).rev().find(divides);
    let above = (heads + 1..=dim).find(divides);
    match (below, above) {
        (Some(below), Some(above)) => format!("{below} or {above} would"),
        (one, other) => format!("{} would", one.or(other).unwrap_or(1)),
    }
}

fn train(checker: &mut Checker) -> TrainSpec {
    let optimizer = checker.keyword("train", "optimizer", Optimizer::AdamW);
    let lr = checker.number("train", "lr", 0.001, POSITIVE);
    let schedule = checker.keyword("train", "schedule", LrDecay::Constant);
    let warmup = checker.integer("train", "warmup", 0, WARMUP);
    let weight_decay = checker.number("train", "weight_decay", 0.01, NOT_NEGATIVE);
    let betas = checker.two_numbers("train", "betas", DEFAULT_BETAS, BELOW_ONE);
    let momentum = match optimizer {
        Optimizer::Muon => DEFAULT_MUON_MOMENTUM,
        _ => 0.0,
    };
    let momentum = checker.number("train", "momentum", momentum, BELOW_ONE);
    TrainSpec {
        optimizer,
        lr,
        schedule,
        warmup,
        weight_decay,
        // Checked whatever the optimizer is, so that `--set train.optimizer=sgd`
        // works on any spec, but kept only where they mean something.
        betas: match optimizer {
            Optimizer::Sgd => DEFAULT_BETAS,
            _ => betas,
        },
        momentum: match optimizer {
            Optimizer::Sgd | Optimizer::Muon => momentum,
            _ => 0.0,
        },
        batch_size: batch_size(checker),
        epochs: checker.integer("train", "epochs", 150, EPOCHS),
        loss_on: checker.keyword("train", "loss_on", LossOn::LastEntity),
        init_seed: checker.optional_integer("train", "init_seed", SEED),
        order_seed: checker.optional_integer("train", "order_seed", SEED),
    }
}

fn batch_size(checker: &mut Checker) -> BatchSize {
    let Some(entry) = checker.take("train", "batch_size") else {
        return BatchSize::Sentences(64);
    };
    if let Value::Text(word) = &entry.value
        && word == "full"
    {
        return BatchSize::Full;
    }
    if let Some(size) = integer_in(&entry.value, &SENTENCES) {
        return BatchSize::Sentences(size as usize);
    }
    let (least, most) = SENTENCES.into_inner();
    let right = format!("a whole number from {least} to {most}, or \"full\"");
    checker.refuse_value(&entry, right);
    BatchSize::Full
}

/// Epochs between two events; 0 is never, as is leaving it out.
fn every(checker: &mut Checker, section: &str) -> Option<u64> {
    checker.optional_integer(section, "every", EVERY).filter(|epochs| *epochs > 0)
}

fn steps(checker: &mut Checker) -> Vec<u64> {
    let Some(entry) = checker.take("checkpoint", "at") else {
        return Vec::new();
    };
    let steps = match &entry.value {
        Value::Array(values) => values.iter().map(|v| integer_in(v, &STEPS)).collect(),
        _ => None,
    };
    let Some(mut steps): Option<Vec<u64>> = steps else {
        checker.refuse_value(&entry, "a list of steps, such as [0, 100]");
        return Vec::new();
    };
    steps.sort_unstable();
    steps.dedup();
    steps
}
