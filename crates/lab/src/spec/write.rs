//! A resolved spec as text: TOML to be read again, and the lines that its hash
//! is taken over.

use retrodict_facts::{
    BiographiesConfig, ChainConfig, DataConfig, FamilyConfig, HoldOut, HopsConfig, IclConfig,
    OneToManyConfig, RelatedConfig, RelationsConfig, ReversalConfig,
};
use retrodict_models::{Design, LrDecay};

use super::keys::path;
use super::{BatchSize, Keyword, LossName, ModelKind, ObjectiveSpec, Optimizer};
use super::{Position, ReadingName, Spec};

/// One key with its value in TOML.
pub(crate) struct Line {
    pub(crate) section: &'static str,
    pub(crate) key: &'static str,
    pub(crate) value: String,
    /// Whether the value is the one that was implied before the key was there: such a line is
    /// left out of the hash, so that older specs keep theirs.
    pub(crate) implied: bool,
}

impl Line {
    /// `section.key=value`.
    pub(crate) fn canonical(&self) -> String {
        format!("{}={}", path(self.section, self.key), self.value)
    }
}

/// Every key that means something under this spec, defaults included, in the
/// order in which a spec is written.
pub(crate) fn lines(spec: &Spec) -> Vec<Line> {
    let mut lines = Lines::default();
    lines.put("name", word(&spec.name));
    let counted = spec.seeds.iter().copied().eq(0..spec.seeds.len() as u64);
    lines.put(
        "seeds",
        match counted {
            true => spec.seeds.len().to_string(),
            false => format!("{:?}", spec.seeds),
        },
    );
    lines.put("precision", word(spec.precision.word()));

    lines.section = "data";
    lines.put("kind", word(spec.data.kind.kind()));
    lines.data(&spec.data.kind);
    let recipes: Vec<_> =
        spec.data.recipes.iter().map(|recipe| word(&recipe.to_string())).collect();
    let recipes = format!("[{}]", recipes.join(", "));
    lines.put_later("recipes", recipes, spec.data.recipes.is_empty());
    lines.put_some("seed", spec.data.seed);

    lines.section = "model";
    let model = &spec.model;
    lines.put("kind", word(model.kind.word()));
    lines.put("layers", model.layers.to_string());
    lines.put("heads", model.heads.to_string());
    lines.put("dim", model.dim.to_string());
    lines.put("position", word(model.position.word()));
    if model.position == Position::Rotary {
        let fraction = model.rotary_fraction;
        lines.put_later("rotary_fraction", number(fraction), fraction == 0.5);
    }
    lines.put("dropout", number(model.dropout));
    lines.put("tie_head", model.tie_head.to_string());
    lines.put("freeze_embeddings", model.freeze_embeddings.to_string());
    let (design, gpt2) = (model.design, Design::default());
    lines.put_later("mixer", word(design.mixer.word()), design.mixer == gpt2.mixer);
    lines.put_later("residual", design.residual.to_string(), design.residual == gpt2.residual);
    lines.put_later("norm", word(design.norm.word()), design.norm == gpt2.norm);
    let place = design.norm_place;
    lines.put_later("norm_place", word(place.word()), place == gpt2.norm_place);
    let nonlinearity = design.nonlinearity;
    let implied = nonlinearity == gpt2.nonlinearity;
    lines.put_later("nonlinearity", word(nonlinearity.word()), implied);
    let value_output = design.value_output;
    let implied = value_output == gpt2.value_output;
    lines.put_later("value_output", word(value_output.word()), implied);
    if model.kind == ModelKind::OneLayer {
        lines.put("context", word(model.context.word()));
    }

    lines.section = "train";
    let train = &spec.train;
    lines.put("optimizer", word(train.optimizer.word()));
    lines.put("lr", number(train.lr));
    let schedule = train.schedule;
    lines.put_later("schedule", word(schedule.word()), schedule == LrDecay::Constant);
    lines.put_later("warmup", train.warmup.to_string(), train.warmup == 0);
    lines.put("weight_decay", number(train.weight_decay));
    if train.optimizer != Optimizer::Sgd {
        let [first, second] = train.betas.map(number);
        lines.put("betas", format!("[{first}, {second}]"));
    }
    if matches!(train.optimizer, Optimizer::Sgd | Optimizer::Muon) {
        let implied = train.optimizer == Optimizer::Sgd && train.momentum == 0.0;
        lines.put_later("momentum", number(train.momentum), implied);
    }
    lines.put(
        "batch_size",
        match train.batch_size {
            BatchSize::Sentences(size) => size.to_string(),
            BatchSize::Full => word("full"),
        },
    );
    lines.put("epochs", train.epochs.to_string());
    lines.put("loss_on", word(train.loss_on.word()));
    lines.put_some("init_seed", train.init_seed);
    lines.put_some("order_seed", train.order_seed);

    lines.section = "objective";
    lines.objective(&spec.objective);

    lines.section = "probe";
    lines.put_some("every", spec.probe.every);
    lines.put("effective_weights", spec.probe.effective_weights.to_string());

    lines.section = "checkpoint";
    lines.put_some("every", spec.checkpoint.every);
    lines.put("at", format!("{:?}", spec.checkpoint.at));
    lines.put("last", spec.checkpoint.last.to_string());
    lines.lines
}

/// The whole spec as TOML.
pub(crate) fn toml(spec: &Spec) -> String {
    let mut text = String::new();
    let mut section = "";
    for line in lines(spec) {
        if line.section != section {
            section = line.section;
            text.push_str(&format!("[{section}]\n"));
        }
        text.push_str(&format!("{} = {}\n", line.key, line.value));
    }
    text
}

#[derive(Default)]
struct Lines {
    section: &'static str,
    lines: Vec<Line>,
}

impl Lines {
    fn put(&mut self, key: &'static str, value: String) {
        self.put_later(key, value, false);
    }

    /// A key that came with a later version; see [`Line::implied`].
    fn put_later(&mut self, key: &'static str, value: String, implied: bool) {
        let section = self.section;
        self.lines.push(Line { section, key, value, implied });
    }

    fn data(&mut self, config: &DataConfig) {
        let mut sizes = |sizes: &[(&'static str, usize)]| {
            for (key, size) in sizes {
                self.put(key, size.to_string());
            }
        };
        let train_fraction = match *config {
            DataConfig::Reversal(ReversalConfig { vocab_size, entity_length, train_fraction })
            | DataConfig::Chain(ChainConfig { vocab_size, entity_length, train_fraction }) => {
                sizes(&[("vocab_size", vocab_size), ("entity_length", entity_length)]);
                train_fraction
            }
            DataConfig::Icl(config) => {
                let IclConfig { vocab_size, entities, attributes, train_fraction, hold_out } =
                    config;
                sizes(&[("vocab_size", vocab_size), ("entities", entities)]);
                sizes(&[("attributes", attributes)]);
                self.put_later("hold_out", word(hold_out.word()), hold_out == HoldOut::Sentences);
                train_fraction
            }
            DataConfig::Related(RelatedConfig { vocab_size, tokens, train, held_out }) => {
                sizes(&[("vocab_size", vocab_size), ("tokens", tokens)]);
                sizes(&[("train", train), ("held_out", held_out)]);
                return;
            }
            DataConfig::Relations(config) => {
                let RelationsConfig { vocab_size, entities, relations, train_fraction } = config;
                sizes(&[("vocab_size", vocab_size), ("entities", entities)]);
                sizes(&[("relations", relations)]);
                train_fraction
            }
            DataConfig::Family(FamilyConfig { vocab_size, families, train_fraction }) => {
                sizes(&[("vocab_size", vocab_size), ("families", families)]);
                train_fraction
            }
            DataConfig::Hops(HopsConfig { vocab_size, chains, hops, train_fraction }) => {
                sizes(&[("vocab_size", vocab_size), ("chains", chains), ("hops", hops)]);
                train_fraction
            }
            DataConfig::Biographies(config) => {
                let BiographiesConfig { vocab_size, persons, attributes, train_fraction } = config;
                sizes(&[("vocab_size", vocab_size), ("persons", persons)]);
                sizes(&[("attributes", attributes)]);
                train_fraction
            }
            DataConfig::OneToMany(config) => {
                let OneToManyConfig { vocab_size, entities, partners, train_fraction } = config;
                sizes(&[("vocab_size", vocab_size), ("entities", entities)]);
                sizes(&[("partners", partners)]);
                train_fraction
            }
        };
        self.put("train_fraction", number(train_fraction));
    }

    /// All of it came later, and its strengths were none.
    fn objective(&mut self, objective: &ObjectiveSpec) {
        let plain = objective.reading == ReadingName::NextToken;
        self.put_later("reading", word(objective.reading.word()), plain);
        let plain = objective.loss == LossName::CrossEntropy;
        self.put_later("loss", word(objective.loss.word()), plain);
        if !plain {
            self.put("loss_parameter", number(objective.loss_parameter));
        }
        let strengths = [
            ("ahead", objective.ahead),
            ("contrastive", objective.contrastive),
            ("symmetry", objective.symmetry),
            ("squares", objective.squares),
            ("soft_tie", objective.soft_tie),
            ("antisymmetry", objective.antisymmetry),
            ("nuclear_norm", objective.nuclear_norm),
            ("spectral_norm", objective.spectral_norm),
        ];
        for (key, strength) in strengths {
            self.put_later(key, number(strength), strength == 0.0);
        }
        if objective.contrastive > 0.0 {
            self.put("temperature", number(objective.temperature));
        }
        if objective.symmetry > 0.0 {
            self.put("symmetry_in_context", objective.symmetry_in_context.to_string());
        }
    }

    fn put_some(&mut self, key: &'static str, value: Option<u64>) {
        if let Some(value) = value {
            self.put(key, value.to_string());
        }
    }
}

/// Names and keywords hold no character that TOML escapes.
fn word(text: &str) -> String {
    format!("\"{text}\"")
}

/// The shortest digits that read back to the same number; `1.0`, never `1`.
fn number(value: f64) -> String {
    format!("{value:?}")
}
