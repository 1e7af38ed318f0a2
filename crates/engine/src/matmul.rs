//! Products of `f64` matrices, for computations without a graph.

use crate::isa::Isa;
use crate::kernels::{Product, Start};
use crate::matrix::Buffer;

/// Rows and columns of the packed block of the right-hand matrix: half of a second-level cache of
/// one mebibyte.
const BLOCK: [usize; 2] = [512, 128];

/// `out = left · right` for a `[rows, inner]` and an `[inner, columns]` matrix, on `threads`
/// threads. `left` and `out` are row-major; `right` has any strides between its rows and its
/// columns, so that a transposed matrix needs no copy.
///
/// Each element is summed over `inner` in ascending order: the bits do not depend on the threads.
///
/// # Panics
/// Unless the slices have the sizes of the matrices, and all of `right` lies within its strides.
pub fn matmul(
    threads: usize,
    [rows, inner, columns]: [usize; 3],
    left: &[f64],
    right: &[f64],
    strides: [usize; 2],
    out: &mut [f64],
) {
    let lengths = [left.len(), right.len(), out.len()];
    let sizes = [[rows, inner], [inner, columns], [rows, columns]];
    let expected = sizes.map(|[height, width]| height.checked_mul(width));
    assert!(expected == lengths.map(Some), "a product of {sizes:?}, but {lengths:?} numbers");
    if right.is_empty() || rows == 0 {
        return out.fill(0.0);
    }
    let last = |size: usize, stride: usize| (size - 1).checked_mul(stride);
    let last = last(inner, strides[0]).zip(last(columns, strides[1]));
    let last = last.and_then(|(row, column)| row.checked_add(column));
    assert!(last.is_some_and(|last| last < right.len()), "no strides of {sizes:?}: {strides:?}");
    let isa = Isa::detect();
    let rows = rows.div_ceil(threads.max(1));
    let parts = left.chunks(rows * inner).zip(out.chunks_mut(rows * columns));
    std::thread::scope(|scope| {
        for (at, (left, out)) in parts.enumerate().collect::<Vec<_>>().into_iter().rev() {
            let size = [inner, columns];
            if at == 0 {
                // The calling thread takes the first part.
                some_rows(isa, size, left, right, strides, out);
            } else {
                // The rows are given to the thread once it has started.
                let (send, receive) = std::sync::mpsc::channel();
                let work = move || {
                    if let Ok(out) = receive.recv() {
                        some_rows(isa, size, left, right, strides, out);
                    }
                };
                match std::thread::Builder::new().spawn_scoped(scope, work) {
                    Ok(_) => drop(send.send(out)),
                    Err(_) => some_rows(isa, size, left, right, strides, out),
                }
            }
        }
    });
}

/// The product for some rows of `left`, block by block of `right`.
fn some_rows(
    isa: Isa,
    [inner, columns]: [usize; 2],
    left: &[f64],
    right: &[f64],
    [row_stride, column_stride]: [usize; 2],
    out: &mut [f64],
) {
    let width = BLOCK[1].min(columns.next_multiple_of(16));
    let mut panel = Buffer::<f64>::zeros(BLOCK[0].min(inner) * width);
    for column in (0..columns).step_by(BLOCK[1]) {
        let wide = BLOCK[1].min(columns - column);
        for k in (0..inner).step_by(BLOCK[0]) {
            let deep = BLOCK[0].min(inner - k);
            let from = &right[k * row_stride + column * column_stride..];
            let to = panel.as_mut_slice();
            if column_stride == 1 {
                for (row, to) in to.chunks_exact_mut(width).take(deep).enumerate() {
                    to[..wide].copy_from_slice(&from[row * row_stride..][..wide]);
                }
            } else {
                for at in 0..wide {
                    let from = from[at * column_stride..].iter().step_by(row_stride);
                    let to = to[at..].iter_mut().step_by(width);
                    to.zip(from).take(deep).for_each(|(to, from)| *to = *from);
                }
            }
            let product = Product {
                a: left[k..].as_ptr(),
                a_row: inner,
                a_k: 1,
                b: panel.as_slice().as_ptr(),
                b_row: width,
                c: out[column..].as_mut_ptr(),
                c_row: columns,
                rows: left.len() / inner,
                columns: wide,
                k: deep,
                start: if k == 0 { Start::Zero } else { Start::Accumulate },
            };
            // SAFETY: `matmul` has asserted the sizes of `left` and `out`, of which these are whole
            // rows: the block lies within them. The rows of the panel are a multiple of 16 wide,
            // `deep` of them fit, and `out` is borrowed mutably.
            unsafe { product.run(isa) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_sum_of_products_in_both_orientations() {
        let number = |at: usize| f64::from((at * 7919 % 17) as u32) - 8.0;
        for threads in [1, 3] {
            for [rows, inner, columns] in [[1, 1, 1], [7, 11, 5], [12, 1100, 130], [3, 4, 300]] {
                let left: Vec<f64> = (0..rows * inner).map(number).collect();
                let right: Vec<f64> = (0..inner * columns).map(|at| number(at + 5)).collect();
                for strides in [[columns, 1], [1, inner]] {
                    let mut out = vec![f64::NAN; rows * columns];
                    matmul(threads, [rows, inner, columns], &left, &right, strides, &mut out);
                    for (at, &found) in out.iter().enumerate() {
                        let (row, column) = (at / columns, at % columns);
                        let term = |k: usize| {
                            left[row * inner + k] * right[k * strides[0] + column * strides[1]]
                        };
                        // Small whole numbers: every order of summation gives the same bits.
                        assert_eq!(found, (0..inner).map(term).sum::<f64>());
                    }
                }
            }
        }
    }
}
