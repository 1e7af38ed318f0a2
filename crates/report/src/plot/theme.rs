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

const ALL: [Color; 7] = [INK, SOFT, GRID, PAPER, TRAIN, HELD_OUT, HELD_OUT_TEXT];

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

/// CSS rules that turn a figure, held inline by a dark page, into its dark form.
pub fn dark_css() -> String {
    ALL.iter()
        .map(|c| format!(".fill-{0}{{fill:{1}}}.stroke-{0}{{stroke:{1}}}", c.name, c.dark))
        .collect()
}
