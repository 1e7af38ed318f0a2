//! Figures of the user's own, in the format of the shipped ones.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{PaperError, PaperFigure, Variant, all, complete};
use crate::missing::{Required, lacking};
use crate::report::Part;
use crate::theory;

/// A figure to begin with, with a comment on every field.
pub const EXAMPLE: &str = include_str!("../../paper/example.toml");

/// The source of a figure that names none.
pub(crate) const SOURCE: &str = "your own figure";

const REQUIRED: [Required; 6] = [
    Required { path: "", fields: &["name", "title", "drawings"] },
    Required { path: "variants", fields: &["id", "label", "base"] },
    Required { path: "sweeps", fields: &["id", "base", "over"] },
    Required { path: "drawings", fields: &["kind"] },
    Required { path: "drawings.over", fields: &["sweep", "x", "x_label", "y_label", "measures"] },
    Required { path: "claims", fields: &["id", "claim", "refuted_by", "measure", "is", "than"] },
];

/// The figure in a file.
///
/// # Errors
/// [`PaperError`] if it cannot be read, or is no figure.
pub(super) fn load(path: &Path) -> Result<&'static PaperFigure, PaperError> {
    let origin = path.display().to_string();
    let read = fs::read_to_string(path);
    let text = read.map_err(|source| PaperError::Read { origin: origin.clone(), source })?;
    parse(&text, &origin)
}

/// The figure in a text. Each is kept as long as the process runs: there are few.
///
/// # Errors
/// As [`load`].
pub(crate) fn parse(text: &str, origin: &str) -> Result<&'static PaperFigure, PaperError> {
    static READ: Mutex<Option<HashMap<String, &'static PaperFigure>>> = Mutex::new(None);
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let read = read.get_or_insert_with(HashMap::new);
    if let Some(known) = read.get(text) {
        return Ok(known);
    }
    let wrong = |problem: String| PaperError::Figure { problem };
    let mut figure: PaperFigure = toml::from_str(text).map_err(|error| {
        let lacking = lacking(&error, text, origin, &REQUIRED);
        wrong(lacking.unwrap_or_else(|| format!("{origin}: {}", error.to_string().trim_end())))
    })?;
    figure.text = text.to_owned();
    if figure.source.is_empty() {
        SOURCE.clone_into(&mut figure.source);
    }
    let known: Vec<(String, Vec<Variant>)> =
        all().iter().map(|figure| (figure.name.clone(), figure.variants.clone())).collect();
    complete(&mut figure, &known).map_err(|from| {
        wrong(format!("{origin}: `share` names `{from}`; no figure has such a variant"))
    })?;
    check(&figure).map_err(|problem| wrong(format!("{origin}: {problem}")))?;
    let figure: &'static PaperFigure = Box::leak(Box::new(figure));
    read.insert(text.to_owned(), figure);
    Ok(figure)
}

impl PaperFigure {
    /// The part of the page that shows it.
    pub(crate) fn part(&self) -> Part {
        match self.source.as_str() {
            _ if !self.text.is_empty() => Part::Own,
            source if source.starts_with("paper, ") => Part::Paper,
            _ => Part::Ours,
        }
    }
}

/// Checks what the format itself does not.
fn check(figure: &PaperFigure) -> Result<(), String> {
    let name = &figure.name;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        let right = "lower-case letters, digits, `-` and `_`: files are named after it";
        return Err(format!("`name` is {name:?}; it must be of {right}"));
    }
    let shipped = all().iter().map(|figure| figure.name.as_str());
    if shipped.chain(theory::ALL.iter().map(|figure| figure.name)).any(|other| other == name) {
        return Err(format!(
            "`name` is {name:?}, as that of a figure of the program; choose another"
        ));
    }
    if figure.opening.is_some() {
        return Err("`opening` is for the figures of the program; remove it".to_owned());
    }
    if figure.variants.is_empty() {
        return Err("it has no experiments; add [[variants]] or [[sweeps]]".to_owned());
    }
    let drawn = figure.drawings.iter().flat_map(|drawing| drawing.variants.iter().flatten());
    let claimed = figure.claims.iter().flat_map(|claim| claim.variants.iter().flatten());
    for id in drawn.chain(claimed) {
        if !figure.variants.iter().any(|variant| variant.id == *id) {
            let ids: Vec<&str> = figure.variants.iter().map(|v| v.id.as_str()).collect();
            return Err(format!("there is no variant `{id}`; there are {}", ids.join(", ")));
        }
    }
    for over in figure.drawings.iter().filter_map(|drawing| drawing.over.as_ref()) {
        if !figure.sweeps.iter().any(|sweep| sweep.id == over.sweep) {
            return Err(format!(
                "a drawing is over the sweep `{}`, which is not there",
                over.sweep
            ));
        }
    }
    Ok(())
}
