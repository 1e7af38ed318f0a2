//! Arithmetic on rows of numbers, for models simulated without a graph.

use crate::isa::for_every_isa;

/// Partial sums of a reduction: it vectorises, and its order is the same on every machine.
const LANES: usize = 16;

for_every_isa! {
    /// `out = left_weight · left + right_weight · right`; raises `highest` to the largest of it.
    ///
    /// # Panics
    /// Unless all rows have one length.
    pub fn mix<T>(
        left_weight: T, left: &[T], right_weight: T, right: &[T], out: &mut [T], highest: &mut T,
    ) {
        assert!(left.len() == out.len() && right.len() == out.len(), "rows of one length");
        // One pass: distant rows are read once, and the maximum is taken in registers.
        let (outs, out_rest) = out.as_chunks_mut::<LANES>();
        let ((lefts, left_rest), (rights, right_rest)) =
            (left.as_chunks::<LANES>(), right.as_chunks::<LANES>());
        let mut lanes = [T::from_f64(f64::NEG_INFINITY); LANES];
        for ((out, left), right) in outs.iter_mut().zip(lefts).zip(rights) {
            for lane in 0..LANES {
                out[lane] = left[lane].fused::<FUSED>(left_weight, right[lane] * right_weight);
                lanes[lane] = lanes[lane].larger(out[lane]);
            }
        }
        for ((out, &left), &right) in out_rest.iter_mut().zip(left_rest).zip(right_rest) {
            *out = left.fused::<FUSED>(left_weight, right * right_weight);
        }
        let all = lanes.iter().chain(&*out_rest);
        *highest = all.fold(lanes[0], |highest, &value| highest.larger(value));
    }

    /// `values = exp(values − shift)`, and their sum. As [`Scalar::exp`](crate::Scalar::exp), it
    /// saturates.
    pub fn exponentials<T>(shift: T, values: &mut [T], sum: &mut T) {
        let (chunks, rest) = values.as_chunks_mut::<LANES>();
        let mut lanes = [T::ZERO; LANES];
        for chunk in chunks {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *value = (*value - shift).exp::<FUSED>();
                *lane += *value;
            }
        }
        rest.iter_mut().for_each(|value| *value = (*value - shift).exp::<FUSED>());
        *sum = lanes.iter().chain(&*rest).copied().sum();
    }

    /// The inner product of two rows.
    ///
    /// # Panics
    /// Unless they have one length.
    pub fn inner_product<T>(left: &[T], right: &[T], product: &mut T) {
        assert!(left.len() == right.len(), "rows of one length");
        let ((left, left_rest), (right, right_rest)) =
            (left.as_chunks::<LANES>(), right.as_chunks::<LANES>());
        let mut lanes = [T::ZERO; LANES];
        for (left, right) in left.iter().zip(right) {
            for ((lane, &left), &right) in lanes.iter_mut().zip(left).zip(right) {
                *lane = left.fused::<FUSED>(right, *lane);
            }
        }
        let rest = left_rest.iter().zip(right_rest).map(|(&left, &right)| left * right);
        *product = lanes.iter().copied().chain(rest).sum();
    }

    /// `out += scale · values`.
    ///
    /// # Panics
    /// Unless both have one length.
    pub fn add_scaled<T>(scale: T, values: &[T], out: &mut [T]) {
        assert!(values.len() == out.len(), "rows of one length");
        for (out, &value) in out.iter_mut().zip(values) {
            *out = value.fused::<FUSED>(scale, *out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    #[test]
    fn rows_of_any_length_agree_with_plain_sums() {
        for (isa, length) in
            Isa::available().into_iter().flat_map(|isa| [1, 15, 16, 37].map(|n| (isa, n)))
        {
            let left: Vec<f64> = (0..length).map(|i| f64::from(i * 7 % 11) - 5.0).collect();
            let right: Vec<f64> = (0..length).map(|i| f64::from(i * 5 % 13) - 6.0).collect();
            let (mut mixed, mut highest) = (vec![0.0; left.len()], f64::NAN);
            mix(isa, 0.5, &left, -2.0, &right, &mut mixed, &mut highest);
            let plain: Vec<f64> = left.iter().zip(&right).map(|(l, r)| 0.5 * l - 2.0 * r).collect();
            assert_eq!(mixed, plain);
            assert_eq!(highest, plain.iter().copied().fold(f64::NEG_INFINITY, f64::max));

            let mut product = f64::NAN;
            inner_product(isa, &left, &right, &mut product);
            assert_eq!(product, left.iter().zip(&right).map(|(l, r)| l * r).sum::<f64>());

            let mut sum = f64::NAN;
            exponentials(isa, highest, &mut mixed, &mut sum);
            let expected: f64 = plain.iter().map(|x| (x - highest).exp()).sum();
            assert!((sum / expected - 1.0).abs() < 1e-14, "{isa} {length}");

            let mut out = left.clone();
            add_scaled(isa, 4.0, &right, &mut out);
            assert!(out.iter().zip(&left).zip(&right).all(|((o, l), r)| *o == l + 4.0 * r));
        }
    }
}
