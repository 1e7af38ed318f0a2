//! Measures over the values of swept keys: small multiples with a band over seeds.

use retrodict_lab::{Measure, stats};

use super::Stored;
use crate::figure::{Axes, Figure, Panel, Series, SeriesKind, lines_with_ticks};
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
        let mut points: Vec<(f64, f64, f64)> = of
            .filter_map(|(variant, stored)| {
                let values = stored.values(measure);
                let known = || values.iter().copied().filter(|value| value.is_finite());
                let mean = stats::mean(&known().collect::<Vec<_>>())?;
                let spread = stats::std(&known().collect::<Vec<_>>()).unwrap_or(0.0);
                Some((place(variant, &over.x)?.value, mean, spread))
            })
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let series = |label: String, points: Vec<(f64, f64, f64)>| Series {
        label,
        spread: points.iter().map(|point| point.2).collect(),
        points: points.iter().map(|point| (point.0, point.1)).collect(),
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
        Some(Series { label: level.label.clone(), points, spread: Vec::new(), kind })
    };
    let heading = |measure: &Measure| measure.heading.to_owned();
    let panels: Vec<Panel> = match &over.series {
        // The measures are the panels' rows.
        Some(_) => over
            .measures
            .iter()
            .flat_map(|measure| columns.iter().map(move |panel| (*measure, panel)))
            .map(|(measure, panel)| Panel {
                title: panel
                    .as_ref()
                    .map_or_else(|| heading(measure), |p| format!("{}, {p}", heading(measure))),
                series: rows
                    .iter()
                    .map(|row| series(row.clone().unwrap_or_default(), points(measure, row, panel)))
                    .chain(level())
                    .filter(|series| !series.points.is_empty())
                    .collect(),
            })
            .collect(),
        // The measures are the series.
        None => columns
            .iter()
            .map(|panel| Panel {
                title: panel.clone().unwrap_or_default(),
                series: over
                    .measures
                    .iter()
                    .map(|measure| series(heading(measure), points(measure, &None, panel)))
                    .chain(level())
                    .filter(|series| !series.points.is_empty())
                    .collect(),
            })
            .collect(),
    };
    let measured = |series: &Series| series.kind == SeriesKind::Line;
    let drawn = panels.iter().flat_map(|panel| &panel.series).any(measured);
    let axes =
        Axes { x: over.x_label.clone(), y: over.y_label.clone(), x_log: over.x_log, y_log: false };
    drawn.then(|| {
        // Round ones where each of many values would not have room.
        let ticks = if xs.len() <= MOST_TICKS { &xs[..] } else { &[] };
        let mut figure = lines_with_ticks(name, title, &axes, &panels, ticks);
        figure.caption = format!("{} {}", figure.caption, seeds(&swept));
        figure
    })
}

/// The caption of lines and bands, with the number of seeds.
fn seeds(swept: &[(&Variant, &Stored)]) -> String {
    let counts = || swept.iter().map(|(_, stored)| stored.runs.len());
    let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    let over = if least == most { format!("{most}") } else { format!("{least} to {most}") };
    format!("Means over {over} seeds, the bands one standard deviation to either side.")
}

fn place<'v>(variant: &'v Variant, key: &str) -> Option<&'v Place> {
    variant.places.iter().find(|place| place.key == key)
}
