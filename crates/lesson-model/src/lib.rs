//! The model that the lesson trains: a decoder of one layer and 32 dimensions on the paper's
//! reversal data, with a remedy or without.
//!
//! The same code runs natively and, compiled to WebAssembly by `crates/lesson/build-wasm`, in a
//! browser. With the portable instruction set both give the same bits, and those of `retrodict run`
//! with [`Settings::spec_keys`].
//!
//! ```
//! use retrodict_lesson_model::{Lesson, Remedy, Settings};
//!
//! let settings = Settings { pairs: 10, tie_head: false, remedy: Remedy::None, seed: 0 };
//! let mut lesson = Lesson::new(settings)?;
//! let before = lesson.measures();
//! for _ in 0..100 {
//!     lesson.train_epoch();
//! }
//! let after = lesson.measures();
//! assert!(after.taught.nll < 0.1 * before.taught.nll);
//! assert!(after.reversed.nll > before.reversed.nll);
//! # Ok::<(), retrodict_facts::FactsError>(())
//! ```

#[cfg(target_arch = "wasm32")]
mod exports;

use retrodict_dynamics::{Context, measure};
use retrodict_engine::{Purpose, Rule, Stream};
use retrodict_facts::recipe::{self, Recipe};
use retrodict_facts::{
    DataKind as _, Dataset, FactsError, Group, Query, ReversalConfig, TrainingSet,
};
use retrodict_models::{
    Decoder, DecoderSettings, Example, LossOn, LrSchedule, Objective, SentenceScore, Trainer,
    TrainerOptions,
};

/// Epochs of a lesson.
pub const EPOCHS: u32 = 400;
/// Blocks of the decoder.
const LAYERS: usize = 1;
/// Features of its residual stream.
const DIM: usize = 32;
/// The learning rate.
const RATE: f64 = 0.003;
/// Sentences of a batch.
const BATCH: usize = 64;

/// A change of the training sentences against the curse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The facts as they are.
    None,
    /// Every sentence also backward.
    Reversed,
    /// Every name also as its own answer.
    Identities,
}

impl Remedy {
    /// Every remedy; a browser names one by its place.
    pub const ALL: [Remedy; 3] = [Remedy::None, Remedy::Reversed, Remedy::Identities];

    /// The recipe of `data.recipes`.
    pub fn recipe(self) -> Option<&'static str> {
        match self {
            Remedy::None => None,
            Remedy::Reversed => Some("reverse-tokens"),
            Remedy::Identities => Some("identities-typed"),
        }
    }
}

/// The choices of a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Pairs of names. The vocabulary has four words for each pair, of which names take two.
    pub pairs: usize,
    /// Whether the output head is the token table.
    pub tie_head: bool,
    /// The remedy.
    pub remedy: Remedy,
    /// The seed of data, initial values, order and dropout.
    pub seed: u32,
}

impl Settings {
    /// The keys by which the spec of the same run differs from `reversal-quick`, each with its value
    /// in TOML.
    pub fn spec_keys(&self) -> Vec<(&'static str, String)> {
        let recipes: Vec<String> = self.remedy.recipe().iter().map(|r| format!("{r:?}")).collect();
        vec![
            ("data.vocab_size", (4 * self.pairs).to_string()),
            ("data.recipes", format!("[{}]", recipes.join(", "))),
            ("model.layers", LAYERS.to_string()),
            ("model.dim", DIM.to_string()),
            ("model.tie_head", self.tie_head.to_string()),
            ("train.lr", RATE.to_string()),
            ("train.epochs", EPOCHS.to_string()),
        ]
    }
}

/// How one direction of the pairs told in one direction stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// Mean NLL of the right answers, in nats.
    pub nll: f64,
    /// The number of right answers that rank first in the vocabulary.
    pub right: usize,
    /// The margin of the effective weights, after the name alone.
    pub margin: Option<f64>,
}

/// Both directions of the pairs told in one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measures {
    /// The direction that the training sentences have.
    pub taught: Standing,
    /// The other one.
    pub reversed: Standing,
}

/// A model in training.
pub struct Lesson {
    dataset: Dataset,
    training_set: TrainingSet,
    trainer: Trainer<f32>,
    seed: u64,
    epoch: u32,
}

impl Lesson {
    /// A model before training.
    ///
    /// # Errors
    /// [`FactsError`] if there are too few or too many pairs for the data set.
    pub fn new(settings: Settings) -> Result<Lesson, FactsError> {
        let config = ReversalConfig { vocab_size: 4 * settings.pairs, ..Default::default() };
        let dataset = config.generate(settings.seed)?;
        let recipes: Vec<Recipe> =
            settings.remedy.recipe().and_then(|name| name.parse().ok()).into_iter().collect();
        let training_set = recipe::apply(&recipes, &dataset, settings.seed);
        let objective = Objective::next_token(
            training_set.longest(),
            dataset.entity_length,
            LossOn::LastEntity,
        );
        let network = Decoder {
            vocab: training_set.vocab,
            positions: objective.sentence_length,
            settings: DecoderSettings {
                layers: LAYERS,
                dim: DIM,
                tie_head: settings.tie_head,
                ..Default::default()
            },
        };
        let seed = u64::from(settings.seed);
        let options = TrainerOptions {
            rule: Rule::default(),
            rate: RATE,
            weight_decay: 0.01,
            decay_norms: true,
            clip: 0.0,
            init_seed: seed,
            noise_seed: seed,
            threads: 1,
            schedule: LrSchedule::default(),
        };
        let trainer = Trainer::new(network, objective, &options);
        Ok(Lesson { dataset, training_set, trainer, seed, epoch: 0 })
    }

    /// Trains one epoch; returns the mean NLL of its batches, with dropout.
    pub fn train_epoch(&mut self) -> f64 {
        let sentences = &self.training_set.sentences;
        let mut order: Vec<usize> = (0..sentences.len()).collect();
        Stream::new(self.seed, Purpose::Order, self.epoch).shuffle(&mut order);
        self.epoch += 1;
        let mut sum = 0.0;
        for batch in order.chunks(BATCH) {
            let examples = batch.iter().map(|&i| {
                let sentence = &sentences[i];
                Example {
                    tokens: &sentence.tokens,
                    answer: Some(sentence.answer),
                    weight: sentence.weight,
                }
            });
            sum += mean_nll(self.trainer.step(examples));
        }
        sum / order.len().div_ceil(BATCH) as f64
    }

    /// The pairs told in both directions, as queries of one of them.
    pub fn told_both_ways(&self) -> &[Query] {
        self.group(retrodict_facts::Role::Forward).map_or(&[], |group| &group.queries)
    }

    /// The pairs told in one direction, as queries of that direction and of the other; the i-th
    /// queries are of one pair.
    pub fn told_one_way(&self) -> [&[Query]; 2] {
        let groups = self.dataset.seen_and_unseen();
        groups.map_or([&[], &[]], |groups| groups.map(|group| group.queries.as_slice()))
    }

    /// How both directions of the pairs told in one stand.
    pub fn measures(&mut self) -> Measures {
        let Some(groups) = self.dataset.seen_and_unseen() else { return Measures::default() };
        let trainer = &mut self.trainer;
        let [taught, reversed] = groups.map(|group| {
            let sentences: Vec<_> = group.queries.iter().map(Query::sentence).collect();
            let scores = trainer.evaluate(&sentences);
            let nll = mean_nll(scores);
            let right = scores.iter().filter(|score| score.top1).count();
            let weights = measure(group, Context::SingleToken, |c| trainer.logits_after(c));
            Standing { nll, right, margin: weights.and_then(|weights| weights.margin()) }
        });
        Measures { taught, reversed }
    }

    /// The effective weights between the names of the pairs told in one direction, row-major
    /// `[name, candidate]`: the names that begin their sentences, then those that answer them.
    pub fn weights(&mut self) -> Vec<f32> {
        let [taught, _] = self.told_one_way();
        let names: Vec<u32> = taught.iter().map(|q| q.source[0]).collect();
        let names: Vec<u32> = names.into_iter().chain(taught.iter().map(|q| q.answer[0])).collect();
        let contexts: Vec<_> = names.iter().map(|&name| vec![name]).collect();
        let logits = self.trainer.next_token_logits(&contexts);
        let row = |row: &Vec<f32>| names.iter().map(|&name| row[name as usize]).collect::<Vec<_>>();
        logits.iter().flat_map(row).collect()
    }

    /// The logits of the whole vocabulary after a question.
    pub fn answers(&mut self, query: &Query) -> Vec<f32> {
        self.trainer.next_token_logits(&[query.question().context]).remove(0)
    }

    /// Every parameter, in the order of the model.
    pub fn parameters(&self) -> Vec<f32> {
        self.trainer.parameters().iter().flat_map(|(_, values)| values.iter().copied()).collect()
    }

    fn group(&self, role: retrodict_facts::Role) -> Option<&Group> {
        self.dataset.group_of(role)
    }
}

fn mean_nll(scores: &[SentenceScore]) -> f64 {
    scores.iter().map(|score| score.nll).sum::<f64>() / scores.len() as f64
}
