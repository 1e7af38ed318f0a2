//! Runs as points: swept keys and measures as axes of a scatter or of parallel coordinates.

use retrodict_lab::Cell;
use retrodict_lab::runs::Column;
use serde_json::{Value, json};

use crate::curves::short;
use crate::table::Table;

/// The most runs of an answer.
pub(crate) const MOST_POINTS: usize = 4000;
/// The most axes.
pub(crate) const MOST_AXES: usize = 16;

/// The values of runs on some axes as JSON: an axis of numbers has `values`; any other has `labels`
/// and as `values` their places. Of more than [`MOST_POINTS`] runs every n-th, and those with the
/// smallest and largest value of each axis.
pub(crate) fn points(table: &Table, runs: &[u32], axes: &[Column]) -> Value {
    let places: Vec<_> = axes.iter().take(MOST_AXES).map(|axis| table.place(axis)).collect();
    let step = runs.len().div_ceil(MOST_POINTS).max(1);
    let mut kept: Vec<usize> = (0..runs.len()).step_by(step).collect();
    if step > 1 {
        for place in &places {
            let numbers = || {
                let cells = runs.iter().enumerate();
                cells.filter_map(|(at, &run)| Some((at, table.cell(run, place).number()?)))
            };
            kept.extend(numbers().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at));
            kept.extend(numbers().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at));
        }
        kept.sort_unstable();
        kept.dedup();
    }
    let axes: Vec<Value> = axes
        .iter()
        .zip(&places)
        .map(|(column, place)| {
            let cells: Vec<Cell> = kept.iter().map(|&at| table.cell(runs[at], place)).collect();
            axis(column, &cells)
        })
        .collect();
    json!({
        "total": runs.len(),
        "runs": kept.iter().map(|&at| runs[at]).collect::<Vec<_>>(),
        "axes": axes,
    })
}

fn axis(column: &Column, cells: &[Cell]) -> Value {
    let present = || cells.iter().filter(|cell| **cell != Cell::Missing);
    if present().all(|cell| cell.number().is_some()) {
        let values: Vec<Value> =
            cells.iter().map(|cell| cell.number().map_or(Value::Null, short)).collect();
        return json!({ "name": column.name(), "values": values });
    }
    let mut labels: Vec<&Cell> = present().collect();
    labels.sort_by(|a, b| a.sorting(b));
    labels.dedup();
    let values: Vec<Option<usize>> =
        cells.iter().map(|cell| labels.iter().position(|label| *label == cell)).collect();
    let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
    json!({ "name": column.name(), "labels": labels, "values": values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_places_among_their_labels() {
        let text = |text: &str| Cell::Text(text.to_owned());
        let cells = [text("sgd"), Cell::Missing, text("adamw"), text("sgd")];
        let axis = axis(&Column::Key("train.optimizer".to_owned()), &cells);
        assert_eq!(axis["labels"], json!(["adamw", "sgd"]));
        assert_eq!(axis["values"], json!([1, null, 0, 1]));
    }
}
