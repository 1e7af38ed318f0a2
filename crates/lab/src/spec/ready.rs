//! Specs that come with the program.

use thiserror::Error;

use retrodict_settings::nearest;

/// Writes the list of ready specs, each with its text.
macro_rules! ready {
    ($($name:literal)+) => {
        /// Every ready spec: its name and its text, with the keys that differ from the defaults.
        pub const READY: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../specs/", $name, ".toml")))),+];
    };
}

ready! {
    "reversal-quick"
    "reversal-paper"
    "chain-quick"
    "chain-paper"
    "icl-quick"
    "icl-paper"
    "related-quick"
    "related-paper"
    "relations-quick"
    "family-quick"
    "hops-quick"
    "biographies-quick"
    "one-to-many-quick"
}

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
