//! Drawings beside and below each other.

use super::Drawing;

/// Lays drawings out row by row, `columns` to a row; a column is as wide as its widest drawing, a
/// row as high as its highest.
pub fn arrange(parts: Vec<Drawing>, columns: usize, gap: (f64, f64)) -> Drawing {
    let columns = columns.clamp(1, parts.len().max(1));
    let rows = parts.len().div_ceil(columns);
    let mut widths = vec![0f64; columns];
    let mut heights = vec![0f64; rows];
    for (i, part) in parts.iter().enumerate() {
        widths[i % columns] = widths[i % columns].max(part.width);
        heights[i / columns] = heights[i / columns].max(part.height);
    }
    let (x, width) = offsets(&widths, gap.0);
    let (y, height) = offsets(&heights, gap.1);
    let mut whole = Drawing::new(width, height);
    for (i, part) in parts.into_iter().enumerate() {
        whole.place(x[i % columns], y[i / columns], part);
    }
    whole
}

/// Where each of the sizes starts, and where the last one ends.
fn offsets(sizes: &[f64], gap: f64) -> (Vec<f64>, f64) {
    let mut end = -gap;
    let starts = sizes
        .iter()
        .map(|size| {
            let start = end + gap;
            end = start + size;
            start
        })
        .collect();
    (starts, end.max(0.0))
}

/// The same drawing with an empty margin on all sides.
pub fn margin(part: Drawing, margin: f64) -> Drawing {
    let mut whole = Drawing::new(part.width + 2.0 * margin, part.height + 2.0 * margin);
    whole.place(margin, margin, part);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_rows_take_the_largest() {
        let parts = [(10.0, 5.0), (20.0, 7.0), (15.0, 9.0)];
        let parts = parts.map(|(w, h)| Drawing::new(w, h)).to_vec();
        let whole = arrange(parts, 2, (3.0, 4.0));
        assert_eq!((whole.width, whole.height), (15.0 + 3.0 + 20.0, 7.0 + 4.0 + 9.0));
        let none = arrange(Vec::new(), 2, (3.0, 4.0));
        assert_eq!((none.width, none.height), (0.0, 0.0));
    }
}
