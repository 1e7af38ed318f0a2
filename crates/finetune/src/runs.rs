//! The files of finished runs: one a condition and seed, written whole.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use retrodict_lab::store::{StoreError, atomic};
use serde_json::Value;

use crate::{Condition, FinetuneError, Key, RunResult};

/// The name of the model as it is in its file.
pub(crate) const BEFORE: &str = "before";

/// A folder of finished runs of a study.
#[derive(Debug, Clone)]
pub struct Runs {
    folder: PathBuf,
}

impl Runs {
    /// The runs in the folder `runs` of `out`, which is made if it is missing.
    ///
    /// # Errors
    /// [`FinetuneError::Store`] if it cannot be made.
    pub fn open(out: &Path) -> Result<Self, FinetuneError> {
        let folder = out.join("runs");
        std::fs::create_dir_all(&folder).map_err(|source| StoreError::Io {
            doing: "make",
            path: folder.clone(),
            source,
        })?;
        Ok(Self { folder })
    }

    fn path(&self, condition: Option<&Condition>, seed: u32) -> PathBuf {
        let stem = condition.map_or(BEFORE.to_owned(), Condition::file_stem);
        self.folder.join(format!("{stem}-{seed}.json"))
    }

    /// A finished run; `None` if it is not there. Without a condition, of the model as it is in its
    /// file.
    ///
    /// # Errors
    /// [`FinetuneError::Foreign`] if it is of another study, [`FinetuneError::Damaged`].
    pub fn read(
        &self,
        key: &Key,
        condition: Option<&Condition>,
        seed: u32,
    ) -> Result<Option<RunResult>, FinetuneError> {
        let file = self.path(condition, seed);
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(StoreError::Io { doing: "read", path: file, source }.into());
            }
        };
        let result: RunResult = serde_json::from_slice(&bytes).map_err(|error| {
            FinetuneError::Damaged { file: file.clone(), problem: error.to_string() }
        })?;
        let name = condition.map_or(BEFORE.to_owned(), Condition::name);
        let other = (result.condition != name)
            .then(|| format!("condition {}, not {name}", result.condition))
            .or_else(|| difference(&result.key, key));
        match other {
            Some(difference) => Err(FinetuneError::Foreign { file, difference }),
            None => Ok(Some(result)),
        }
    }

    /// Keeps a finished run.
    ///
    /// # Errors
    /// [`FinetuneError::Store`] if it cannot be written.
    pub fn write(
        &self,
        result: &RunResult,
        condition: Option<&Condition>,
    ) -> Result<(), FinetuneError> {
        let file = self.path(condition, result.seed);
        let mut text = serde_json::to_vec(result).map_err(|error| StoreError::Io {
            doing: "write",
            path: file.clone(),
            source: error.into(),
        })?;
        text.push(b'\n');
        Ok(atomic::write(&file, &text)?)
    }
}

/// The first part in which two keys differ, with its values; of digests the beginnings.
fn difference(old: &Key, new: &Key) -> Option<String> {
    let [Ok(Value::Object(old)), Ok(Value::Object(new))] = [old, new].map(serde_json::to_value)
    else {
        return None;
    };
    let shown = |value: &Value| -> String {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.chars().take(12).collect()
    };
    let (name, value) = new.iter().find(|(name, value)| old.get(*name) != Some(*value))?;
    let before = old.get(name).map_or_else(|| "nothing".to_owned(), shown);
    Some(format!("{} {before}, not {}", name.replace('_', " "), shown(value)))
}
