//! The stamp of a file: which run it belongs to, and which program wrote it.

use std::path::Path;

use retrodict_engine::Isa;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use crate::spec::{Keyword as _, Precision, SpecHash};

/// The run that a file belongs to, and the program that wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// The spec's hash, 16 hexadecimal digits.
    pub spec_hash: String,
    /// The run's seed.
    pub seed: u64,
    /// `f32`, `bf16` or `f64`.
    pub precision: String,
    /// The instruction set of the kernels.
    pub isa: String,
    /// Version of the program.
    pub version: String,
    /// Commit of the build, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

impl Stamp {
    /// The stamp of what this process writes for a run.
    pub fn here(hash: SpecHash, seed: u64, precision: Precision) -> Stamp {
        Stamp {
            spec_hash: hash.to_string(),
            seed,
            precision: precision.word().to_owned(),
            isa: Isa::detect().to_string(),
            version: crate::VERSION.to_owned(),
            commit: crate::COMMIT.map(str::to_owned),
        }
    }

    /// The program, in words.
    pub fn program(&self) -> String {
        let commit = self.commit.as_ref().map_or(String::new(), |commit| format!(" ({commit})"));
        format!("version {}{commit} with {}", self.version, self.isa)
    }

    /// Whether the same program with the same instruction set wrote it: only then a run that goes
    /// from one to the other has the bits of either.
    pub fn same_program(&self, other: &Stamp) -> bool {
        (&self.isa, &self.version, &self.commit) == (&other.isa, &other.version, &other.commit)
    }
}

/// Refuses a file of another run than the one with this hash and seed.
///
/// # Errors
/// [`StoreError::Foreign`], which names both.
pub(super) fn check_owner(
    path: &Path,
    (hash, seed): (&str, u64),
    wanted: (SpecHash, u64),
) -> Result<(), StoreError> {
    let (wanted_hash, wanted_seed) = (wanted.0.to_string(), wanted.1);
    let what = match (hash == wanted_hash, seed == wanted_seed) {
        (true, true) => return Ok(()),
        (true, false) => format!("seed {seed}, not to seed {wanted_seed}"),
        (false, _) => {
            format!("spec {hash} seed {seed}, not to spec {wanted_hash} seed {wanted_seed}")
        }
    };
    Err(StoreError::Foreign { path: path.to_owned(), what })
}
