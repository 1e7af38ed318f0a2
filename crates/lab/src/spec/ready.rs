//! Specs that come with the program, a comment on every key.

use thiserror::Error;

use retrodict_settings::nearest;

/// Every ready spec: its name and its text.
pub const READY: &[(&str, &str)] = &[
    ("reversal-quick", include_str!("../../specs/reversal-quick.toml")),
    ("reversal-paper", include_str!("../../specs/reversal-paper.toml")),
    ("chain-quick", include_str!("../../specs/chain-quick.toml")),
    ("chain-paper", include_str!("../../specs/chain-paper.toml")),
    ("icl-quick", include_str!("../../specs/icl-quick.toml")),
    ("icl-paper", include_str!("../../specs/icl-paper.toml")),
    ("related-quick", include_str!("../../specs/related-quick.toml")),
    ("related-paper", include_str!("../../specs/related-paper.toml")),
];

/// No ready spec has this name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no ready spec `{name}`; {hint}")]
pub struct UnknownReady {
    /// The name as it was.
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
        None => format!("there are {}", super::keys::join(names(), "and")),
    };
    Err(UnknownReady { name: name.to_owned(), hint })
}
