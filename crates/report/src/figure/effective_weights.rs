//! Heatmaps of effective weights (paper, figure 2 and its like).

use std::collections::{BTreeMap, BTreeSet};

use super::{BLOCK_GAP, Figure, Text};
use crate::plot::colorbar;
use crate::plot::film::{self, Frame};
use crate::plot::heatmap::{self, ColorMap, Colors, HeatmapPanel};
use crate::plot::scale::extent;
use crate::plot::theme::{INK, TITLE_SIZE};
use crate::plot::{Canvas, Drawing, PartWidth, drawing::Style, grid};
use crate::tables::{Table, cell};
use crate::text;

/// The effective weights of one variant of an experiment.
#[derive(Clone, Debug)]
pub struct EffectiveWeights {
    /// Its label in the figure: `free head`.
    pub variant: String,
    /// After the last epoch, row by row.
    pub panels: Vec<WeightPanel>,
    /// The same panels earlier in training, epochs ascending; may be empty.
    pub frames: Vec<WeightFrame>,
}

/// The effective weights of a variant after one epoch of training.
#[derive(Clone, Debug)]
pub struct WeightFrame {
    /// Epochs of training so far.
    pub epoch: u64,
    /// As many as, and of the shapes of, [`EffectiveWeights::panels`].
    pub panels: Vec<WeightPanel>,
}

/// The effective weights of one group of pairs: after the single token of entity `i`, the logit of
/// every candidate `j`; the right answers are on the diagonal.
#[derive(Clone, Debug)]
pub struct WeightPanel {
    /// Key of the group in the table: `held_out_unseen`.
    pub group: String,
    /// Above the panel: `held-out, unseen direction`.
    pub title: String,
    /// The label of the rows: `given entity`.
    pub row_label: String,
    /// The label of the columns: `candidate`.
    pub column_label: String,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// Logits `[rows, columns]`, row-major; missing or NaN values are drawn grey.
    pub values: Vec<f32>,
    /// The mean margin of the diagonal over other candidates of its type, in logits, if known.
    pub margin: Option<f64>,
}

/// Side of a panel's cells, in user units.
const SIDE: PartWidth = PartWidth { least: 84.0, natural: 158.0, most: 230.0 };
const PANEL_GAP: (f64, f64) = (16.0, 10.0);
const BAR_GAP: f64 = 14.0;
const HEADING: f64 = 26.0;

/// Draws one block of heatmaps per variant, `columns` panels to a row, all on one colour scale.
///
/// All variants share one scale: brighter is a larger logit in every panel.
pub fn effective_weights(
    name: &str,
    title: &str,
    columns: usize,
    variants: &[EffectiveWeights],
) -> Figure {
    let still = variants.iter().flat_map(|v| &v.panels);
    let moving = variants.iter().flat_map(|v| &v.frames).flat_map(|f| &f.panels);
    let values = still.chain(moving).flat_map(|p| p.values.iter().map(|v| f64::from(*v)));
    let domain = extent(values).unwrap_or((0.0, 1.0));
    let frames = epochs(variants);
    let colors = ColorMap::new(domain, Colors::SEQUENTIAL);
    // The page has the film; the file has all entities after the last epoch.
    let blocks =
        variants.iter().map(|v| block(v, columns, SIDE.natural, colors, &frames)).collect();
    // Three panels side by side have no legible labels on a phone.
    let narrow = match columns > NARROW_COLUMNS {
        true => variants
            .iter()
            .map(|v| upright(v, columns))
            .map(|v| block(&v, NARROW_COLUMNS, SIDE.natural, colors, &frames))
            .collect(),
        false => Vec::new(),
    };
    let text = Text {
        name: name.into(),
        title: title.into(),
        caption: CAPTION.into(),
        alt: alt(variants),
        table: table(variants),
    };
    let still: Vec<EffectiveWeights> =
        variants.iter().map(|v| EffectiveWeights { frames: Vec::new(), ..v.clone() }).collect();
    let whole = move |canvas: &Canvas| {
        let colors = ColorMap::new(domain, canvas.sequential);
        side_by_side(&still, columns, canvas, colors)
    };
    Figure { frames, narrow, ..Figure::of_blocks(text, blocks, whole) }
}

const MOST_SIDE_BY_SIDE: usize = 3;
/// Panels to a row on a narrow page, at most.
const NARROW_COLUMNS: usize = 2;

/// Two rows of `columns` panels as so many rows of two, so that what stood below each other stands
/// side by side; other numbers of panels stay as they are.
fn upright(weights: &EffectiveWeights, columns: usize) -> EffectiveWeights {
    let turned = |panels: &[WeightPanel]| -> Vec<WeightPanel> {
        match panels.len() == 2 * columns {
            true => (0..panels.len()).map(|at| panels[at / 2 + at % 2 * columns].clone()).collect(),
            false => panels.to_vec(),
        }
    };
    let frame = |f: &WeightFrame| WeightFrame { epoch: f.epoch, panels: turned(&f.panels) };
    EffectiveWeights {
        variant: weights.variant.clone(),
        panels: turned(&weights.panels),
        frames: weights.frames.iter().map(frame).collect(),
    }
}

fn side_by_side(
    variants: &[EffectiveWeights],
    columns: usize,
    canvas: &Canvas,
    colors: ColorMap,
) -> Drawing {
    // What a block has beside the cells of its panels.
    let besides = columns as f64 * heatmap::ROOM_LEFT
        + columns.saturating_sub(1) as f64 * PANEL_GAP.0
        + BAR_GAP
        + colorbar::WIDTH;
    let of_sides = |side: f64| besides + columns as f64 * side;
    let block_width = PartWidth {
        least: of_sides(SIDE.least),
        natural: of_sides(SIDE.natural),
        most: of_sides(SIDE.most),
    };
    let (blocks, width) =
        canvas.arrange(variants.len(), MOST_SIDE_BY_SIDE, block_width, BLOCK_GAP.0, 0.0);
    let side = (width - besides) / columns.max(1) as f64;
    let drawn = variants.iter().map(|v| block(v, columns, side.max(1.0), colors, &[]));
    grid::arrange(drawn.collect(), blocks, BLOCK_GAP)
}

/// More frames than this make a page large without a finer slider.
const MOST_FRAMES: usize = 12;

/// The epochs that have frames in any variant. Of more than [`MOST_FRAMES`] the first, the last and
/// those between which the weights change by equal amounts: a film of the time in which something
/// happens.
fn epochs(variants: &[EffectiveWeights]) -> Vec<u64> {
    let all: BTreeSet<u64> = variants.iter().flat_map(|v| &v.frames).map(|f| f.epoch).collect();
    let all: Vec<u64> = all.into_iter().collect();
    match all.len() {
        // A film needs more than one frame.
        0 | 1 => Vec::new(),
        n if n <= MOST_FRAMES => all,
        _ => {
            let changes = changes(variants);
            let mut way = 0.0;
            let ways = all.iter().map(|epoch| {
                way += changes.get(epoch).unwrap_or(&0.0);
                way
            });
            moments(&ways.collect::<Vec<f64>>()).into_iter().map(|at| all[at]).collect()
        }
    }
}

/// By how much the weights have changed since the frame before, summed over variants.
fn changes(variants: &[EffectiveWeights]) -> BTreeMap<u64, f64> {
    let values = |frame: &WeightFrame| -> Vec<f32> {
        frame.panels.iter().flat_map(|panel| panel.values.iter().copied()).collect()
    };
    let mut changes = BTreeMap::new();
    for pair in variants.iter().flat_map(|variant| variant.frames.windows(2)) {
        let squares = values(&pair[0]).into_iter().zip(values(&pair[1]));
        let squares = squares.map(|(a, b)| f64::from(b - a).powi(2));
        let distance = squares.filter(|square| square.is_finite()).sum::<f64>().sqrt();
        *changes.entry(pair[1].epoch).or_insert(0.0) += distance;
    }
    changes
}

/// [`MOST_FRAMES`] places on a way, its first and last among them: those nearest to equal parts of
/// it, each once. `ways` are the distances from its start, rising.
fn moments(ways: &[f64]) -> Vec<usize> {
    let last = ways.len() - 1;
    let mut chosen: Vec<usize> = Vec::new();
    for part in 0..MOST_FRAMES {
        let wanted = ways[last] * part as f64 / (MOST_FRAMES - 1) as f64;
        let at = ways.partition_point(|way| *way < wanted);
        // As many must be left as are still to be chosen.
        let least = chosen.last().map_or(0, |before| before + 1);
        chosen.push(at.clamp(least, last - (MOST_FRAMES - 1 - part)));
    }
    chosen[MOST_FRAMES - 1] = last;
    chosen
}

/// The panel `at` as it was after each of `epochs`, or last before it.
fn film<'a>(weights: &'a EffectiveWeights, at: usize, epochs: &[u64]) -> Vec<Frame<'a>> {
    let frame = |epoch: &u64| {
        let before = weights.frames.iter().rev().find(|f| f.epoch <= *epoch);
        let panel = before.or(weights.frames.first())?.panels.get(at)?;
        Some(Frame { note: note(panel), values: &panel.values })
    };
    epochs.iter().filter_map(frame).collect()
}

fn note(panel: &WeightPanel) -> String {
    let margin = panel.margin.filter(|m| m.is_finite());
    margin.map_or(String::new(), |m| format!("margin {}", text::logit(m)))
}

const CAPTION: &str = "Effective weights: the logit of each candidate (column) when the model is \
    given the single token of an entity (row); the matching pair stands on the diagonal. All \
    panels share one colour scale; the margin is by how much the right answer's logit exceeds the \
    mean of the other candidates of its type.";

/// One variant, with a film over `epochs` if there are any.
fn block(
    weights: &EffectiveWeights,
    columns: usize,
    side: f64,
    colors: ColorMap,
    epochs: &[u64],
) -> Drawing {
    let titles: Vec<&str> = weights.panels.iter().map(|panel| panel.title.as_str()).collect();
    let between = side + heatmap::ROOM_LEFT + PANEL_GAP.0;
    let titles = heatmap::titles(&titles, columns, between, side + BAR_GAP);
    let panels: Vec<Drawing> = weights
        .panels
        .iter()
        .zip(&titles)
        .enumerate()
        .map(|(i, (p, title))| {
            let panel = HeatmapPanel {
                title,
                note: &note(p),
                row_label: &p.row_label,
                column_label: &p.column_label,
                rows: p.rows,
                columns: p.columns,
                values: &p.values,
            };
            film::draw(&panel, &film(weights, i, epochs), side, colors)
        })
        .collect();
    let panels = grid::arrange(panels, columns, PANEL_GAP);
    // The bar spans the cells from the first row's top to the last row's foot.
    let lines = titles.first().map_or(1, Vec::len);
    let top = HEADING + heatmap::room_above(lines);
    let foot = HEADING + panels.height - heatmap::ROOM_BELOW;
    let width = panels.width + BAR_GAP + colorbar::WIDTH;
    let mut block = Drawing::new(width, HEADING + panels.height);
    let heading = Style::new(TITLE_SIZE, INK).strong();
    block.text(0.0, 13.0, &weights.variant, heading);
    let bar = colorbar::draw("logit", colors, (foot - top).max(1.0));
    let bar_x = panels.width + BAR_GAP;
    block.place(0.0, HEADING, panels);
    block.place(bar_x, top - colorbar::ROOM_ABOVE, bar);
    block
}

fn alt(variants: &[EffectiveWeights]) -> String {
    let describe = |v: &EffectiveWeights| {
        let panels: Vec<String> = v
            .panels
            .iter()
            .map(|p| {
                let margin = p.margin.map_or(text::NONE.into(), text::logit);
                format!("{}: margin of the diagonal {margin}", p.title)
            })
            .collect();
        format!("{}: {}", v.variant, panels.join(", "))
    };
    let parts: Vec<String> = variants.iter().map(describe).collect();
    format!("Heatmaps of effective weights. {}.", parts.join("; "))
}

fn table(variants: &[EffectiveWeights]) -> Table {
    let mut table = Table::new(&["variant", "group", "row", "column", "logit"]);
    for variant in variants {
        for panel in &variant.panels {
            let cells = panel.values.iter().take(panel.rows.saturating_mul(panel.columns));
            table.rows.extend(cells.enumerate().map(|(i, value)| {
                let logit = if value.is_finite() {
                    // An f32 in its own shortest form.
                    value.to_string()
                } else {
                    cell(f64::NAN)
                };
                vec![
                    variant.variant.clone(),
                    panel.group.clone(),
                    (i / panel.columns).to_string(),
                    (i % panel.columns).to_string(),
                    logit,
                ]
            }));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_has_its_frames_where_the_weights_change() {
        // Nothing but one rise, from epoch 40 to 60 of 100.
        let ways: Vec<f64> = (0..=100).map(|epoch| f64::from((epoch - 40).clamp(0, 20))).collect();
        let chosen = moments(&ways);
        assert_eq!((chosen.len(), chosen[0], chosen[MOST_FRAMES - 1]), (MOST_FRAMES, 0, 100));
        assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]), "{chosen:?}");
        let during = chosen.iter().filter(|at| (40..=60).contains(*at)).count();
        assert!(during >= MOST_FRAMES - 2, "{chosen:?}");
        // Where nothing changes there are as many, each once.
        let still = moments(&[0.0; 30]);
        assert!(still.windows(2).all(|pair| pair[0] < pair[1]), "{still:?}");
        assert_eq!(still[MOST_FRAMES - 1], 29);
    }

    #[test]
    fn on_a_phone_each_row_has_what_stood_below_each_other() {
        let panel = |group: &str| WeightPanel {
            group: group.into(),
            title: String::new(),
            row_label: String::new(),
            column_label: String::new(),
            rows: 0,
            columns: 0,
            values: Vec::new(),
            margin: None,
        };
        let chains = ["train A→B", "train B→C", "train A→C", "held A→B", "held B→C", "held A→C"];
        let panels: Vec<WeightPanel> = chains.map(panel).into();
        let frame = WeightFrame { epoch: 1, panels: panels.clone() };
        let weights = EffectiveWeights { variant: String::new(), panels, frames: vec![frame] };
        let turned = upright(&weights, 3);
        for panels in [&turned.panels, &turned.frames[0].panels] {
            let groups: Vec<&str> = panels.iter().map(|panel| panel.group.as_str()).collect();
            assert_eq!(groups[..4], ["train A→B", "held A→B", "train B→C", "held B→C"]);
        }
    }
}
