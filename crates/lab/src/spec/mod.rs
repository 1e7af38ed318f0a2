//! The spec of an experiment, read from TOML; a wrong one is refused with one clear message.
//!
//! ```
//! use retrodict_lab::spec::Spec;
//!
//! let spec = Spec::parse("[data]\nkind = \"chain\"", "mine.toml")?;
//! assert_eq!(spec.name, "mine");
//! assert_eq!(spec.train.epochs, 150);
//!
//! let error = Spec::parse_with("data.kind = \"chain\"", "mine.toml", &[("model.layer", "4")]);
//! assert_eq!(
//!     error.unwrap_err().to_string(),
//!     "--set model.layer=4: unknown key `model.layer`; did you mean `model.layers`?"
//! );
//! # Ok::<(), retrodict_lab::spec::SpecError>(())
//! ```

pub(crate) mod document;
mod documentation;
mod facts_file;
mod general;
mod hash;
mod ready;
mod seeds;
mod settings;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::LazyLock;

pub use retrodict_engine::Rule;
pub use retrodict_models::{ModelSettings, ObjectiveSettings};
use retrodict_settings::{Entry, Key, Located, Reader, Settings as _, keys_of, settings};

pub use documentation::{commented, reference};
pub use general::Precision;
pub use hash::{NotAHash, SpecHash};
pub use ready::{READY, UnknownReady, ready};
pub use retrodict_settings::{Keyword, Line, Location, Problem, SpecError};
pub use seeds::{LARGEST_SEED, MOST_SEEDS, SeedsError, parse_seeds};
pub use settings::{BatchSize, CheckpointSettings, DataSettings, ProbeSettings, TrainSettings};

use general::General;

/// The largest spec file that is read, in bytes.
const LARGEST_FILE: u64 = 1 << 20;

/// Where a spec is read that may have no sweep.
const NO_SWEEP: &str =
    "`[sweep]` makes many specs of one, which `retrodict run` alone takes; leave it out here";

/// An experiment, every default filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The experiment's name, a folder of the run store; the file's stem where it is not given.
    pub name: String,
    /// The seeds it is run with; none twice.
    pub seeds: Vec<u64>,
    /// The number format of training.
    pub precision: Precision,
    /// The sentences.
    pub data: DataSettings,
    /// The model.
    pub model: ModelSettings,
    /// The training.
    pub train: TrainSettings,
    /// The objective.
    pub objective: ObjectiveSettings,
    /// The measurements during training.
    pub probe: ProbeSettings,
    /// The models that are kept.
    pub checkpoint: CheckpointSettings,
}

settings! {
    /// All keys of a spec, section by section.
    struct Keys in "" {
        general: General;
        data: DataSettings;
        model: ModelSettings;
        train: TrainSettings;
        objective: ObjectiveSettings;
        probe: ProbeSettings;
        checkpoint: CheckpointSettings;
    }
}

/// The description of every key.
static KEYS: LazyLock<Vec<Key>> = LazyLock::new(keys_of::<Keys>);

/// The description of every key, in the order in which they are written; a key that several
/// variants of a choice declare has as many.
pub fn keys() -> &'static [Key] {
    &KEYS
}

impl Spec {
    /// The spec that `text` holds. `origin` is the file's name as the user gave it: it
    /// begins every message, and its stem names an experiment without a name.
    ///
    /// # Errors
    /// [`SpecError`] is the first problem in the text.
    pub fn parse(text: &str, origin: &str) -> Result<Self, SpecError> {
        Self::parse_with(text, origin, &[])
    }

    /// [`Spec::parse`] with single keys overridden, in order: `("model.layers", "2")`. A value is
    /// read as TOML, or else as a bare string.
    ///
    /// # Errors
    /// As [`Spec::parse`].
    pub fn parse_with(
        text: &str,
        origin: &str,
        overrides: &[(&str, &str)],
    ) -> Result<Self, SpecError> {
        Self::read(text, origin, overrides, false)
    }

    /// [`Spec::parse`] of a stored spec: keys without effect, which early versions wrote, are
    /// ignored.
    ///
    /// # Errors
    /// As [`Spec::parse`].
    pub fn parse_stored(text: &str, origin: &str) -> Result<Self, SpecError> {
        Self::read(text, origin, &[], true)
    }

    fn read(
        text: &str,
        origin: &str,
        overrides: &[(&str, &str)],
        lenient: bool,
    ) -> Result<Self, SpecError> {
        let mut document = document::read(text, origin, keys())?;
        if let Some((position, _)) = document.sweep {
            let at = document::line_of(text, origin, position);
            let error = SpecError::new(at, Problem::Other(NO_SWEEP.to_owned()));
            document.found.push(Located { position, error });
        }
        for (index, pair) in overrides.iter().enumerate() {
            let entry = document::read_override(*pair, text.len() + index, keys())?;
            document::set(&mut document.entries, entry);
        }
        Self::resolve(document.entries, document.found, origin, lenient)
    }

    /// The spec of these entries; `found` are the problems met before.
    pub(crate) fn resolve(
        mut entries: Vec<Entry>,
        found: Vec<Located>,
        origin: &str,
        lenient: bool,
    ) -> Result<Self, SpecError> {
        entries.sort_by_key(|entry| entry.place.position);
        let mut reader = Reader::new(entries, found, origin, keys());
        if lenient {
            reader = reader.lenient();
        }
        let Keys { general, mut data, model, train, objective, mut probe, mut checkpoint } =
            Keys::read(&mut reader);
        // A stored spec holds its facts: the file may have changed since, or be gone.
        if !lenient {
            facts_file::load(&mut data.kind, origin, &mut reader);
        }
        let name = general::name_or_stem(general.name, origin, &mut reader);
        reader.finish()?;
        // 0 means never, as does leaving it out.
        for every in [&mut probe.every, &mut checkpoint.every] {
            *every = every.filter(|epochs| *epochs > 0);
        }
        let (seeds, precision) = (general.seeds.0, general.precision);
        Ok(Spec { name, seeds, precision, data, model, train, objective, probe, checkpoint })
    }

    /// [`Spec::parse_with`] on a file.
    ///
    /// # Errors
    /// As [`Spec::parse`], and if the file cannot be read.
    pub fn load(path: &Path, overrides: &[(&str, &str)]) -> Result<Self, SpecError> {
        Self::parse_with(&read_file(path)?, &path.display().to_string(), overrides)
    }

    /// A short name for everything that determines the numbers: `[data]`, `[model]`, `[train]`,
    /// `[objective]`, `[probe]` and the precision, all defaults filled in. The name, the seeds and
    /// `[checkpoint]` do not count, nor does how the spec is written.
    pub fn hash(&self) -> SpecHash {
        SpecHash::of(self)
    }

    /// The lines that [`hash`](Spec::hash) is taken over.
    pub fn hashed_lines(&self) -> Vec<String> {
        hash::lines(self)
    }

    /// Every key that applies, with its value in TOML, but for what the program wrote.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = self.write().lines;
        lines.retain(|line| line.applies && !line.hidden);
        lines
    }

    /// Turns off probes and models during and after training, unless their keys are `given`:
    /// hundreds of short runs do not need them.
    pub fn keep_little(&mut self, given: impl Fn(&str) -> bool) {
        if !given("probe.every") {
            self.probe.every = None;
        }
        if !given("checkpoint.every") {
            self.checkpoint.every = None;
        }
        if !given("checkpoint.last") {
            self.checkpoint.last = false;
        }
    }

    /// The whole resolved spec as TOML: it reads back to an equal spec.
    pub fn to_toml(&self) -> String {
        self.write().toml()
    }

    fn write(&self) -> retrodict_settings::Writer {
        let mut writer = retrodict_settings::Writer::default();
        let keys = Keys {
            general: General::of(self),
            data: self.data.clone(),
            model: self.model.clone(),
            train: self.train.clone(),
            objective: self.objective.clone(),
            probe: self.probe.clone(),
            checkpoint: self.checkpoint.clone(),
        };
        keys.write(&mut writer);
        writer
    }
}

/// The text of a spec's file.
///
/// # Errors
/// [`SpecError`] if it cannot be read, or is no text of a spec's size.
pub fn read_file(path: &Path) -> Result<String, SpecError> {
    let refuse = |problem| {
        let origin = path.display().to_string();
        SpecError::new(Location::Spec { origin }, problem)
    };
    let read = || {
        let mut text = Vec::new();
        let file = File::open(path)?;
        // One byte more than allowed, so that an endless pipe counts as too large.
        file.take(LARGEST_FILE + 1).read_to_end(&mut text)?;
        Ok(text)
    };
    let bytes = read().map_err(|error| refuse(Problem::Read(error)))?;
    if bytes.len() as u64 > LARGEST_FILE {
        let limit = LARGEST_FILE;
        return Err(refuse(Problem::TooLarge { limit }));
    }
    String::from_utf8(bytes)
        .map_err(|_| refuse(Problem::Syntax("the file is not UTF-8 text".to_owned())))
}
