//! The transpose of a matrix, for the weight gradient.

use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::scalar::PerScalar;
use crate::scalar::Scalar;

/// Rows and columns of the block that is transposed in registers.
const TILE: usize = 8;

/// `to[column][row] = from[row][column]` for `rows × columns` numbers; `from_row` and `to_row`
/// are the strides between rows.
///
/// # Panics
/// If the slices are too short.
pub(crate) fn transpose<T: Scalar>(
    isa: Isa,
    from: &[T],
    from_row: usize,
    rows: usize,
    columns: usize,
    to: &mut [T],
    to_row: usize,
) {
    assert!(rows == 0 || columns == 0 || from.len() >= (rows - 1) * from_row + columns);
    assert!(rows == 0 || columns == 0 || to.len() >= (columns - 1) * to_row + rows);
    #[cfg(target_arch = "x86_64")]
    if let Some(tiles) = T::choose(Tiles)
        && isa != Isa::PORTABLE
        && rows >= TILE
        && columns.is_multiple_of(TILE)
    {
        // SAFETY: both instruction sets include AVX2; the slices were checked above.
        return unsafe { tiles(from.as_ptr(), from_row, rows, columns, to.as_mut_ptr(), to_row) };
    }
    let _ = isa;
    for row0 in (0..rows).step_by(TILE) {
        for column in 0..columns {
            for row in row0..rows.min(row0 + TILE) {
                to[column * to_row + row] = from[row * from_row + column];
            }
        }
    }
}

/// The kernel for whole tiles, which only `f32` has.
#[cfg(target_arch = "x86_64")]
struct Tiles;

#[cfg(target_arch = "x86_64")]
impl PerScalar for Tiles {
    type Of<T: Scalar> = Option<unsafe fn(*const T, usize, usize, usize, *mut T, usize)>;

    #[inline(always)]
    fn for_f32(self) -> Self::Of<f32> {
        Some(tiles)
    }
    #[inline(always)]
    fn for_f64(self) -> Self::Of<f64> {
        None
    }
}

/// Transposes whole tiles; where the rows are not a multiple of a tile, the last one overlaps the
/// one before it and writes the same numbers again.
///
/// # Safety
/// The processor must have AVX2, the memory the sizes given; `rows` is at least a tile and
/// `columns` a multiple of it.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn tiles(
    from: *const f32,
    from_row: usize,
    rows: usize,
    columns: usize,
    to: *mut f32,
    to_row: usize,
) {
    let mut row = 0;
    loop {
        for column in (0..columns).step_by(TILE) {
            // SAFETY: the tile lies within the matrix.
            unsafe {
                let from = from.add(row * from_row + column);
                tile(from, from_row, to.add(column * to_row + row), to_row);
            }
        }
        if row + TILE >= rows {
            return;
        }
        row = (row + TILE).min(rows - TILE);
    }
}

/// Transposes eight rows of eight.
///
/// # Safety
/// As [`tiles`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn tile(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
    use std::arch::x86_64::*;
    // SAFETY: eight rows of eight numbers are readable, and as many writable.
    unsafe {
        let row = |i: usize| _mm256_loadu_ps(from.add(i * from_row));
        // Pairs of rows, then groups of four, then both halves.
        let pair = |i: usize| {
            let (a, b) = (row(i), row(i + 1));
            (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b))
        };
        let four = |i: usize| {
            let ((a, b), (c, d)) = (pair(i), pair(i + 2));
            [
                _mm256_shuffle_ps::<0x44>(a, c),
                _mm256_shuffle_ps::<0xEE>(a, c),
                _mm256_shuffle_ps::<0x44>(b, d),
                _mm256_shuffle_ps::<0xEE>(b, d),
            ]
        };
        let (upper, lower) = (four(0), four(4));
        for (i, (u, l)) in upper.into_iter().zip(lower).enumerate() {
            _mm256_storeu_ps(to.add(i * to_row), _mm256_permute2f128_ps::<0x20>(u, l));
            _mm256_storeu_ps(to.add((i + 4) * to_row), _mm256_permute2f128_ps::<0x31>(u, l));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_goes_to_its_place_and_nowhere_else() {
        for isa in Isa::available() {
            for (rows, columns) in [(1, 16), (7, 8), (8, 16), (13, 32), (20, 16), (24, 5), (0, 8)] {
                let (from_row, to_row) = (columns + 3, rows + 5);
                let from: Vec<f32> = (0..rows * from_row).map(|i| i as f32).collect();
                let mut to = vec![-1.0; columns * to_row];
                transpose(isa, &from, from_row, rows, columns, &mut to, to_row);
                for column in 0..columns {
                    for row in 0..to_row {
                        let expected =
                            if row < rows { from[row * from_row + column] } else { -1.0 };
                        assert_eq!(to[column * to_row + row], expected, "{rows}×{columns}");
                    }
                }
            }
        }
    }
}
