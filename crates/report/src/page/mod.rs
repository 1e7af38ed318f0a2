//! The self-contained HTML report: the result, the figures in the order of the paper, the claims.

mod views;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::Value;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

pub(crate) use views::PackedFile;

use crate::plot::theme;
use crate::report::Report;
use crate::{ReportError, raster};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// Runs before the page is laid out.
const HEAD_SCRIPT: &str = include_str!("head.js");
/// Films, copying and downloads.
const SCRIPT: &str = include_str!("page.js");

/// The page, complete in one file.
///
/// `thumbnails` are PNGs, one per figure in the order of the report; `files` are those that its
/// links download.
pub(crate) fn html(
    report: &Report,
    thumbnails: &[Vec<u8>],
    files: &[PackedFile],
) -> Result<String, ReportError> {
    filled(TEMPLATE, views::Page::of(report, thumbnails, files))
}

/// A template, filled in.
///
/// # Errors
/// [`ReportError::Page`] if it does not fit `view`.
pub(crate) fn filled(template: &str, view: impl Serialize) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Tags on their own lines leave no empty lines.
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    environment.set_syntax(syntax);
    environment.add_filter("marked", marked);
    environment.add_filter("indexed", indexed);
    // The extension turns escaping on.
    environment.add_template("page.html", template)?;
    let page = environment.get_template("page.html")?;
    Ok(page.render(Serde(view))?)
}

/// A text in HTML, what stands between backticks as code. A line does not break at
/// an arrow, a ± or before a %; `η_Y` has an index, `L^rev` a raised word.
fn marked(text: &str) -> Value {
    let text = unbroken(text).replace(" %", "\u{a0}%");
    let mut html = String::with_capacity(text.len());
    let mut in_code = false;
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        if let Some((tag, length)) = raised_or_lowered(rest, &html).filter(|_| !in_code) {
            let word = &rest[1..=length];
            html.push_str(&format!("<{tag}>{word}</{tag}>"));
            rest = &rest[1 + length..];
            continue;
        }
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '`' => {
                html.push_str(if in_code { "</code>" } else { "<code>" });
                in_code = !in_code;
            }
            c => html.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    if in_code {
        html.push_str("</code>");
    }
    Value::from_safe_string(html)
}

/// Whether `rest` begins with an exponent, or with an index of the single letter that ends `before`:
/// its element of HTML, and the length of its word.
fn raised_or_lowered(rest: &str, before: &str) -> Option<(&'static str, usize)> {
    let word = rest.get(1..)?.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').next()?;
    let word = word.trim_end_matches('.');
    let mut last = before.chars().rev();
    let lone = last.next().is_some_and(char::is_alphabetic)
        && !last.next().is_some_and(|c| c.is_alphanumeric() || c == '_');
    match rest.chars().next()? {
        _ if word.is_empty() => None,
        '^' => Some(("sup", word.len())),
        '_' if lone => Some(("sub", word.len())),
        _ => None,
    }
}

/// A text whose lines do not break at an arrow or a ±.
fn unbroken(text: &str) -> String {
    ["→", "←", "⇝", "↔", "±"].iter().fold(text.to_owned(), |text, sign| {
        text.replace(&format!(" {sign} "), &format!("\u{a0}{sign}\u{a0}"))
    })
}

/// A text of the notation with its indices as subscripts: `A_i` is Aᵢ.
fn indexed(text: &str) -> String {
    ["A", "B", "C"].iter().fold(unbroken(text), |text, entity| {
        text.replace(&format!("{entity}_i"), &format!("{entity}ᵢ"))
    })
}

/// The parts that all pages share: the head of the document without its title, and the script at its end.
#[derive(Serialize)]
pub(crate) struct Frame {
    head: Value,
    script: Value,
}

impl Frame {
    /// The frame of a page whose style sheet also has `rules`.
    ///
    /// The content security policy names the hashes of the style sheet and of the scripts: the
    /// browser neither applies nor runs anything else.
    pub(crate) fn of(rules: &str) -> Frame {
        let style = format!("{}{rules}", style());
        let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
        let (styles, first, last) = (hash(&style), hash(HEAD_SCRIPT), hash(SCRIPT));
        let head = format!(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             img-src data:; font-src data:; style-src {styles}; script-src {first} {last}; \
             base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <link rel=\"icon\" href=\"data:,\">\n\
             <style>{style}</style>\n\
             <script>{HEAD_SCRIPT}</script>"
        );
        let safe = Value::from_safe_string;
        Frame { head: safe(head), script: safe(SCRIPT.to_owned()) }
    }
}

/// The path of an experiment's numbers over seeds, relative to the page.
pub(crate) fn seed_table_path(experiment: &str) -> String {
    format!("tables/{experiment}-seeds.csv")
}

/// The path of a generated table, relative to the page.
pub(crate) fn table_path(name: &str) -> String {
    format!("tables/{name}.csv")
}

/// The style sheet with its fonts, and with the figures' colours on a dark page.
fn style() -> String {
    let face = |weight: u32, font: &[u8]| {
        format!(
            "@font-face{{font-family:Inter;font-weight:{weight};\
             src:url(data:font/otf;base64,{}) format('opentype')}}\n",
            STANDARD.encode(font)
        )
    };
    format!(
        "{}{}{STYLE}\n@media screen and (prefers-color-scheme:dark){{{}}}\n",
        face(400, raster::INTER_REGULAR),
        face(600, raster::INTER_SEMIBOLD),
        theme::dark_css()
    )
}

#[cfg(test)]
mod tests {
    use super::marked;

    #[test]
    fn indices_exponents_and_code_are_elements_and_signs_do_not_break_lines() {
        let html = |text: &str| marked(text).to_string();
        assert_eq!(
            html("√η_Y/4 of L^rev < (L/L₀)^0.1."),
            "√η<sub>Y</sub>/4 of L<sup>rev</sup> &lt; (L/L₀)<sup>0.1</sup>."
        );
        assert_eq!(html("`held_out^x` and held_out"), "<code>held_out^x</code> and held_out");
        assert_eq!(
            html("A → B is 1 ± 2 at 95 %"),
            "A\u{a0}→\u{a0}B is 1\u{a0}±\u{a0}2 at 95\u{a0}%"
        );
        assert_eq!(html("a_ and ^"), "a_ and ^");
    }
}
