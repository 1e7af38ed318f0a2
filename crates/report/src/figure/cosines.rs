//! Cosine similarities between embeddings (paper, the figure on their orthogonality).

use super::{Figure, Text};
use crate::plot::heatmap::{self, ColorMap, Colors, HeatmapPanel};
use crate::plot::{Drawing, PartWidth, colorbar, grid};
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

/// Side of a panel's cells: its note must fit above it.
const SIDE: PartWidth = PartWidth { least: 180.0, natural: 196.0, most: 240.0 };
const BAR_GAP: f64 = 14.0;
const GAP: (f64, f64) = (22.0, 12.0);

/// Draws a heatmap per variant, from −1, red, over 0, white, to 1, blue.
pub fn cosines(name: &str, title: &str, variants: &[Cosines]) -> Figure {
    let text = Text {
        name: name.into(),
        title: title.into(),
        caption: CAPTION.into(),
        alt: alt(variants),
        table: table(variants),
    };
    // Five of these would be too small to read beside each other.
    let most = if variants.len() == 4 { 4 } else { variants.len().clamp(1, 3) };
    let colors = ColorMap::new((-1.0, 1.0), Colors::DIVERGING);
    let narrow = draw(variants, most.min(2), SIDE.natural, colors);
    let variants = variants.to_vec();
    Figure::of_whole(text, narrow, move |canvas| {
        let gap = heatmap::ROOM_LEFT + GAP.0;
        let besides = heatmap::ROOM_LEFT + BAR_GAP + colorbar::WIDTH;
        let (columns, side) = canvas.arrange(variants.len(), most, SIDE, gap, besides);
        // No higher than a page.
        let rows = variants.len().div_ceil(columns).max(1);
        let besides = heatmap::ROOM_ABOVE + heatmap::ROOM_BELOW + GAP.1;
        let side = side.min((canvas.page / rows as f64 - besides).max(1.0));
        draw(&variants, columns, side, ColorMap::new((-1.0, 1.0), canvas.diverging))
    })
}

fn draw(variants: &[Cosines], columns: usize, side: f64, colors: ColorMap) -> Drawing {
    let titles: Vec<&str> = variants.iter().map(|v| v.variant.as_str()).collect();
    let between = side + heatmap::ROOM_LEFT + GAP.0;
    let titles = heatmap::titles(&titles, columns, between, side + BAR_GAP);
    let above = heatmap::room_above(titles.first().map_or(1, Vec::len));
    let panels = variants.iter().zip(&titles);
    let panels = panels.map(|(v, title)| panel(v, title, side, colors)).collect();
    let panels = grid::arrange(panels, columns, GAP);
    let bar_x = panels.width + BAR_GAP;
    let mut whole = Drawing::new(bar_x + colorbar::WIDTH, panels.height);
    whole.place(0.0, 0.0, panels);
    let bar = colorbar::draw("cosine", colors, side);
    whole.place(bar_x, above - colorbar::ROOM_ABOVE, bar);
    whole
}

const CAPTION: &str = "Cosine similarities between the token embeddings after training, of all \
    entities sorted by type and last of the relation tokens, on one scale from −1 to 1; each \
    token's with itself, 1, stands on the diagonal. Embeddings that are nearly orthogonal, as the \
    theory assumes, leave everything else white. The panels show one seed; the numbers above them \
    are the mean of |cos| between different entities over all seeds, and that of random directions \
    in as many dimensions.";

fn panel(cosines: &Cosines, title: &[String], side: f64, colors: ColorMap) -> Drawing {
    let note = note(cosines);
    HeatmapPanel {
        title,
        note: &note,
        row_label: "token",
        column_label: "token",
        rows: cosines.size,
        columns: cosines.size,
        values: &cosines.values,
    }
    .draw(side, colors)
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
