//! Sums over sixteen lanes.

use crate::isa::{Isa, by_isa};
use crate::lanes::SUM_LANES;
use crate::scalar::Scalar;
use crate::vector::{TOTALS, Vector};

/// Writes or adds the sum of each sixteen numbers to `out`, in the order of
/// [`tree`](crate::lanes::tree) but for sixteen sums at once.
///
/// # Panics
/// Unless there are as many of both.
pub(crate) fn totals<T: Scalar>(
    isa: Isa,
    sums: &[[T; SUM_LANES]],
    out: &mut [T],
    accumulate: bool,
) {
    assert_eq!(sums.len(), out.len(), "a total for each");
    let (blocks, rest) = sums.as_chunks::<TOTALS>();
    let (outs, rest_out) = out.as_chunks_mut::<TOTALS>();
    for (sums, out) in blocks.iter().zip(outs) {
        block(isa, sums, out, accumulate);
    }
    if !rest.is_empty() {
        let mut sums = [[T::ZERO; SUM_LANES]; TOTALS];
        sums[..rest.len()].copy_from_slice(rest);
        block(isa, &sums, rest_out, accumulate);
    }
}

/// The first totals of a block, as many as `out` holds.
fn block<T: Scalar>(isa: Isa, sums: &[[T; SUM_LANES]; TOTALS], out: &mut [T], accumulate: bool) {
    let totals = by_isa!(
        isa,
        fn<T>(sums: &[[T; SUM_LANES]; TOTALS]) -> [T; TOTALS],
        of::<T, T::V512>(sums),
        of::<T, T::V256>(sums),
        of::<T, T::VPortable>(sums),
    );
    for (out, total) in out.iter_mut().zip(totals) {
        *out = if accumulate { *out + total } else { total };
    }
}

/// # Safety
/// The processor must have the instructions of `V`.
#[inline(always)]
unsafe fn of<T: Scalar, V: Vector<T>>(sums: &[[T; SUM_LANES]; TOTALS]) -> [T; TOTALS] {
    // SAFETY: a register has at most sixteen lanes, of which all lie in the row.
    unsafe {
        let mut registers = [V::splat(T::ZERO); TOTALS];
        for (register, sums) in registers.iter_mut().zip(sums) {
            let part = |i: usize| V::load(sums.as_ptr().add(i * V::LANES));
            *register = match SUM_LANES / V::LANES {
                1 => part(0),
                2 => part(0).add(part(1)),
                _ => part(0).add(part(2)).add(part(1).add(part(3))),
            };
        }
        V::totals(registers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::tree;

    fn check<T: Scalar>(count: usize) {
        let sums: Vec<[T; SUM_LANES]> = (0..count)
            .map(|i| std::array::from_fn(|l| T::from_f64(((i * 31 + l * 7919) as f64).sin())))
            .collect();
        for isa in Isa::available() {
            for accumulate in [false, true] {
                let mut out = vec![T::ONE; count];
                totals(isa, &sums, &mut out, accumulate);
                for (sums, out) in sums.iter().zip(out) {
                    let total = tree(*sums);
                    let expected = if accumulate { T::ONE + total } else { total };
                    assert_eq!(out, expected, "{isa:?}");
                }
            }
        }
    }

    #[test]
    fn equal_the_tree_bit_for_bit() {
        for count in [0, 1, 15, 16, 37] {
            check::<f32>(count);
            check::<f64>(count);
        }
    }
}
