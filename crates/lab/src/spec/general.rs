//! The keys above the first section.

use std::path::Path;

use retrodict_settings::{Problem, Reader, Refused, Setting, Value, keywords, settings};

use super::Spec;
use super::seeds::{self, parse_seeds};
use crate::name::check_name;

settings! {
    /// The keys above the first section.
    pub(super) struct General in "" {
        /// The experiment's name, a folder of the run store; the file's own name if left out.
        pub(super) name: Name = Name(None), ();
        /// The seeds: a count (seeds 0 to 9), a list ([1, 2, 7]) or a range ("5..8": 5, 6, 7).
        pub(super) seeds: Seeds = Seeds((0..10).collect()), ();
        /// Number format of training; bf16 rounds only the operands of matrix products.
        pub(super) precision: Precision = Precision::F32, ();
    }
}

keywords! {
    /// The number format of training.
    pub enum Precision {
        /// Single precision.
        F32 = "f32",
        /// Double precision: oracles and theory-grade runs.
        F64 = "f64",
        /// Single precision, but for the operands of matrix products: these are rounded to bf16.
        /// Weights, optimiser and checkpoints are those of [`Precision::F32`].
        Bf16 = "bf16",
    }
}

impl General {
    pub(super) fn of(spec: &Spec) -> Self {
        let (name, seeds) = (Name(Some(spec.name.clone())), Seeds(spec.seeds.clone()));
        Self { name, seeds, precision: spec.precision }
    }
}

/// An experiment's name, if it is given.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Name(Option<String>);

impl Setting for Name {
    type Range = ();

    fn parse(value: &Value, (): &()) -> Result<Self, Refused> {
        let Value::Text(name) = value else { return Err(Refused::Right(Self::right(&()))) };
        check_name(name).map_err(|error| Refused::Because(error.to_string()))?;
        Ok(Self(Some(name.clone())))
    }

    /// Names contain no character that TOML escapes.
    fn text(&self) -> Option<String> {
        self.0.as_ref().map(|name| format!("\"{name}\""))
    }

    fn right((): &()) -> String {
        "a text in quotes".to_owned()
    }
}

/// The given name, or the stem of the file's name.
pub(super) fn name_or_stem(name: Name, origin: &str, reader: &mut Reader) -> String {
    if let Name(Some(name)) = name {
        return name;
    }
    let stem = Path::new(origin).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if reader.place("", "name").is_none()
        && let Err(error) = check_name(&stem)
    {
        reader.refuse_whole(Problem::Other(format!(
            "{error}; give the experiment a name of its own: name = \"…\""
        )));
    }
    stem
}

/// The seeds of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seeds(pub(super) Vec<u64>);

impl Setting for Seeds {
    type Range = ();

    fn parse(value: &Value, (): &()) -> Result<Self, Refused> {
        let any = 0..=u64::MAX;
        let listed = match value {
            Value::Integer(_) => u64::parse(value, &any).ok().map(seeds::count),
            Value::Array(values) => {
                let values = values.iter().map(|value| u64::parse(value, &any).ok());
                values.collect::<Option<Vec<_>>>().map(seeds::check_list)
            }
            Value::Text(text) => Some(parse_seeds(text)),
            _ => None,
        };
        match listed {
            Some(Ok(seeds)) => Ok(Self(seeds)),
            Some(Err(error)) => Err(Refused::Because(error.to_string())),
            None => Err(Refused::Right(Self::right(&()))),
        }
    }

    fn text(&self) -> Option<String> {
        let counted = self.0.iter().copied().eq(0..self.0.len() as u64);
        Some(if counted { self.0.len().to_string() } else { format!("{:?}", self.0) })
    }

    fn right((): &()) -> String {
        "a count (10), a list ([1, 2, 7]) or a range (\"5..8\")".to_owned()
    }
}
