//! The look of figures in files: width, font, colours, from a TOML file.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use resvg::usvg::fontdb::Database;
use retrodict_lab::nearest;
use serde::Deserialize;
use thiserror::Error;
use toml::{Table, Value};

use crate::plot::drawing::File;
use crate::plot::heatmap::Colors;
use crate::plot::theme::{FONT_FAMILY, LABEL_SIZE, SERIES};
use crate::plot::{Canvas, Drawing, grid};
use crate::raster;

/// A style to begin with, with a comment on every key.
pub const EXAMPLE: &str = include_str!("../assets/style.toml");

/// The family in the program.
const BUILT_IN: &str = "Inter";
/// Points to a user unit, without a style: it is a CSS pixel.
const POINT: f64 = 0.75;
/// The margin around a figure of no given width, in user units.
const MARGIN: f64 = 14.0;
/// Around a figure of given width, whose margin is the document's: for the ends of long tick labels.
const EDGE: f64 = 4.0;
/// The height of a page, in points.
const PAGE: f64 = 648.0;
const WIDTHS: (f64, f64) = (120.0, 2000.0);
const SIZES: (f64, f64) = (4.0, 30.0);

/// A style that is refused.
#[derive(Debug, Error)]
#[error("{place}: {problem} (`retrodict spec style` prints an example)")]
pub struct StyleError {
    /// The file, with the line if it is known.
    place: String,
    problem: String,
}

/// The look of figures in files. The default is that of the program.
#[derive(Clone, Debug)]
pub struct Style {
    /// In points; as wide as the figure needs, if not given.
    width: Option<f64>,
    /// Points to a user unit.
    unit: f64,
    family: String,
    fonts: Arc<Database>,
    /// Rules that outrank the colours of marks.
    css: String,
    sequential: Colors,
    diverging: Colors,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            width: None,
            unit: POINT,
            family: FONT_FAMILY.to_owned(),
            fonts: raster::fonts(),
            css: String::new(),
            sequential: Colors::SEQUENTIAL,
            diverging: Colors::DIVERGING,
        }
    }
}

#[derive(Deserialize)]
struct StyleFile {
    width: Option<f64>,
    font: Option<Font>,
    font_size: Option<f64>,
    #[serde(default)]
    colors: StyleColors,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Font {
    One(String),
    Several(Vec<String>),
}

#[derive(Default, Deserialize)]
struct StyleColors {
    ink: Option<String>,
    soft: Option<String>,
    grid: Option<String>,
    train: Option<String>,
    held_out: Option<String>,
    #[serde(default)]
    series: Vec<String>,
    sequential: Option<Colors>,
    diverging: Option<Colors>,
}

const KEYS: [&str; 4] = ["width", "font", "font_size", "colors"];
const COLOR_KEYS: [&str; 8] =
    ["ink", "soft", "grid", "train", "held_out", "series", "sequential", "diverging"];

impl Style {
    /// The style in a file; fonts are looked for beside it.
    ///
    /// # Errors
    /// [`StyleError`] if the file or a font cannot be read, a key is unknown, or a value is wrong.
    pub fn load(path: &Path) -> Result<Style, StyleError> {
        let origin = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| StyleError {
            place: origin.clone(),
            problem: format!("cannot read the style: {error}"),
        })?;
        Self::parse(&text, &origin, path.parent().unwrap_or(Path::new("")))
    }

    /// The style in a text; fonts are looked for in `folder`.
    ///
    /// # Errors
    /// As [`Style::load`].
    pub fn parse(text: &str, origin: &str, folder: &Path) -> Result<Style, StyleError> {
        let refuse = |key: &str, problem: String| {
            let is_key = |line: &str| line.split('=').next().is_some_and(|k| k.trim() == key);
            let line = text.lines().position(is_key);
            let place = line.map_or(origin.to_owned(), |line| format!("{origin}:{}", line + 1));
            StyleError { place, problem }
        };
        let whole = |error: toml::de::Error| refuse("", error.to_string().trim_end().to_owned());
        let table: Table = toml::from_str(text).map_err(whole)?;
        for (section, known, keys) in [
            ("", &KEYS[..], Some(&table)),
            ("colors.", &COLOR_KEYS[..], table.get("colors").and_then(Value::as_table)),
        ] {
            let unknown = keys.into_iter().flat_map(Table::keys).find(|k| !known.contains(&&***k));
            if let Some(key) = unknown {
                let hint = match nearest(key, known.iter().copied()) {
                    Some(right) => format!("did you mean `{section}{right}`?"),
                    None => format!("there are {}", known.join(", ")),
                };
                return Err(refuse(key, format!("unknown key `{section}{key}`; {hint}")));
            }
        }
        let file: StyleFile = toml::from_str(text).map_err(whole)?;
        let between = |key: &str, value: Option<f64>, (low, high): (f64, f64)| match value {
            Some(value) if !(low..=high).contains(&value) => {
                let right = format!("it must be from {low} to {high} points");
                Err(refuse(key, format!("`{key}` is {value}; {right}")))
            }
            value => Ok(value),
        };
        let width = between("width", file.width, WIDTHS)?;
        let size = between("font_size", file.font_size, SIZES)?;
        let mut style = Style {
            width,
            unit: size.map_or(POINT, |size| size / LABEL_SIZE),
            css: css(&file.colors).map_err(|(key, problem)| refuse(key, problem))?,
            sequential: file.colors.sequential.unwrap_or(Colors::SEQUENTIAL),
            diverging: file.colors.diverging.unwrap_or(Colors::DIVERGING),
            ..Style::default()
        };
        let paths = match file.font {
            None => Vec::new(),
            Some(Font::One(name)) if name == BUILT_IN => Vec::new(),
            Some(Font::One(path)) => vec![path],
            Some(Font::Several(paths)) => paths,
        };
        if !paths.is_empty() {
            style.take_fonts(&paths, folder).map_err(|problem| refuse("font", problem))?;
        }
        Ok(style)
    }

    /// Text in the family of the first file; what it lacks is taken from the fonts of the program.
    fn take_fonts(&mut self, paths: &[String], folder: &Path) -> Result<(), String> {
        let mut fonts = Database::new();
        let mut family = None;
        for path in paths {
            let data = fs::read(folder.join(path)).map_err(|error| {
                format!("cannot read the font `{path}`: {error}; `{BUILT_IN}` needs no file")
            })?;
            let before = fonts.len();
            fonts.load_font_data(data);
            let face = fonts.faces().nth(before);
            let name = face.and_then(|face| Some(face.families.first()?.0.clone()));
            let name =
                name.ok_or(format!("`{path}` is no font; TrueType and OpenType are read"))?;
            family.get_or_insert(name);
        }
        // After them: of two fonts of one name the first is taken.
        raster::load_fonts(&mut fonts);
        let family = family.unwrap_or_default().replace(['\'', '"'], "");
        self.family = format!("'{family}', {FONT_FAMILY}");
        self.fonts = Arc::new(fonts);
        Ok(())
    }

    /// The room for a figure.
    pub(crate) fn canvas(&self) -> Canvas {
        Canvas {
            width: self.width.map(|width| width / self.unit - 2.0 * EDGE),
            page: PAGE / self.unit,
            sequential: self.sequential,
            diverging: self.diverging,
        }
    }

    /// A figure as an SVG file.
    pub(crate) fn file(&self, figure: Drawing, title: &str, description: &str) -> String {
        let sheet = match self.canvas().width {
            None => grid::margin(figure, MARGIN),
            Some(width) => {
                let width = width.max(figure.width) + 2.0 * EDGE;
                let mut sheet = Drawing::new(width, figure.height + 2.0 * EDGE);
                sheet.place((width - figure.width) / 2.0, EDGE, figure);
                sheet
            }
        };
        // Of what does not fit, text is smaller.
        let width = self.width.unwrap_or(sheet.width * self.unit);
        let scale = width / sheet.width;
        let size = (scale != POINT).then_some((width, sheet.height * scale));
        sheet.to_file(title, description, &File { size, family: &self.family, css: &self.css })
    }

    /// The fonts that text is drawn with.
    pub(crate) fn fonts(&self) -> &Arc<Database> {
        &self.fonts
    }
}

/// The rules for the colours given, or the key of a wrong one and its problem.
fn css(colors: &StyleColors) -> Result<String, (&'static str, String)> {
    let mut css = String::new();
    let mut rule = |key: &'static str, name: &str, color: &str| {
        let digits = color.strip_prefix('#').unwrap_or_default();
        if digits.len() != 6 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err((key, format!("`colors.{key}` has \"{color}\"; a colour is \"#0072b2\"")));
        }
        // Writing to a String cannot fail.
        let _ = write!(css, ".fill-{name}{{fill:{color}}}.stroke-{name}{{stroke:{color}}}");
        Ok(())
    };
    for (key, names, color) in [
        ("ink", &["ink"][..], &colors.ink),
        ("soft", &["soft"], &colors.soft),
        ("grid", &["grid"], &colors.grid),
        ("train", &["train"], &colors.train),
        ("held_out", &["held-out", "held-out-text"], &colors.held_out),
    ] {
        for (name, color) in names.iter().zip(color.iter().cycle()) {
            rule(key, name, color)?;
        }
    }
    if colors.series.len() > SERIES.len() {
        let (given, most) = (colors.series.len(), SERIES.len());
        return Err((
            "series",
            format!("`colors.series` has {given} colours; at most {most} are used"),
        ));
    }
    for (role, color) in SERIES.iter().zip(&colors.series) {
        rule("series", role.name, color)?;
    }
    Ok(css)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Style, String> {
        Style::parse(text, "s.toml", Path::new("")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_example_is_the_default_with_a_width() {
        let (style, default) = (parse(EXAMPLE).unwrap(), Style::default());
        assert_eq!((style.width, style.unit), (Some(397.0), default.unit));
        assert_eq!((style.sequential, style.diverging), (default.sequential, default.diverging));
        for color in SERIES {
            let rule = format!(".stroke-{}{{stroke:{}}}", color.name, color.light);
            assert!(style.css.contains(&rule), "{rule}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        for (text, message) in [
            ("font = \"Inter\"\nwidht = 3", "s.toml:2: unknown key `widht`; did you mean `width`?"),
            (
                "[colors]\nheldout = \"#000000\"",
                "s.toml:2: unknown key `colors.heldout`; did you mean `colors.held_out`?",
            ),
            ("width = 5", "s.toml:1: `width` is 5; it must be from 120 to 2000 points"),
            ("font_size = 99", "`font_size` is 99; it must be from 4 to 30 points"),
            (
                "[colors]\nink = \"red\"",
                "s.toml:2: `colors.ink` has \"red\"; a colour is \"#0072b2\"",
            ),
            ("[colors]\nsequential = \"jet\"", "expected one of `viridis`"),
            ("font = \"none.ttf\"", "s.toml:1: cannot read the font `none.ttf`"),
            ("font = \"Cargo.toml\"", "`Cargo.toml` is no font"),
            ("width = ", "s.toml: TOML parse error"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
