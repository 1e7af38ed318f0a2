//! The names that an experiment may have, and the names of its files: a folder of the run store,
//! anchors and figures of the report.

use sha2::{Digest as _, Sha256};
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

/// Separates the name from the digest in [`folder`]; no experiment's name has it.
const DIGEST_MARK: char = '~';

/// The folder of the experiment `name` in a run store. Names that some file system takes for one
/// another (`A` and `a`, the composed and the decomposed `Ä`, `a` and `a.`) have different folders:
/// a name that has only lower-case ASCII letters and does not end in a dot is its own folder, any
/// other is followed by a digest.
pub fn folder(name: &str) -> String {
    let same_everywhere = |c: char| c.is_ascii() && !c.is_ascii_uppercase();
    if name.chars().all(same_everywhere) && !name.ends_with('.') {
        return name.to_owned();
    }
    format!("{name}{DIGEST_MARK}{}", digest(name))
}

/// The experiment whose folder is called `folder`: the inverse of [`folder`]. Stores of early
/// versions have every name without a digest. `None` if no experiment has such a folder.
pub fn of_folder(folder: &str) -> Option<&str> {
    let name = match folder.split_once(DIGEST_MARK) {
        Some((name, written)) => Some(name).filter(|name| digest(name) == written)?,
        None => folder,
    };
    check_name(name).is_ok().then_some(name)
}

/// A text of lower-case ASCII letters, digits, `-` and `_` that names files and anchors of the
/// experiment `name`, to be followed by `suffix`. Different names have different ones: where
/// characters had to be replaced, a digest follows.
pub fn slug(name: &str, suffix: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let replaced: String = (name.chars())
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if plain(c) { c } else { '-' })
        .collect();
    if replaced == name {
        return format!("{replaced}-{suffix}");
    }
    format!("{replaced}-{suffix}-{}", digest(name))
}

/// Eight hexadecimal digits that tell names apart.
fn digest(name: &str) -> String {
    Sha256::digest(name).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
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
    use std::collections::HashSet;

    use super::*;

    /// Names that a file system, or the characters of an anchor, would take for one another.
    const ALIKE: [&[&str]; 5] = [
        &["Ä", "Ö", "ä", "É", "日本", "本日"],
        &["a b", "a-b", "a.b", "a+b", "A-b", "a,b"],
        &["lr=0.1", "lr 0.1", "lr-0-1", "lr=0-1", "LR=0.1"],
        &["a", "a.", "A"],
        &["straße", "STRASSE", "strasse"],
    ];

    #[test]
    fn different_names_have_different_folders_and_slugs() {
        for names in ALIKE {
            // Case and trailing dots are lost on some file systems, and accents may be composed
            // or not: what is left are the plain characters.
            let lossy = |folder: &str| {
                let folder = folder.trim_end_matches('.').to_lowercase();
                folder.chars().filter(char::is_ascii).collect::<String>()
            };
            let folders: HashSet<_> = names.iter().map(|name| lossy(&folder(name))).collect();
            assert_eq!(folders.len(), names.len(), "{folders:?}");
            let slugs: HashSet<_> = names.iter().map(|name| slug(name, "0123abcd")).collect();
            assert_eq!(slugs.len(), names.len(), "{slugs:?}");
            for name in names {
                assert_eq!(of_folder(&folder(name)), Some(*name));
                assert_eq!(of_folder(name), Some(*name), "as early versions wrote it");
            }
        }
        assert_eq!(of_folder("Ä~00000000"), None);
        assert_eq!(of_folder(".hidden"), None);
        // The paths of the ready specs stay.
        assert_eq!(folder("reversal-quick"), "reversal-quick");
        assert_eq!(slug("reversal-quick", "0123abcd"), "reversal-quick-0123abcd");
        assert!(folder(&"Ä".repeat(LONGEST_NAME / 2)).len() <= 255);
    }

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
