//! Turning a matrix about its diagonal, for the weight gradient.

use crate::isa::for_every_isa;

/// Rows and columns of a block that fits into a few cache lines.
const BLOCK: usize = 16;

for_every_isa! {
    /// `to[column][row] = from[row][column]` for `rows × columns` numbers; rows lie `from_row` and
    /// `to_row` apart.
    pub(crate) fn transpose<T>(
        from: &[T], from_row: usize, rows: usize, columns: usize, to: &mut [T], to_row: usize,
    ) {
        for row0 in (0..rows).step_by(BLOCK) {
            let row1 = rows.min(row0 + BLOCK);
            for column0 in (0..columns).step_by(BLOCK) {
                let column1 = columns.min(column0 + BLOCK);
                for column in column0..column1 {
                    let line = &mut to[column * to_row + row0..column * to_row + row1];
                    for (i, out) in line.iter_mut().enumerate() {
                        *out = from[(row0 + i) * from_row + column];
                    }
                }
            }
        }
    }
}
