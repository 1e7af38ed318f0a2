//! Negative log probability over epochs (paper, figure 1 and its like).

use super::{Figure, Text};
use crate::plot::curves::{Curve, CurvePanel, Mark, Point, Span};
use crate::plot::level::Level;
use crate::plot::scale::extent;
use crate::plot::theme::{Color, HELD_OUT, HELD_OUT_TEXT, TRAIN};
use crate::plot::{Drawing, multiples};
use crate::tables::{Table, cell};
use retrodict_lab::stats;

use crate::text;

/// The loss curves of one variant of an experiment.
///
/// Runs may have different lengths, and values may be NaN: a mean is taken over the seeds that have
/// a finite value at that epoch.
#[derive(Clone, Debug)]
pub struct LossCurves {
    /// Its label in the figure: `free head`.
    pub variant: String,
    /// `[epochs]`, ascending.
    pub epochs: Vec<f64>,
    /// Training NLL in nats, `[seeds][epochs]`.
    pub train: Vec<Vec<f64>>,
    /// Held-out NLL in nats, `[seeds][epochs]`.
    pub held_out: Vec<Vec<f64>>,
    /// NLL of uniform guessing, in nats.
    pub uniform: f64,
    /// That number as a formula: `ln 802`.
    pub uniform_label: String,
}

const WIDTH: f64 = 392.0;
const HEIGHT: f64 = 290.0;

/// More variants than this are drawn as small multiples.
const MOST_SIDE_BY_SIDE: usize = 3;

/// Draws one panel of curves per variant, on shared axes; more than three as small multiples.
pub fn loss_curves(name: &str, title: &str, variants: &[LossCurves]) -> Figure {
    let series: Vec<[Series; 2]> = variants
        .iter()
        .map(|v| {
            [
                Series::new("train", TRAIN, TRAIN, &v.epochs, &v.train),
                Series::new("held-out", HELD_OUT, HELD_OUT_TEXT, &v.epochs, &v.held_out),
            ]
        })
        .collect();
    let points = || series.iter().flatten().flat_map(|s| &s.points);
    let last_epoch = extent(points().map(|p| p.point.x)).map_or(1.0, |e| e.1);
    let tops = points().map(|p| p.point.y + p.point.spread.unwrap_or(0.0));
    let top = extent(tops.chain(variants.iter().map(|v| v.uniform))).map_or(1.0, |e| e.1);
    let small = variants.len() > MOST_SIDE_BY_SIDE;
    let panel = |variant: &LossCurves, series: &[Series; 2]| {
        let uniform = format!("{} = {}", variant.uniform_label, text::number(variant.uniform));
        CurvePanel {
            title: variant.variant.clone(),
            x: Span { label: "epoch".into(), domain: (0.0, last_epoch), log: false },
            y: Span {
                label: "negative log probability (nats)".into(),
                domain: (0.0, top * 1.04),
                log: false,
            },
            curves: series.iter().map(Series::curve).collect(),
            levels: vec![Level {
                // The legend of small multiples names the line.
                label: if small { uniform } else { format!("{UNIFORM}, {uniform}") },
                y: variant.uniform,
            }],
        }
    };
    let panels: Vec<CurvePanel> = variants.iter().zip(&series).map(|(v, s)| panel(v, s)).collect();
    let text = Text {
        name: name.into(),
        title: title.into(),
        caption: caption(variants),
        alt: alt(variants),
        table: table(variants, &series),
    };
    if small {
        let columns = multiples::columns(panels.len());
        let draw = |columns| multiples::draw(&panels, columns, Some(UNIFORM));
        Figure::of_whole(text, draw(columns), draw(2))
    } else {
        let blocks: Vec<Drawing> = panels.iter().map(|p| p.draw(WIDTH, HEIGHT)).collect();
        Figure::of_blocks(text, blocks, MOST_SIDE_BY_SIDE)
    }
}

const UNIFORM: &str = "uniform guessing";

struct Series {
    split: &'static str,
    color: Color,
    label_color: Color,
    points: Vec<SeriesPoint>,
}

struct SeriesPoint {
    point: Point,
    seeds: usize,
}

impl Series {
    fn new(
        split: &'static str,
        color: Color,
        label_color: Color,
        epochs: &[f64],
        runs: &[Vec<f64>],
    ) -> Self {
        let at = |(i, &x): (usize, &f64)| {
            let values: Vec<f64> = runs
                .iter()
                .filter_map(|run| run.get(i).copied())
                .filter(|v| v.is_finite())
                .collect();
            SeriesPoint {
                point: Point {
                    x,
                    y: stats::mean(&values).unwrap_or(f64::NAN),
                    spread: stats::std(&values),
                },
                seeds: values.len(),
            }
        };
        Self { split, color, label_color, points: epochs.iter().enumerate().map(at).collect() }
    }

    fn curve(&self) -> Curve {
        Curve {
            label: self.split.into(),
            color: self.color,
            label_color: self.label_color,
            mark: Mark::Line,
            points: self.points.iter().map(|p| p.point).collect(),
        }
    }
}

fn seeds(variants: &[LossCurves]) -> usize {
    variants.iter().map(|v| v.train.len()).max().unwrap_or(0)
}

fn caption(variants: &[LossCurves]) -> String {
    let over = match seeds(variants) {
        0 | 1 => "one seed".to_owned(),
        n => format!("mean over {n} seeds, the band one standard deviation to either side"),
    };
    format!(
        "Negative log probability of the last entity over the epochs of training ({over}), for \
         the sentences trained on and for the held-out ones; the dashed line is uniform guessing \
         over the whole vocabulary. Under the reversal curse the training curve falls to zero \
         and the held-out curve ends on the dashed line or above it."
    )
}

fn alt(variants: &[LossCurves]) -> String {
    let last = |runs: &[Vec<f64>]| {
        let ends: Vec<f64> = runs.iter().filter_map(|run| run.last().copied()).collect();
        text::mean_and_spread(&ends)
    };
    let parts: Vec<String> = variants
        .iter()
        .map(|v| {
            format!(
                "{}: training ends at {}, held-out at {}, uniform guessing is {}",
                v.variant,
                last(&v.train),
                last(&v.held_out),
                text::number(v.uniform)
            )
        })
        .collect();
    format!("Curves of negative log probability over epochs. {}.", parts.join("; "))
}

fn table(variants: &[LossCurves], series: &[[Series; 2]]) -> Table {
    let mut table =
        Table::new(&["variant", "split", "epoch", "nll_mean", "nll_std", "seeds", "uniform_nll"]);
    for (variant, series) in variants.iter().zip(series) {
        for series in series {
            table.rows.extend(series.points.iter().map(|p| {
                vec![
                    variant.variant.clone(),
                    series.split.into(),
                    cell(p.point.x),
                    cell(p.point.y),
                    p.point.spread.map(cell).unwrap_or_default(),
                    p.seeds.to_string(),
                    cell(variant.uniform),
                ]
            }));
        }
    }
    table
}
