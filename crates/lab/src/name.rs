//! The names that an experiment may have: a name becomes a folder of the run store.

use thiserror::Error;

/// The longest experiment name in bytes; file systems allow 255 for a folder.
pub const LONGEST_NAME: usize = 100;

/// Why a text cannot name an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Empty.
    #[error("an experiment's name cannot be empty")]
    Empty,
    /// Longer than [`LONGEST_NAME`].
    #[error("an experiment's name has at most {LONGEST_NAME} bytes, this one has {bytes}")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A leading dot hides the folder, or climbs out of the store; a leading
    /// dash looks like an option to other tools.
    #[error("`{name}` cannot name an experiment: it begins with `{first}`")]
    BadStart {
        /// The name as given.
        name: String,
        /// Its first character.
        first: char,
    },
    /// Windows opens a device under this name, in any case and with any extension.
    #[error(
        "`{name}` cannot name an experiment: Windows keeps `{device}` for a device; \
         `{device}-run` would do"
    )]
    Device {
        /// The name as given.
        name: String,
        /// Its part before the first dot.
        device: String,
    },
    /// A character other than letters, digits and `- _ . + = ,` (spaces only inside).
    #[error(
        "`{shown}` cannot name an experiment: it has {bad:?}; \
         use letters, digits and - _ . + = , with spaces only inside"
    )]
    BadCharacter {
        /// The name, control characters escaped.
        shown: String,
        /// The first character that is not allowed.
        bad: char,
    },
}

/// Whether `name` can name an experiment, and so a folder on every file system.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let (Some(first), Some(last)) = (name.chars().next(), name.chars().next_back()) else {
        return Err(NameError::Empty);
    };
    if name.len() > LONGEST_NAME {
        return Err(NameError::TooLong { bytes: name.len() });
    }
    if let Some(bad) = name.chars().find(|c| !is_allowed(*c)) {
        return Err(NameError::BadCharacter { shown: name.escape_debug().to_string(), bad });
    }
    if matches!(first, '.' | '-') {
        return Err(NameError::BadStart { name: name.to_owned(), first });
    }
    for end in [first, last] {
        if end == ' ' {
            return Err(NameError::BadCharacter { shown: name.to_owned(), bad: end });
        }
    }
    let device = name.split('.').next().unwrap_or(name).trim_end();
    if is_device(device) {
        return Err(NameError::Device { name: name.to_owned(), device: device.to_owned() });
    }
    Ok(())
}

fn is_device(stem: &str) -> bool {
    let stem = stem.to_ascii_uppercase();
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || port.is_some_and(|digit| {
            let mut digits = digit.chars();
            let one = digits.next().is_some_and(|c| matches!(c, '0'..='9' | '¹' | '²' | '³'));
            one && digits.next().is_none()
        })
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '=' | ',' | ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names_pass_and_everything_that_climbs_or_hides_is_refused() {
        for good in [
            "reversal-quick",
            "fig1",
            "lr=0.01,dim=20",
            "zwei Köpfe",
            "a.b",
            "console",
            "con-run",
            "com",
            "com10",
            "a.con",
        ] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "../a",
            "a\\b",
            "c:",
            "-rf",
            " a",
            "a ",
            "a\nb",
            "a\0",
            "a*",
            "\u{202e}a",
            "CON",
            "nul.toml",
            "Aux",
            "prn.a.b",
            "com1",
            "LPT9.txt",
            "COM²",
            "con .a",
        ] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(check_name(&"n".repeat(100)), Ok(()));
        assert_eq!(check_name(&"n".repeat(101)), Err(NameError::TooLong { bytes: 101 }));
    }
}
