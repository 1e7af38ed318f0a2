//! One matrix of effective weights, as a picture needs it.

use retrodict_lab::store::{Tensor, Tensors, Values};
use serde_json::json;

use crate::failure::Failure;

/// The most rows and columns that are sent; larger matrices are averaged over blocks.
const MOST: usize = 256;

/// The names of the matrices of a probe.
fn matrices(tensors: &Tensors) -> impl Iterator<Item = &Tensor<'static>> {
    tensors.iter().filter(|tensor| tensor.shape.len() == 2 && !tensor.values.is_empty())
}

/// A matrix in bytes: the length of a JSON text (4 bytes, little-endian), the text, zeros up to a
/// multiple of 4, and the cells as f32, little-endian, by row. The text has `rows` and `columns`
/// (of the cells sent), `size` (of the whole matrix), `least` and `largest`, the tensor's name,
/// those of all, and the token ids of both axes.
///
/// # Errors
/// [`Failure`] if there is no matrix of that name.
pub(crate) fn encode(tensors: &Tensors, name: Option<&str>) -> Result<Vec<u8>, Failure> {
    let tensor = match name {
        Some(name) => matrices(tensors).find(|tensor| tensor.name == name),
        None => matrices(tensors).next(),
    };
    let Some(tensor) = tensor else {
        return Err(Failure::missing("the probe has no such matrix"));
    };
    let numbers: Vec<f32> = match &tensor.values {
        Values::F32(values) => values.to_vec(),
        Values::F64(values) => values.iter().map(|value| *value as f32).collect(),
    };
    let (rows, columns) = (tensor.shape[0], tensor.shape[1]);
    let finite = || numbers.iter().copied().filter(|x| x.is_finite());
    let (least, largest) = (finite().reduce(f32::min), finite().reduce(f32::max));
    let (cells, sent_rows, sent_columns) = shrink(&numbers, rows, columns);
    let group = tensor.name.strip_suffix(".in_context").unwrap_or(&tensor.name);
    let ids = |suffix: &str| {
        let found = tensors.find(&format!("{group}{suffix}"));
        found.and_then(|tensor| tensor.values.as_f64()).unwrap_or_default().to_vec()
    };
    let text = json!({
        "tensor": tensor.name,
        "tensors": matrices(tensors).map(|tensor| &*tensor.name).collect::<Vec<_>>(),
        "rows": sent_rows,
        "columns": sent_columns,
        "size": [rows, columns],
        "least": least,
        "largest": largest,
        "row_ids": ids(retrodict_lab::probe::ROWS),
        "column_ids": ids(retrodict_lab::probe::COLUMNS),
    })
    .to_string();
    let mut bytes = Vec::with_capacity(text.len() + 8 + 4 * cells.len());
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(cells.iter().flat_map(|cell| cell.to_le_bytes()));
    Ok(bytes)
}

/// The means over blocks of at most [`MOST`] rows and columns, and their numbers.
fn shrink(numbers: &[f32], rows: usize, columns: usize) -> (Vec<f32>, usize, usize) {
    let (by_row, by_column) = (rows.div_ceil(MOST), columns.div_ceil(MOST));
    if by_row <= 1 && by_column <= 1 {
        return (numbers.to_vec(), rows, columns);
    }
    let (small_rows, small_columns) = (rows.div_ceil(by_row), columns.div_ceil(by_column));
    let mut cells = Vec::with_capacity(small_rows * small_columns);
    for row in 0..small_rows {
        for column in 0..small_columns {
            let block = (row * by_row..((row + 1) * by_row).min(rows)).flat_map(|r| {
                let end = ((column + 1) * by_column).min(columns);
                numbers[r * columns + column * by_column..r * columns + end].iter()
            });
            let (sum, count) =
                block.fold((0.0, 0), |(sum, count), x| (sum + f64::from(*x), count + 1));
            cells.push((sum / f64::from(count)) as f32);
        }
    }
    (cells, small_rows, small_columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_matrix_is_averaged_over_blocks() {
        let (rows, columns) = (600, 300);
        let numbers: Vec<f32> = (0..rows * columns).map(|at| (at / columns) as f32).collect();
        let (cells, small_rows, small_columns) = shrink(&numbers, rows, columns);
        assert_eq!((small_rows, small_columns, cells.len()), (200, 150, 200 * 150));
        assert_eq!((cells[0], cells[150], cells[199 * 150]), (1.0, 4.0, 598.0));
        assert_eq!(shrink(&numbers[..6], 2, 3), (numbers[..6].to_vec(), 2, 3));
    }
}
