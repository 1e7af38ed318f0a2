//! Negative log probability over epochs (paper, figure 1 and its like).

use super::{BLOCK_GAP, Figure, Text};
use crate::plot::curves::{Curve, CurvePanel, Mark, Point, Span};
use crate::plot::level::Level;
use crate::plot::multiples::Row;
use crate::plot::scale::extent;
use crate::plot::theme::{Color, HELD_OUT, HELD_OUT_TEXT, TITLE_SIZE, TRAIN, text_width};
use crate::plot::{Canvas, Drawing, PartWidth, grid, multiples};
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
    /// The NLL of the first token of the last entity, the paper's metric.
    pub first_token: Nll,
    /// The NLL of the whole entity; `None` where it has one token.
    pub whole: Option<Nll>,
    /// Held-out questions of a seed.
    pub questions: usize,
}

/// Negative log probabilities over epochs, in nats.
#[derive(Clone, Debug)]
pub struct Nll {
    /// Of training sentences, `[seeds][epochs]`.
    pub train: Vec<Vec<f64>>,
    /// Of held-out sentences, `[seeds][epochs]`.
    pub held_out: Vec<Vec<f64>>,
    /// Of uniform guessing.
    pub uniform: f64,
    /// That number as a formula: `ln 802`.
    pub uniform_label: String,
}

const WIDTH: PartWidth = PartWidth { least: 230.0, natural: 392.0, most: 560.0 };
const HEIGHT: f64 = 290.0;
/// A run with fewer epochs than this part of the longest has an axis of its own.
const SHORT: f64 = 0.25;

/// More variants than this are drawn as small multiples.
const MOST_SIDE_BY_SIDE: usize = 3;

/// A panel names its held-out questions where there are fewer: one answer then moves the mean much.
const FEW_QUESTIONS: usize = 10;

/// Draws one panel of curves per variant, on shared axes; more than three, or those with more than
/// two curves, as small multiples.
pub fn loss_curves(name: &str, title: &str, variants: &[LossCurves]) -> Figure {
    let series: Vec<Vec<Series>> = variants.iter().map(series_of).collect();
    let points = || series.iter().flatten().flat_map(|s| &s.points);
    let last_epoch = extent(points().map(|p| p.point.x)).map_or(1.0, |e| e.1);
    // A short run has an axis of its own: on that of a long one its curves would be a stroke.
    let epochs = |series: &[Series]| {
        let own = extent(series.iter().flat_map(|s| &s.points).map(|p| p.point.x));
        own.map(|own| own.1).filter(|own| *own < SHORT * last_epoch && *own > 0.0)
    };
    let tops = points().map(|p| p.point.band.map_or(p.point.y, |(_, high)| high));
    let levels = series.iter().flatten().map(|s| s.uniform);
    let top = extent(tops.chain(levels)).map_or(1.0, |e| e.1);
    let small = variants.len() > MOST_SIDE_BY_SIDE || variants.iter().any(|v| v.whole.is_some());
    let panel = |variant: &LossCurves, series: &[Series]| {
        let level = |nll: &Nll| {
            let uniform = format!("{} = {}", nll.uniform_label, text::number(nll.uniform));
            Level {
                // The legend of small multiples names the line.
                label: if small { uniform } else { format!("{UNIFORM}, {uniform}") },
                y: nll.uniform,
            }
        };
        CurvePanel {
            title: panel_title(variant),
            x: Span {
                label: "epoch".into(),
                domain: (0.0, epochs(series).unwrap_or(last_epoch)),
                log: false,
                ticks: Vec::new(),
            },
            y: Span {
                label: "negative log probability (nats)".into(),
                domain: (0.0, top * 1.04),
                log: false,
                ticks: Vec::new(),
            },
            curves: series.iter().map(Series::curve).collect(),
            levels: [&variant.first_token].into_iter().chain(&variant.whole).map(level).collect(),
        }
    };
    let panels: Vec<CurvePanel> = variants.iter().zip(&series).map(|(v, s)| panel(v, s)).collect();
    let text = Text {
        name: name.into(),
        title: title.into(),
        caption: caption(variants, series.iter().any(|series| epochs(series).is_some())),
        alt: alt(variants),
        table: table(variants, &series),
    };
    if small {
        let rows = Row::only(panels);
        let narrow = multiples::draw_narrow(&rows, Some(UNIFORM));
        let draw = move |canvas: &Canvas| multiples::draw_on(&rows, canvas, Some(UNIFORM));
        Figure::of_whole(text, narrow, draw)
    } else {
        let blocks = panels.iter().map(|p| p.draw(WIDTH.natural, HEIGHT)).collect();
        Figure::of_blocks(text, blocks, move |canvas| side_by_side(&panels, canvas))
    }
}

fn side_by_side(panels: &[CurvePanel], canvas: &Canvas) -> Drawing {
    let titles = panels.iter().map(|panel| text_width(&panel.title, TITLE_SIZE));
    let width = PartWidth { least: titles.fold(WIDTH.least, f64::max), ..WIDTH };
    let (columns, width) = canvas.arrange(panels.len(), MOST_SIDE_BY_SIDE, width, BLOCK_GAP.0, 0.0);
    let height = HEIGHT.min(0.8 * width.max(WIDTH.least));
    grid::arrange(panels.iter().map(|p| p.draw(width, height)).collect(), columns, BLOCK_GAP)
}

/// The label with the number of seeds, and of questions where they are few.
fn panel_title(variant: &LossCurves) -> String {
    let count = |n: usize, one: &str| format!("{n}\u{a0}{one}{}", if n == 1 { "" } else { "s" });
    let seeds = count(variant.first_token.train.len(), "seed");
    let questions = match variant.questions {
        few @ 1..FEW_QUESTIONS => format!(", {} each", count(few, "question")),
        _ => String::new(),
    };
    format!("{}, {seeds}{questions}", variant.variant)
}

fn series_of(variant: &LossCurves) -> Vec<Series> {
    let series = |split, color, label_color, mark, runs: &[Vec<f64>], uniform| {
        Series::new(split, (color, label_color), mark, &variant.epochs, runs, uniform)
    };
    let of = |nll: &Nll, [train, held_out]: [&'static str; 2], mark| {
        [
            series(train, TRAIN, TRAIN, mark, &nll.train, nll.uniform),
            series(held_out, HELD_OUT, HELD_OUT_TEXT, mark, &nll.held_out, nll.uniform),
        ]
    };
    let mut all = Vec::from(of(&variant.first_token, ["train", "held-out"], Mark::Line));
    if let Some(whole) = &variant.whole {
        let labels = ["train, whole entity", "held-out, whole entity"];
        all.extend(of(whole, labels, Mark::Thin));
    }
    all
}

const UNIFORM: &str = "uniform guessing";

struct Series {
    split: &'static str,
    colors: (Color, Color),
    mark: Mark,
    points: Vec<SeriesPoint>,
    uniform: f64,
}

struct SeriesPoint {
    point: Point,
    spread: Option<f64>,
    seeds: usize,
}

impl Series {
    fn new(
        split: &'static str,
        colors: (Color, Color),
        mark: Mark,
        epochs: &[f64],
        runs: &[Vec<f64>],
        uniform: f64,
    ) -> Self {
        let at = |(i, &x): (usize, &f64)| {
            let values: Vec<f64> = runs
                .iter()
                .filter_map(|run| run.get(i).copied())
                .filter(|v| v.is_finite())
                .collect();
            let y = stats::mean(&values).unwrap_or(f64::NAN);
            let spread = stats::std(&values);
            let band = spread.map(|spread| (y - spread, y + spread));
            SeriesPoint { point: Point { x, y, band }, spread, seeds: values.len() }
        };
        let points = epochs.iter().enumerate().map(at).collect();
        Self { split, colors, mark, points, uniform }
    }

    /// A thin line has no band: those of four curves would hide each other.
    fn curve(&self) -> Curve {
        let banded = self.mark == Mark::Line;
        let point = |p: &SeriesPoint| Point { band: p.point.band.filter(|_| banded), ..p.point };
        Curve {
            label: self.split.into(),
            color: self.colors.0,
            label_color: self.colors.1,
            mark: self.mark,
            points: self.points.iter().map(point).collect(),
        }
    }
}

fn caption(variants: &[LossCurves], own_axis: bool) -> String {
    let most = variants.iter().map(|v| v.first_token.train.len()).max().unwrap_or(0);
    let over = match most {
        0 | 1 => "one seed",
        _ => "mean over the seeds, the band one standard deviation to either side",
    };
    let several = variants.iter().any(|v| v.whole.is_some());
    let of = if several { "first token of the last entity" } else { "last entity" };
    let whole = if several {
        " The first token is what the paper's curves show; the thin lines are the whole entity, \
         whose guessing level is the upper dashed line."
    } else {
        ""
    };
    let axis = if own_axis { " A short run has an axis of epochs of its own." } else { "" };
    format!(
        "Negative log probability of the {of} over the epochs of training ({over}), for the \
         sentences trained on and for the held-out ones; the dashed line is uniform guessing over \
         the whole vocabulary.{whole}{axis}"
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
                panel_title(v),
                last(&v.first_token.train),
                last(&v.first_token.held_out),
                text::number(v.first_token.uniform)
            )
        })
        .collect();
    format!("Curves of negative log probability over epochs. {}.", parts.join("; "))
}

fn table(variants: &[LossCurves], series: &[Vec<Series>]) -> Table {
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
                    p.spread.map(cell).unwrap_or_default(),
                    p.seeds.to_string(),
                    cell(series.uniform),
                ]
            }));
        }
    }
    table
}
