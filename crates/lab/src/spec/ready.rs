//! Specs that come with the program.

use std::sync::LazyLock;

use retrodict_facts::DataConfig;
use retrodict_settings::nearest;
use thiserror::Error;

/// Specs that come with the program: name, and the keys that differ from the defaults.
macro_rules! files {
    ($($name:literal)+) => {
        &[$(($name, include_str!(concat!("../../specs/", $name, ".toml")))),+]
    };
}

const FILES: &[(&str, &str)] = files! {
    "reversal-quick"
    "reversal-paper"
    "chain-quick"
    "chain-paper"
    "icl-quick"
    "icl-paper"
    "related-quick"
    "related-paper"
};

/// Every ready spec: its name and its text, with the keys that differ from the defaults. A kind of
/// data without a file of its own has one too, `KIND-quick`, with the probes of the others.
pub static READY: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let mut all = FILES.to_vec();
    // The kind `file` needs a file of the user's.
    for kind in DataConfig::WORDS.iter().filter(|kind| **kind != "file") {
        let name = format!("{kind}-quick");
        if !FILES.iter().any(|(known, _)| *known == name) {
            let about = DataConfig::about(kind);
            let text = format!(
                "# {about}\nname = \"{name}\"\n\n[data]\nkind = \"{kind}\"\n\n\
                 [probe]\nevery = 20\n\n[checkpoint]\nevery = 50\n"
            );
            // Once a process, and as long as it lives.
            all.push((name.leak(), text.leak()));
        }
    }
    all
});

/// No ready spec has this name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no ready spec `{name}`; {hint}")]
pub struct UnknownReady {
    /// The name as given.
    pub name: String,
    /// The nearest name, or all of them.
    pub hint: String,
}

/// The text of the ready spec `name`.
pub fn ready(name: &str) -> Result<&'static str, UnknownReady> {
    if let Some((_, text)) = READY.iter().find(|(known, _)| *known == name) {
        return Ok(text);
    }
    let names = || READY.iter().map(|(name, _)| *name);
    let hint = match nearest(name, names()) {
        Some(right) => format!("did you mean `{right}`?"),
        None => format!("there are {}", retrodict_settings::join(names(), "and")),
    };
    Err(UnknownReady { name: name.to_owned(), hint })
}
