//! Memory: what work needs, predicted before anything is allocated, and what is free.

mod free;
mod run;

use std::fmt;

use thiserror::Error;

pub use free::free;
pub use run::{Fit, RunBytes, fit};

/// Work that needs more memory than is free.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} needs {} of memory, and {} is free; {remedy}", Size(*.need), Size(*.have))]
pub struct MemoryError {
    /// The work, in words.
    pub what: String,
    /// Bytes needed.
    pub need: u64,
    /// Bytes free.
    pub have: u64,
    /// The keys or options to lower, in words.
    pub remedy: String,
}

/// Refuses work that needs more memory than is free. Passes where the system does not say how much
/// that is.
///
/// # Errors
/// [`MemoryError`] with both sizes and the remedy.
pub fn check(what: &str, need: u64, remedy: &str) -> Result<(), MemoryError> {
    let have = free().unwrap_or(u64::MAX);
    if need <= have {
        return Ok(());
    }
    Err(MemoryError { what: what.to_owned(), need, have, remedy: remedy.to_owned() })
}

/// The product of sizes; [`u64::MAX`] where it is larger than any memory.
pub fn product(sizes: &[usize]) -> u64 {
    sizes.iter().fold(1, |product: u64, &size| product.saturating_mul(size as u64))
}

/// Bytes in words: `3.2 GiB`.
#[derive(Debug, Clone, Copy)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut size, mut unit) = (self.0 as f64 / f64::from(1 << 20), "MiB");
        for larger in ["GiB", "TiB", "PiB"] {
            if size >= 1000.0 {
                (size, unit) = (size / 1024.0, larger);
            }
        }
        if self.0 == u64::MAX {
            return write!(f, "more than 16 EiB");
        }
        write!(f, "{size:.1} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_words_and_products_do_not_wrap() {
        assert_eq!(Size(3 << 20).to_string(), "3.0 MiB");
        assert_eq!(Size(2560 << 20).to_string(), "2.5 GiB");
        assert_eq!(Size(u64::MAX).to_string(), "more than 16 EiB");
        assert_eq!(product(&[usize::MAX, 2]), u64::MAX);
        let error = check("this", u64::MAX, "lower that").unwrap_err().to_string();
        assert!(error.starts_with("this needs more than 16 EiB of memory, and "), "{error}");
        assert!(error.ends_with(" is free; lower that"), "{error}");
    }
}
