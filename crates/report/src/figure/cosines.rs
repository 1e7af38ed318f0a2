//! Cosine similarities between embeddings (paper, the figure on their orthogonality).

use super::{Figure, Text};
use crate::plot::heatmap::{self, ColorMap, Colors, HeatmapPanel};
use crate::plot::{Drawing, colorbar, grid};
use crate::tables::{Table, cell};
use crate::text;

/// The cosine similarities of one variant of an experiment.
#[derive(Clone, Debug)]
pub struct Cosines {
    /// Its label in the figure: `1 layer, dimension 20`.
    pub variant: String,
    /// Number of entities drawn.
    pub size: usize,
    /// Cosines `[size, size]`, row-major; missing or NaN values are drawn grey.
    pub values: Vec<f32>,
    /// Over all entities of the run, not only those drawn; NaN where it is not known.
    pub mean_absolute_off_diagonal: f64,
}

const SIDE: f64 = 168.0;
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

const CAPTION: &str = "Cosine similarities between the token embeddings of entities after \
    training, on one scale from −1 to 1; each entity's with itself, 1, stands on the diagonal. \
    Embeddings that are nearly orthogonal, as the theory assumes, leave everything else white. \
    The number above each panel is the mean of |cos| off the diagonal over all entities.";

fn panel(cosines: &Cosines, colors: ColorMap) -> Drawing {
    let mean = cosines.mean_absolute_off_diagonal;
    let note =
        if mean.is_finite() { format!("mean |cos| {}", text::number(mean)) } else { String::new() };
    HeatmapPanel {
        title: &cosines.variant,
        note: &note,
        row_label: "entity",
        column_label: "entity",
        rows: cosines.size,
        columns: cosines.size,
        values: &cosines.values,
    }
    .draw(SIDE, colors)
}

fn alt(variants: &[Cosines]) -> String {
    let part = |v: &Cosines| {
        let mean = text::number(v.mean_absolute_off_diagonal);
        format!("{}: mean absolute cosine off the diagonal {mean}", v.variant)
    };
    let parts: Vec<String> = variants.iter().map(part).collect();
    format!("Heatmaps of cosine similarities between embeddings. {}.", parts.join("; "))
}

fn table(variants: &[Cosines]) -> Table {
    let mut table = Table::new(&["variant", "row", "column", "cosine"]);
    for variant in variants {
        let cells = variant.values.iter().take(variant.size.saturating_mul(variant.size));
        table.rows.extend(cells.enumerate().map(|(i, value)| {
            let (row, column) = (i / variant.size, i % variant.size);
            // An f32 in its own shortest form.
            let value = if value.is_finite() { value.to_string() } else { cell(f64::NAN) };
            vec![variant.variant.clone(), row.to_string(), column.to_string(), value]
        }));
    }
    table
}
