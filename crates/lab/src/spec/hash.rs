//! The spec hash: what decides the numbers of an experiment, in 64 bits.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::{Spec, write};

/// A spec's hash, shown and written as 16 hexadecimal digits.
///
/// Keys of later versions keep the hash of older specs: where one has the value
/// that was implied before (`write::Line::implied`), it is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpecHash(pub u64);

impl SpecHash {
    pub(crate) fn of(spec: &Spec) -> Self {
        let mut lines: Vec<_> = write::lines(spec)
            .iter()
            .filter(|line| !line.implied)
            .filter(|line| {
                matches!(line.section, "data" | "model" | "train" | "objective" | "probe")
                    || line.key == "precision"
            })
            .map(write::Line::canonical)
            .collect();
        // The order in which a spec happens to be written must not matter.
        lines.sort_unstable();
        let digest = Sha256::digest(lines.join("\n"));
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(u64::from_be_bytes(first))
    }
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
