//! The description of a key, for messages and documentation.

use crate::{Condition, Settings};

/// A key as one declaration describes it. A key that several variants of a choice declare has as
/// many descriptions.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Its section; empty above the first section.
    pub section: &'static str,
    /// Its name within the section.
    pub name: &'static str,
    /// One line of documentation.
    pub doc: String,
    /// The values that it takes, such as `a whole number from 1 to 16`.
    pub right: String,
    /// The value where it is not given, in TOML; `None` where it is then left out.
    pub default: Option<String>,
    /// Whether the program writes it, not the user.
    pub hidden: bool,
    /// When it applies: all of these hold.
    pub when: Vec<Condition>,
}

impl Key {
    /// `section.name`, or the name alone above the first section.
    pub fn path(&self) -> String {
        path(self.section, self.name)
    }
}

/// `section.key`, or the key alone above the first section.
pub fn path(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// All keys of some settings, in the order in which they are written.
pub fn keys_of<S: Settings>() -> Vec<Key> {
    let mut keys = Vec::new();
    S::keys(&[], &mut keys);
    keys
}

/// A doc comment as one line: the compiler hands over each line with a leading space.
pub fn one_line(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}
