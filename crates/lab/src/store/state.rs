//! `state.json` of a checkpoint: the state of training, to the bit.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::StoreError;
use super::stamp::Stamp;

/// The state of training at a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Steps taken.
    pub step: u64,
    /// Whole epochs done.
    pub epoch: u64,
    /// Batches done of the current epoch.
    pub batch: u64,
    /// Running sums over those batches, by name, bit for bit.
    #[serde(with = "exact")]
    pub sums: BTreeMap<String, f64>,
    /// Seconds of training so far.
    pub seconds: f64,
    /// The scalar that trains: `f32` or `f64`.
    pub precision: String,
    /// The run's seed.
    pub seed: u64,
    /// The spec's hash, 16 hexadecimal digits.
    pub spec_hash: String,
    /// Version of the program.
    pub version: String,
    /// Commit of the build, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The instruction set of the kernels; early versions do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isa: Option<String>,
    /// Whether an interruption made the checkpoint, not the spec: it is removed when the run is
    /// complete.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
}

impl State {
    /// The stamp of the checkpoint.
    pub fn stamp(&self) -> Stamp {
        Stamp {
            spec_hash: self.spec_hash.clone(),
            seed: self.seed,
            precision: self.precision.clone(),
            isa: self.isa.clone().unwrap_or_else(|| "an unknown instruction set".to_owned()),
            version: self.version.clone(),
            commit: self.commit.clone(),
        }
    }
}

/// A state with the SHA-256 of every other file of the checkpoint and of itself.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    state: State,
    /// File name → SHA-256 in hexadecimal.
    files: BTreeMap<String, String>,
    /// SHA-256 of the two above as compact JSON.
    seal: String,
}

/// The bytes of `state.json` for a checkpoint with these `files`.
pub(crate) fn encode(
    path: &Path,
    state: &State,
    files: &[(&str, &[u8])],
) -> Result<Vec<u8>, StoreError> {
    let files: BTreeMap<_, _> =
        files.iter().map(|(name, bytes)| ((*name).to_owned(), digest(bytes))).collect();
    seal(state, &files)
        .and_then(|seal| {
            let state = state.clone();
            serde_json::to_vec_pretty(&Sealed { state, files, seal })
        })
        .map_err(|error| StoreError::unwritable(path, error))
}

/// The state in the bytes of `state.json`, and the SHA-256 of each other file.
pub(crate) fn decode(
    path: &Path,
    bytes: &[u8],
) -> Result<(State, BTreeMap<String, String>), StoreError> {
    let damaged = |error: serde_json::Error| StoreError::damaged(path, error);
    let sealed: Sealed = serde_json::from_slice(bytes).map_err(damaged)?;
    let is_sealed = seal(&sealed.state, &sealed.files).map_err(damaged)? == sealed.seal;
    // Other bytes with the same meaning are damage too.
    if !is_sealed || serde_json::to_vec_pretty(&sealed).map_err(damaged)? != bytes {
        let what = "its content is not what was written";
        return Err(StoreError::damaged(path, what));
    }
    Ok((sealed.state, sealed.files))
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn seal(state: &State, files: &BTreeMap<String, String>) -> serde_json::Result<String> {
    Ok(digest(&serde_json::to_vec(&(state, files))?))
}

/// Numbers that read back to the same bits; JSON has no NaN or infinity, so these are written as
/// their bits.
mod exact {
    use std::collections::BTreeMap;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Bits(String),
    }

    pub(super) fn serialize<S: Serializer>(
        sums: &BTreeMap<String, f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(sums.iter().map(|(name, sum)| {
            let number = match sum.is_finite() {
                true => Number::Finite(*sum),
                false => Number::Bits(format!("{:016x}", sum.to_bits())),
            };
            (name, number)
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, f64>, D::Error> {
        BTreeMap::<String, Number>::deserialize(deserializer)?
            .into_iter()
            .map(|(name, number)| match number {
                Number::Finite(sum) => Ok((name, sum)),
                Number::Bits(bits) => u64::from_str_radix(&bits, 16)
                    .map(|bits| (name, f64::from_bits(bits)))
                    .map_err(D::Error::custom),
            })
            .collect()
    }
}
