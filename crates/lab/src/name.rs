//! What an experiment may be called: its name becomes a folder of the run store.

use thiserror::Error;

/// Longest experiment name, in bytes; file systems allow 255 for a folder.
pub const LONGEST_NAME: usize = 100;

/// Why a text cannot name an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing is left to call the folder.
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
        /// The name as it was.
        name: String,
        /// Its first character.
        first: char,
    },
    /// A character that is no letter, digit or one of `- _ . + = ,` (spaces only inside).
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
    Ok(())
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '=' | ',' | ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names_pass_and_everything_that_climbs_or_hides_is_refused() {
        for good in ["reversal-quick", "fig1", "lr=0.01,dim=20", "zwei Köpfe", "a.b"] {
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
        ] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(check_name(&"n".repeat(100)), Ok(()));
        assert_eq!(check_name(&"n".repeat(101)), Err(NameError::TooLong { bytes: 101 }));
    }
}
