//! Colours, type and line weights, in one place.

/// A colour by its role in a figure: what it is on paper and on a dark page.
///
/// The light value is written into the SVG as a presentation attribute, beside a class made from
/// `name`; any rule of a page's style sheet outranks the attribute, see [`dark_css`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color {
    /// The class is `fill-<name>` or `stroke-<name>`.
    pub name: &'static str,
    /// On white.
    pub light: &'static str,
    /// On the dark page.
    pub dark: &'static str,
}

const fn color(name: &'static str, light: &'static str, dark: &'static str) -> Color {
    Color { name, light, dark }
}

/// Titles and labels.
pub const INK: Color = color("ink", "#1f2328", "#e8eaed");
/// Tick labels, reference lines and other second things.
pub const SOFT: Color = color("soft", "#59606a", "#a9b1ba");
/// Grid lines and frames.
pub const GRID: Color = color("grid", "#dfe2e6", "#363c44");
/// The ground a figure stands on.
pub const PAPER: Color = color("paper", "#ffffff", "#15181c");
/// Training sentences: Okabe and Ito's blue (sky blue on dark).
pub const TRAIN: Color = color("train", "#0072b2", "#56b4e9");
/// Held-out sentences: Okabe and Ito's vermillion (their orange on dark).
pub const HELD_OUT: Color = color("held-out", "#d55e00", "#e69f00");
/// The held-out curve's label: vermillion, darkened until text is legible on white.
pub const HELD_OUT_TEXT: Color = color("held-out-text", "#b04a00", "#e69f00");

/// Curves beside each other where no role tells them apart: Okabe and Ito's colours in the order
/// in which neighbours differ most; on white, the bright ones darkened.
pub const SERIES: [Color; 7] = [
    color("series-1", "#0072b2", "#56b4e9"),
    color("series-2", "#d55e00", "#e69f00"),
    color("series-3", "#009e73", "#2fc89b"),
    color("series-4", "#a8508a", "#e58fc5"),
    color("series-5", "#3f8fc7", "#9fd3f5"),
    color("series-6", "#b07a00", "#f0e442"),
    color("series-7", "#1f2328", "#e8eaed"),
];

const ROLES: [Color; 7] = [INK, SOFT, GRID, PAPER, TRAIN, HELD_OUT, HELD_OUT_TEXT];

/// The name of the bundled family first, so that file, page and PNG agree where they can.
pub const FONT_FAMILY: &str = "Inter, 'Helvetica Neue', Helvetica, Arial, sans-serif";

/// Panel titles, in user units.
pub const TITLE_SIZE: f64 = 13.0;
/// Axis and curve labels.
pub const LABEL_SIZE: f64 = 12.0;
/// Tick labels.
pub const TICK_SIZE: f64 = 11.0;

/// About how wide a text stands, in user units: enough to keep room for it.
///
/// Inter's mean advance is 0.56 em over the labels used here; fallback families are close to it.
pub fn text_width(text: &str, size: f64) -> f64 {
    0.56 * size * text.chars().count() as f64
}

/// A text broken at spaces into lines no wider than `width`, as near as [`text_width`] knows; one
/// word is never broken. Lines end after commas where that takes no more of them.
pub fn wrap(text: &str, size: f64, width: f64) -> Vec<String> {
    // A no-break space is no place to break.
    let words: Vec<&str> = text.split([' ', '\n', '\t']).filter(|word| !word.is_empty()).collect();
    let clauses = words.split_inclusive(|word| word.ends_with(','));
    let clauses: Vec<String> = clauses.map(|clause| clause.join(" ")).collect();
    let by_word = filled(words.into_iter(), size, width);
    let by_clause = filled(clauses.iter().map(String::as_str), size, width);
    let fits = |line: &String| text_width(line, size) <= width;
    if by_clause.len() <= by_word.len() && by_clause.iter().all(fits) { by_clause } else { by_word }
}

/// Lines of parts that stay whole, as many to a line as fit.
fn filled<'a>(parts: impl Iterator<Item = &'a str>, size: f64, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if text_width(line, size) + text_width(part, size) + 3.0 <= width => {
                line.push(' ');
                line.push_str(part);
            }
            _ => lines.push(part.to_owned()),
        }
    }
    lines
}

/// CSS rules that turn a figure, held inline by a dark page, into its dark form.
pub fn dark_css() -> String {
    ROLES
        .iter()
        .chain(&SERIES)
        .map(|c| format!(".fill-{0}{{fill:{1}}}.stroke-{0}{{stroke:{1}}}", c.name, c.dark))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_after_commas_where_they_can() {
        let width = text_width("rank in its type, rate", 12.0) + 4.0;
        let wrap = |text| wrap(text, 12.0, width);
        assert_eq!(wrap("rank in its type, rate 0.001"), ["rank in its type,", "rate 0.001"]);
        assert_eq!(wrap("held-out NLL, 2 seeds"), ["held-out NLL, 2 seeds"]);
        // A clause that is wider than a line, and one that would need a line more.
        let long = "rank among held-out answers, rate 0.001";
        assert_eq!(wrap(long), ["rank among held-out", "answers, rate 0.001"]);
        let many = "a long clause, another one, and one";
        assert_eq!(wrap(many).len(), 2);
        assert!(wrap("").is_empty());
    }
}
