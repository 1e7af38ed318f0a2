//! Settings as lines of text: TOML to be read again, and the lines that a hash is taken over.

use std::collections::HashMap;

use crate::key::path;
use crate::{Key, Options, Setting};

/// A key with its value in TOML.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The key's section; empty above the first section.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// Its value, in TOML.
    pub value: String,
    /// Whether it applies under the settings that are written; only then it stands in a spec.
    pub applies: bool,
    /// Whether it is part of the hash.
    pub hashed: bool,
    /// Whether the value is the default.
    pub default: bool,
    /// Whether the program wrote it, not the user.
    pub hidden: bool,
}

impl Line {
    /// `section.key`.
    pub fn path(&self) -> String {
        path(self.section, self.key)
    }

    /// `section.key=value`.
    pub fn canonical(&self) -> String {
        format!("{}={}", self.path(), self.value)
    }
}

/// Gathers the lines of some settings.
#[derive(Debug, Default)]
pub struct Writer {
    /// The lines so far.
    pub lines: Vec<Line>,
    values: HashMap<String, String>,
}

impl Writer {
    /// A key with its value.
    pub fn put<S: Setting>(
        &mut self,
        (section, key): (&'static str, &'static str),
        value: &S,
        default: &S,
        options: Options,
    ) {
        let applies = options.when.is_none_or(|condition| {
            condition.holds(self.values.get(condition.key).map(String::as_str))
        });
        let Some(text) = value.text().filter(|_| !options.fixed) else { return };
        let default = value == default;
        let hashed =
            (applies || options.hashed) && !(options.later && default) && !options.unhashed;
        self.values.insert(path(section, key), text.trim_matches('"').to_owned());
        if let Some(revision) = value.revision().filter(|_| hashed) {
            self.put_hash_only(section, key, &format!("{text} revision {revision}"));
        }
        let hidden = options.hidden;
        self.lines.push(Line { section, key, value: text, applies, hashed, default, hidden });
    }

    /// The word of a choice.
    pub fn put_word(
        &mut self,
        (section, key): (&'static str, &'static str),
        word: &'static str,
        default: &'static str,
        later: bool,
    ) {
        let default = word == default;
        let (value, hashed) = (format!("\"{word}\""), !(later && default));
        self.values.insert(path(section, key), word.to_owned());
        self.lines.push(Line {
            section,
            key,
            value,
            applies: true,
            hashed,
            default,
            hidden: false,
        });
    }

    /// A line of the hash alone: a key that does not apply, as early versions hashed it, or a
    /// revision.
    pub fn put_hash_only(&mut self, section: &'static str, key: &'static str, value: &str) {
        let (value, hashed) = (value.to_owned(), true);
        let (applies, default, hidden) = (false, true, false);
        self.lines.push(Line { section, key, value, applies, hashed, default, hidden });
    }

    /// The lines that apply, as TOML.
    pub fn toml(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for line in self.lines.iter().filter(|line| line.applies) {
            if line.section != section {
                section = line.section;
                text.push_str(&format!("[{section}]\n"));
            }
            text.push_str(&format!("{} = {}\n", line.key, line.value));
        }
        text
    }
}

impl Key {
    /// Whether every condition of this description holds for these lines.
    pub fn applies_to(&self, lines: &[Line]) -> bool {
        self.when.iter().all(|condition| {
            let line = lines.iter().find(|line| line.applies && line.path() == condition.key);
            condition.holds(line.map(|line| line.value.trim_matches('"')))
        })
    }
}
