//! The spec hash: 64 bits over all keys that determine the numbers of an experiment.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::Spec;

/// A spec's hash, shown and written as 16 hexadecimal digits.
///
/// Keys that later versions added are left out at their defaults, so that older specs keep their
/// hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpecHash(pub u64);

impl SpecHash {
    pub(crate) fn of(spec: &Spec) -> Self {
        let digest = Sha256::digest(lines(spec).join("\n"));
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(u64::from_be_bytes(first))
    }
}

/// The lines that the hash is taken over, sorted: the order of keys in a spec must not matter.
pub(super) fn lines(spec: &Spec) -> Vec<String> {
    let hashed = |line: &&retrodict_settings::Line| {
        line.hashed
            && (matches!(line.section, "data" | "model" | "train" | "objective" | "probe")
                || line.key == "precision")
    };
    let writer = spec.write();
    let lines = writer.lines.iter().filter(hashed);
    let mut lines: Vec<_> = lines.map(retrodict_settings::Line::canonical).collect();
    lines.sort_unstable();
    lines
}

impl fmt::Display for SpecHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for SpecHash {
    type Err = NotAHash;

    /// Exactly what [`SpecHash`] shows: 16 lower-case hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, NotAHash> {
        match u64::from_str_radix(text, 16) {
            Ok(bits) if Self(bits).to_string() == text => Ok(Self(bits)),
            _ => Err(NotAHash),
        }
    }
}

/// A text that is not 16 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a spec hash has 16 lower-case hexadecimal digits")]
pub struct NotAHash;
