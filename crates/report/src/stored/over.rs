//! Measures over the values of swept keys: small multiples with a band over seeds.

use retrodict_lab::{Measure, stats};

use super::Stored;
use crate::figure::{Axes, Figure, Panel, PanelRow, Series, SeriesKind, lines_in_rows};
use crate::paper::{Over, Place, Than, Variant};

/// More swept values than this have no tick each.
const MOST_TICKS: usize = 10;

/// Draws the variants of one sweep. `None` if none of them was run.
pub(super) fn over(
    name: &str,
    title: &str,
    over: &Over,
    found: &[(&Variant, &Stored)],
) -> Option<Figure> {
    let swept: Vec<(&Variant, &Stored)> = found
        .iter()
        .filter(|(variant, _)| variant.places.iter().any(|place| place.sweep == over.sweep))
        .copied()
        .collect();
    let labels = |key: Option<&String>| -> Vec<Option<String>> {
        let mut labels: Vec<Option<String>> = Vec::new();
        for (variant, _) in &swept {
            let label = key.and_then(|key| place(variant, key)).map(|place| place.label.clone());
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        labels
    };
    let has = |variant: &Variant, key: Option<&String>, label: &Option<String>| {
        key.and_then(|key| place(variant, key)).map(|place| &place.label) == label.as_ref()
    };
    let (rows, columns) = (labels(over.series.as_ref()), labels(over.panels.as_ref()));
    let points = |measure: &'static Measure, series: &Option<String>, panel: &Option<String>| {
        let of = swept.iter().filter(|(variant, _)| {
            has(variant, over.series.as_ref(), series) && has(variant, over.panels.as_ref(), panel)
        });
        let mut points: Vec<(f64, Summary)> = of
            .filter_map(|(variant, stored)| {
                let summary = Summary::of(stored.values(measure), over.y_log)?;
                Some((place(variant, &over.x)?.value, summary))
            })
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let series = |label: String, points: Vec<(f64, Summary)>| Series {
        label,
        bands: points.iter().map(|(_, summary)| summary.band).collect(),
        points: points.iter().map(|(x, summary)| (*x, summary.middle)).collect(),
        kind: SeriesKind::Line,
    };
    let mut xs: Vec<f64> =
        swept.iter().filter_map(|(v, _)| Some(place(v, &over.x)?.value)).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    // On every panel, across the drawn range of x.
    let level = || {
        let level = over.level.as_ref()?;
        let (_, stored) = swept.first()?;
        let at = match level.at {
            Than::Number(at) => at,
            Than::Word(_) => stored.experiment.guessing_nll(),
        };
        let points = [xs.first()?, xs.last()?].map(|x| (*x, at)).to_vec();
        let kind = SeriesKind::Dashed;
        Some(Series { label: level.label.clone(), points, bands: Vec::new(), kind })
    };
    let heading = |measure: &Measure| measure.heading.to_owned();
    let drawn = |title: String, series: Vec<Series>| {
        let series = series.into_iter().chain(level());
        Panel { title, series: series.filter(|series| !series.points.is_empty()).collect() }
    };
    let of_measure = |measure: &&'static Measure, panel: &Option<String>, title: String| {
        let line = |row: &Option<String>| {
            series(row.clone().unwrap_or_default(), points(measure, row, panel))
        };
        drawn(title, rows.iter().map(line).collect())
    };
    let in_one = |panels: Vec<Panel>| vec![PanelRow { heading: String::new(), panels }];
    let panel_rows: Vec<PanelRow> = match &over.series {
        Some(_) => {
            // Measures by panels are a table: a row for each measure.
            let in_rows = over.measures.len() > 1 && columns.len() > 1;
            let row = |measure: &&'static Measure| {
                let title = |panel: &Option<String>| match (panel, in_rows) {
                    (Some(panel), true) => panel.clone(),
                    (Some(panel), false) => format!("{}, {panel}", heading(measure)),
                    (None, _) => heading(measure),
                };
                let panels = columns.iter().map(|panel| of_measure(measure, panel, title(panel)));
                PanelRow { heading: heading(measure), panels: panels.collect() }
            };
            let rows: Vec<PanelRow> = over.measures.iter().map(row).collect();
            if in_rows { rows } else { in_one(rows.into_iter().flat_map(|r| r.panels).collect()) }
        }
        // The measures are the series.
        None => {
            let panel = |panel: &Option<String>| {
                let line = |measure: &&'static Measure| {
                    series(heading(measure), points(measure, &None, panel))
                };
                let title = panel.clone().unwrap_or_default();
                drawn(title, over.measures.iter().map(line).collect())
            };
            in_one(columns.iter().map(panel).collect())
        }
    };
    let measured = |series: &Series| series.kind == SeriesKind::Line;
    let mut panels = panel_rows.iter().flat_map(|row| &row.panels);
    let drawn = panels.any(|panel| panel.series.iter().any(measured));
    let (x, y) = (over.x_label.clone(), over.y_label.clone());
    let axes = Axes { x, y, x_log: over.x_log, y_log: over.y_log };
    drawn.then(|| {
        // Round ones where each of many values would not have room.
        let ticks = if xs.len() <= MOST_TICKS { &xs[..] } else { &[] };
        let mut figure = lines_in_rows(name, title, &axes, &panel_rows, ticks);
        figure.caption = format!("{} {}", figure.caption, seeds(&swept, over.y_log));
        figure
    })
}

/// A measure over seeds.
struct Summary {
    middle: f64,
    band: (f64, f64),
}

impl Summary {
    /// Of the finite values; `None` without any. On a logarithmic axis, where a mean less its
    /// standard deviation may have no place, the median and the quartiles.
    fn of(values: Vec<f64>, log: bool) -> Option<Summary> {
        let known: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        if log {
            let [low, middle, high] = quartiles(known)?;
            return Some(Summary { middle, band: (low, high) });
        }
        let middle = stats::mean(&known)?;
        let spread = stats::std(&known).unwrap_or(0.0);
        Some(Summary { middle, band: (middle - spread, middle + spread) })
    }
}

/// The quartiles, interpolated between values; `None` without any.
fn quartiles(mut values: Vec<f64>) -> Option<[f64; 3]> {
    let last = values.len().checked_sub(1)?;
    values.sort_by(f64::total_cmp);
    Some([0.25, 0.5, 0.75].map(|part| {
        let place = part * last as f64;
        let below = place.floor() as usize;
        let (low, high) = (values[below], values[(below + 1).min(last)]);
        low + (high - low) * (place - below as f64)
    }))
}

/// The caption of lines and bands, with the number of seeds.
fn seeds(swept: &[(&Variant, &Stored)], log: bool) -> String {
    let counts = || swept.iter().map(|(_, stored)| stored.runs.len());
    let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    let over = if least == most { format!("{most}") } else { format!("{least} to {most}") };
    match log {
        true => {
            format!("Medians over {over} seeds, the bands from the lower to the upper quartile.")
        }
        false => {
            format!("Means over {over} seeds, the bands one standard deviation to either side.")
        }
    }
}

fn place<'v>(variant: &'v Variant, key: &str) -> Option<&'v Place> {
    variant.places.iter().find(|place| place.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithmic_axis_has_medians_and_quartiles() {
        let values = vec![0.001, f64::NAN, 0.01, 0.1, 10.0, 0.02];
        let Summary { middle, band } = Summary::of(values.clone(), true).unwrap();
        assert_eq!((middle, band), (0.02, (0.01, 0.1)));
        // The mean less its standard deviation has no place on it.
        assert!(Summary::of(values, false).unwrap().band.0 < 0.0);
        assert_eq!(quartiles(vec![1.0, 2.0]), Some([1.25, 1.5, 1.75]));
        assert!(quartiles(Vec::new()).is_none());
    }
}
