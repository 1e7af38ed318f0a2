//! Cosine similarities between embeddings (paper, the figure on their orthogonality).

use super::{Figure, Text};
use crate::plot::heatmap::{self, ColorMap, Colors, HeatmapPanel};
use crate::plot::{Drawing, colorbar, grid};
use crate::tables::{Table, cell};
use retrodict_lab::stats;

/// The cosine similarities of one variant of an experiment.
#[derive(Clone, Debug)]
pub struct Cosines {
    /// Its label in the figure: `1 layer, dimension 20`.
    pub variant: String,
    /// Number of tokens: the entities, then the relations.
    pub size: usize,
    /// Cosines `[size, size]`, row-major; missing or NaN values are drawn grey.
    pub values: Vec<f32>,
    /// The mean of |cosine| between different entities, one per seed.
    pub mean_absolute: Vec<f64>,
    /// That of random directions in as many dimensions.
    pub random: f64,
}

const SIDE: f64 = 196.0;
const GAP: (f64, f64) = (22.0, 12.0);

/// Draws a heatmap per variant, from −1, red, over 0, white, to 1, blue.
pub fn cosines(name: &str, title: &str, variants: &[Cosines]) -> Figure {
    let colors = ColorMap::new((-1.0, 1.0), Colors::Diverging);
    let draw = |columns: usize| {
        let panels: Vec<Drawing> = variants.iter().map(|v| panel(v, colors)).collect();
        let panels = grid::arrange(panels, columns, GAP);
        let mut whole = Drawing::new(panels.width + 14.0 + colorbar::WIDTH, panels.height);
        let bar_x = panels.width + 14.0;
        whole.place(0.0, 0.0, panels);
        let bar = colorbar::draw("cosine", colors, SIDE);
        whole.place(bar_x, heatmap::ROOM_ABOVE - colorbar::ROOM_ABOVE, bar);
        whole
    };
    let text = Text {
        name: name.into(),
        title: title.into(),
        caption: CAPTION.into(),
        alt: alt(variants),
        table: table(variants),
    };
    // Five of these would be too small to read beside each other.
    let columns = if variants.len() == 4 { 4 } else { variants.len().clamp(1, 3) };
    Figure::of_whole(text, draw(columns), draw(columns.min(2)))
}

const CAPTION: &str = "Cosine similarities between the token embeddings after training, of all \
    entities sorted by type and last of the relation tokens, on one scale from −1 to 1; each \
    token's with itself, 1, stands on the diagonal. Embeddings that are nearly orthogonal, as the \
    theory assumes, leave everything else white. The panels show one seed; the numbers above them \
    are the mean of |cos| between different entities over all seeds, and that of random directions \
    in as many dimensions.";

fn panel(cosines: &Cosines, colors: ColorMap) -> Drawing {
    let note = note(cosines);
    HeatmapPanel {
        title: &cosines.variant,
        note: &note,
        row_label: "token",
        column_label: "token",
        rows: cosines.size,
        columns: cosines.size,
        values: &cosines.values,
    }
    .draw(SIDE, colors)
}

/// `|cos| 0.247 ± 0.011, random 0.181`.
fn note(cosines: &Cosines) -> String {
    let Some(mean) = stats::mean(&cosines.mean_absolute) else { return String::new() };
    let spread = stats::std(&cosines.mean_absolute);
    let spread = spread.map_or(String::new(), |spread| format!(" ± {spread:.3}"));
    format!("|cos| {mean:.3}{spread}, random {:.3}", cosines.random)
}

fn alt(variants: &[Cosines]) -> String {
    let part = |v: &Cosines| format!("{}: mean {} directions", v.variant, note(v));
    let parts: Vec<String> = variants.iter().map(part).collect();
    format!("Heatmaps of cosine similarities between embeddings. {}.", parts.join("; "))
}

/// The pairs of different tokens, each once: a matrix of 400 entities has 160,000 cells.
fn table(variants: &[Cosines]) -> Table {
    let mut table = Table::new(&["variant", "row", "column", "cosine"]);
    for variant in variants {
        let cells = variant.values.iter().take(variant.size.saturating_mul(variant.size));
        let places =
            cells.enumerate().map(|(i, value)| (i / variant.size, i % variant.size, value));
        table.rows.extend(places.filter(|(row, column, _)| row < column).map(
            |(row, column, value)| {
                // Four places suffice for a cosine.
                let value = if value.is_finite() { format!("{value:.4}") } else { cell(f64::NAN) };
                vec![variant.variant.clone(), row.to_string(), column.to_string(), value]
            },
        ));
    }
    table
}
