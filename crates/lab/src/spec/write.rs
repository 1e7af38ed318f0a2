//! A resolved spec as text: TOML to be read again, and the lines that its hash
//! is taken over.

use super::keys::path;
use super::{BatchSize, DataKind, HoldOut, Keyword, Optimizer, Position, Spec};

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
    lines.put("kind", word(spec.data.kind.name().word()));
    match spec.data.kind {
        DataKind::Reversal { vocab_size, entity_length, train_fraction }
        | DataKind::Chain { vocab_size, entity_length, train_fraction } => {
            lines.put("vocab_size", vocab_size.to_string());
            lines.put("entity_length", entity_length.to_string());
            lines.put("train_fraction", number(train_fraction));
        }
        DataKind::Icl { vocab_size, entities, attributes, train_fraction, hold_out } => {
            lines.put("vocab_size", vocab_size.to_string());
            lines.put("entities", entities.to_string());
            lines.put("attributes", attributes.to_string());
            lines.put("train_fraction", number(train_fraction));
            lines.put_later("hold_out", word(hold_out.word()), hold_out == HoldOut::Sentences);
        }
        DataKind::Related { vocab_size, tokens, train, held_out } => {
            lines.put("vocab_size", vocab_size.to_string());
            lines.put("tokens", tokens.to_string());
            lines.put("train", train.to_string());
            lines.put("held_out", held_out.to_string());
        }
    }
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

    lines.section = "train";
    let train = &spec.train;
    lines.put("optimizer", word(train.optimizer.word()));
    lines.put("lr", number(train.lr));
    lines.put("weight_decay", number(train.weight_decay));
    if train.optimizer != Optimizer::Sgd {
        let [first, second] = train.betas.map(number);
        lines.put("betas", format!("[{first}, {second}]"));
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
