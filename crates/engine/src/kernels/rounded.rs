//! The matrix product with both operands rounded to bf16, summed in the program's own scalar.
//!
//! bf16 is the upper half of an f32: its exponent and 8 significant bits. Operands are rounded to
//! the nearest (ties to even) while they are copied, block by block, for the kernel of [`product`];
//! a weight is read from memory once. Nothing else is rounded.
//!
//! Where the processor has AVX512-BF16 and the sums are f32, two neighbours along k share a word
//! and one instruction multiplies and adds both. Elsewhere the rounded numbers stay in the scalar's
//! own format: the *emulation*, as fast as the exact product except for the copies.
//!
//! **The error bound.** The product of two bf16 numbers is exact in f32, so either path
//! errs only where it adds: at most once a term, by 2⁻²⁴ of the sum. Against the exact
//! `S = start + Σ a·b` over the rounded operands, with `M = |start| + Σ |a·b|`, each path is within
//! `(k + 1) · 2⁻²³ · M` — half of it for k additions, the other half for second-order terms and for
//! processors that round a pair of products before they add it — plus `(k + 1) · 2⁻¹²⁵` where
//! something is subnormal, which the instruction takes for 0. The two paths are within twice that.
//! In f64 only the emulation exists, and its bound is the same with 2⁻⁵² in place of 2⁻²³.

#[cfg(target_arch = "x86_64")]
use crate::isa::Set;
use crate::isa::{Isa, by_isa};
use crate::kernels::product::{Ahead, K_BLOCK, LINE, Multiply, Product, Start, product};
use crate::scalar::Scalar;

/// Rows of the left-hand side that are rounded together: whole bands of the kernel and whole cache
/// lines, few enough to leave room in the second-level cache for the next rows.
const PANEL: usize = 48;

/// Numbers of scratch memory that a rounded product takes.
pub(crate) fn rounding_scratch(columns: usize, k: usize) -> usize {
    // An element holds one number, or two.
    K_BLOCK.min(k) * (width(columns) + PANEL)
}

/// The stride between rows of the right-hand side's copy: an odd number of registers, since an even
/// one would map many rows to the same cache sets.
fn width(columns: usize) -> usize {
    (columns.div_ceil(16) | 1) * 16
}

impl<T: Scalar> Product<T> {
    /// Computes it with A and B rounded to bf16; one of A's strides must be 1. `scratch` holds at
    /// least [`rounding_scratch`] numbers.
    ///
    /// # Safety
    /// As [`Product::run`].
    pub(crate) unsafe fn run_rounded(&self, isa: Isa, scratch: &mut [T]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(run) = T::choose(native::Native)
            && isa.set() == Set::Avx512
            && std::arch::is_x86_feature_detected!("avx512bf16")
        {
            // SAFETY: the processor has the features; the rest is the caller's promise.
            return unsafe { run(self, scratch) };
        }
        // SAFETY: the caller's promise.
        unsafe { self.emulate(isa, scratch) }
    }

    /// The same without instructions for bf16.
    ///
    /// # Safety
    /// As [`Product::run`].
    unsafe fn emulate(&self, isa: Isa, scratch: &mut [T]) {
        let p = self;
        by_isa!(
            isa,
            fn<T>(p: &Product<T>, scratch: &mut [T]),
            blocks::<T, T, T::V512, 6, 4>(p, scratch),
            blocks::<T, T, T::V256, 6, 2>(p, scratch),
            blocks::<T, T, T::VPortable, 4, 2>(p, scratch),
        );
    }
}

/// The bits of the nearest bf16 in the upper half, zeros below. NaN stays NaN.
#[inline(always)]
fn nearest(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000;
    if x.is_nan() { 0x7FC0_0000 } else { rounded }
}

/// The kernel's operand: [`DEPTH`](Element::DEPTH) neighbours along k, rounded.
trait Element<T>: Copy {
    const DEPTH: usize;

    /// Rounds the neighbours; `last` equals `first` where there is only one.
    fn round(first: T, last: T) -> Self;
}

impl<T: Scalar> Element<T> for T {
    const DEPTH: usize = 1;

    #[inline(always)]
    fn round(first: T, _last: T) -> T {
        T::from_f64(f64::from(f32::from_bits(nearest(first.to_f64() as f32))))
    }
}

/// Walks blocks of k, rounding those of B whole, then panels of rows, rounding those of A.
///
/// # Safety
/// As [`Product::run_rounded`]; the processor must have the instructions of `V`, and elements the
/// size of numbers.
#[inline(always)]
unsafe fn blocks<T, E, V, const R: usize, const C: usize>(p: &Product<T>, scratch: &mut [T])
where
    T: Scalar,
    E: Element<T>,
    V: Multiply<T, E>,
{
    const { assert!(size_of::<E>() == size_of::<T>()) }
    assert!(p.a_row == 1 || p.a_k == 1, "one side of A is contiguous");
    assert!(scratch.len() >= rounding_scratch(p.columns, p.k), "too little scratch memory");
    let width = width(p.columns);
    let (right, left) = scratch.split_at_mut(K_BLOCK.min(p.k) * width);
    let (right, left): (*mut E, *mut E) = (right.as_mut_ptr().cast(), left.as_mut_ptr().cast());
    for k0 in (0..p.k).step_by(K_BLOCK * E::DEPTH) {
        let k = (p.k - k0).min(K_BLOCK * E::DEPTH);
        let depth = k.div_ceil(E::DEPTH);
        let start = if k0 == 0 { p.start } else { Start::Accumulate };
        // SAFETY: the operands are readable for their shapes; the copies fit into their parts of
        // the scratch memory by the assertion, since depth ≤ K_BLOCK and depth ≤ k.
        unsafe {
            round_across(p.b.add(k0 * p.b_row), p.b_row, k, p.columns, right, width);
            for row in (0..p.rows).step_by(PANEL) {
                let rows = (p.rows - row).min(PANEL);
                let from = p.a.add(row * p.a_row + k0 * p.a_k);
                let (a_row, a_k) = if p.a_k == 1 {
                    round_along(from, p.a_row, k, rows, left, depth);
                    (depth, 1)
                } else {
                    round_across(from, p.a_k, k, rows, left, PANEL);
                    (1, PANEL)
                };
                // The next panel is read from memory, once: each band prefetches its part of the
                // lines.
                let after = (p.rows - row - rows).min(PANEL);
                let (count, len, step) =
                    if p.a_k == 1 { (after, k, p.a_row) } else { (k, after, p.a_k) };
                let lines = (len * size_of::<T>()).div_ceil(LINE);
                for band in (0..rows).step_by(R) {
                    let end = rows.min(band + R);
                    let ahead = (count * lines > 0).then(|| {
                        let first = count * lines * band / rows;
                        let (at, within) = (first / lines, first % lines);
                        let row = from.wrapping_add(PANEL * p.a_row + at * step).cast::<u8>();
                        Ahead {
                            first: row.wrapping_add(within * LINE),
                            lines: [lines - within, lines],
                            gap: (step * size_of::<T>()).wrapping_sub(lines * LINE),
                        }
                    });
                    let band = Product {
                        a: left.add(band * a_row).cast_const(),
                        a_row,
                        a_k,
                        b: right.cast_const(),
                        b_row: width,
                        c: p.c.add((row + band) * p.c_row),
                        c_row: p.c_row,
                        rows: end - band,
                        columns: p.columns,
                        k: depth,
                        start: start.at_row(row + band),
                    };
                    product::<T, E, V, R, C>(&band, ahead);
                }
            }
        }
    }
}

/// Rounds `k` rows of `len` numbers, `step` apart, to rows of elements, `to_step` apart.
///
/// # Safety
/// The memory must be valid for both shapes.
#[inline(always)]
unsafe fn round_across<T: Scalar, E: Element<T>>(
    from: *const T,
    step: usize,
    k: usize,
    len: usize,
    to: *mut E,
    to_step: usize,
) {
    for (row, first) in (0..k).step_by(E::DEPTH).enumerate() {
        let last = first + E::DEPTH - 1;
        // SAFETY: rows below `k` are readable, and as many elements writable.
        unsafe {
            let to = std::slice::from_raw_parts_mut(to.add(row * to_step), len);
            let firsts = std::slice::from_raw_parts(from.add(first * step), len);
            if last < k {
                let lasts = std::slice::from_raw_parts(from.add(last * step), len);
                for ((to, first), last) in to.iter_mut().zip(firsts).zip(lasts) {
                    *to = E::round(*first, *last);
                }
            } else {
                for (to, first) in to.iter_mut().zip(firsts) {
                    *to = E::round(*first, T::ZERO);
                }
            }
        }
    }
}

/// Rounds `rows` rows of `k` numbers, `step` apart, to rows of elements, `to_step` apart.
///
/// # Safety
/// The memory must be valid for both shapes.
#[inline(always)]
unsafe fn round_along<T: Scalar, E: Element<T>>(
    from: *const T,
    step: usize,
    k: usize,
    rows: usize,
    to: *mut E,
    to_step: usize,
) {
    for row in 0..rows {
        // SAFETY: the rows are readable, and as many elements writable.
        unsafe {
            let from = std::slice::from_raw_parts(from.add(row * step), k);
            let to = std::slice::from_raw_parts_mut(to.add(row * to_step), k.div_ceil(E::DEPTH));
            let whole = from.chunks_exact(E::DEPTH);
            if let (Some(first), Some(to)) = (whole.remainder().first(), to.last_mut()) {
                *to = E::round(*first, T::ZERO);
            }
            for (to, numbers) in to.iter_mut().zip(whole) {
                *to = E::round(numbers[0], numbers[E::DEPTH - 1]);
            }
        }
    }
}

/// AVX512-BF16.
#[cfg(target_arch = "x86_64")]
mod native {
    use std::arch::x86_64::*;

    use super::{Element, blocks, nearest};
    use crate::kernels::product::{Multiply, Product};
    use crate::scalar::{PerScalar, Scalar};

    /// The product by the processor's own instruction, which only `f32` has.
    pub(super) struct Native;

    impl PerScalar for Native {
        type Of<T: Scalar> = Option<unsafe fn(&Product<T>, &mut [T])>;

        #[inline(always)]
        fn for_f32(self) -> Self::Of<f32> {
            Some(run)
        }
        #[inline(always)]
        fn for_f64(self) -> Self::Of<f64> {
            None
        }
    }

    /// Two bf16 numbers, neighbours along k: the first in the lower half.
    #[derive(Clone, Copy)]
    #[repr(transparent)]
    struct Pair(u32);

    impl Element<f32> for Pair {
        const DEPTH: usize = 2;

        #[inline(always)]
        fn round(first: f32, last: f32) -> Pair {
            Pair(nearest(first) >> 16 | nearest(last))
        }
    }

    impl Multiply<f32, Pair> for __m512 {
        type Factors = __m512bh;

        #[inline(always)]
        unsafe fn spread(pair: Pair) -> __m512bh {
            // SAFETY: the caller vouches for the instruction set; both are 32 bf16 numbers.
            unsafe { std::mem::transmute(_mm512_set1_epi32(pair.0.cast_signed())) }
        }
        #[inline(always)]
        unsafe fn read(from: *const Pair) -> __m512bh {
            // SAFETY: the caller vouches for the instruction set and the pointer.
            unsafe { std::mem::transmute(_mm512_loadu_si512(from.cast())) }
        }
        #[inline(always)]
        unsafe fn add_product(self, left: __m512bh, right: __m512bh) -> __m512 {
            // SAFETY: the caller vouches for the instruction set.
            unsafe { _mm512_dpbf16_ps(self, left, right) }
        }
    }

    /// # Safety
    /// As [`Product::run_rounded`]; the processor must have the features.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
    unsafe fn run(p: &Product<f32>, scratch: &mut [f32]) {
        // SAFETY: the caller's promises.
        unsafe { blocks::<f32, Pair, __m512, 6, 4>(p, scratch) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    /// Draws of widely different sizes, both signs: sums over them cancel.
    fn draws(count: usize, stream: u32) -> Vec<f32> {
        let stream = Stream::new(7, Purpose::Initialisation, stream);
        let draws = (0..count).map(|i| stream.normals(i as u64));
        draws.map(|[size, sign, ..]| (sign * (2.0 * size).exp()) as f32).collect()
    }

    #[derive(Clone, Copy, Debug)]
    struct Case {
        rows: usize,
        columns: usize,
        k: usize,
        transposed: bool,
        accumulate: bool,
    }

    /// The results of every path, by name, and for each of their numbers the exact sum over rounded
    /// operands and the sum of absolute values.
    type Results<T> = (Vec<(String, Vec<T>)>, Vec<(f64, f64)>);

    fn compute<T: Scalar>(case: Case) -> Results<T> {
        let Case { rows, columns, k, transposed, accumulate } = case;
        let number = |x: &f32| T::from_f64(f64::from(*x));
        let (b_row, c_row) = (columns + 3, columns + 1);
        let a: Vec<T> = draws(rows * k, 1).iter().map(number).collect();
        let b: Vec<T> = draws(k * b_row, 2).iter().map(number).collect();
        let bias: Vec<T> = draws(rows, 3).iter().map(number).collect();
        let before: Vec<T> = draws(rows * c_row, 4).iter().map(number).collect();
        let (a_row, a_k) = if transposed { (1, rows) } else { (k, 1) };
        let mut scratch = vec![T::from_f64(f64::NAN); rounding_scratch(columns, k)];
        let mut run = |multiply: &dyn Fn(&Product<T>, &mut [T])| {
            let mut c = before.clone();
            multiply(
                &Product {
                    a: a.as_ptr(),
                    a_row,
                    a_k,
                    b: b.as_ptr(),
                    b_row,
                    c: c.as_mut_ptr(),
                    c_row,
                    rows,
                    columns,
                    k,
                    start: if accumulate { Start::Accumulate } else { Start::Bias(bias.as_ptr()) },
                },
                &mut scratch,
            );
            for row in 0..rows {
                assert_eq!(c[row * c_row + columns], before[row * c_row + columns], "{case:?}");
            }
            c
        };
        let mut results = Vec::new();
        for isa in Isa::available() {
            // SAFETY: the vectors have the sizes said.
            let c = run(&|product, scratch| unsafe { product.emulate(isa, scratch) });
            results.push((format!("{isa:?} emulated"), c));
            // SAFETY: as above.
            let c = run(&|product, scratch| unsafe { product.run_rounded(isa, scratch) });
            results.push((format!("{isa:?}"), c));
        }
        let rounded = |x: T| f64::from(f32::from_bits(nearest(x.to_f64() as f32)));
        let mut exact = Vec::new();
        for row in 0..rows {
            for column in 0..columns {
                let start = if accumulate { before[row * c_row + column] } else { bias[row] };
                let (mut sum, mut size) = (start.to_f64(), start.to_f64().abs());
                for k in 0..k {
                    let term = rounded(a[row * a_row + k * a_k]) * rounded(b[k * b_row + column]);
                    (sum, size) = (sum + term, size + term.abs());
                }
                exact.push((sum, size));
            }
        }
        for (_, c) in &mut results {
            *c = (0..rows).flat_map(|row| &c[row * c_row..][..columns]).copied().collect();
        }
        (results, exact)
    }

    fn cases() -> impl Iterator<Item = Case> {
        let all = [1, 5, 6, 20, 101].into_iter().flat_map(|rows| {
            [1, 16, 20, 64, 130].into_iter().flat_map(move |columns| {
                [(1, false, false), (9, true, false), (20, false, true), (1101, true, true)].map(
                    |(k, transposed, accumulate)| Case { rows, columns, k, transposed, accumulate },
                )
            })
        });
        all.filter(|case| !cfg!(miri) || (case.rows == 5 && case.columns == 20 && case.k == 9))
    }

    #[test]
    fn every_path_is_within_its_bound_of_the_exact_sum_over_rounded_operands() {
        for case in cases() {
            let (results, exact) = compute::<f32>(case);
            let unit = (case.k + 1) as f64 * 2f64.powi(-23);
            for (path, c) in results {
                for (c, (sum, size)) in c.iter().zip(&exact) {
                    let error = (f64::from(*c) - sum).abs();
                    assert!(error <= unit * size, "{path} {case:?}: {c} instead of {sum}");
                }
            }
            let (results, exact) = compute::<f64>(case);
            for (path, c) in results {
                for (c, (sum, size)) in c.iter().zip(&exact) {
                    // The oracle here is summed in f64 as well: twice the bound.
                    let bound = (case.k + 1) as f64 * 2f64.powi(-51) * size;
                    assert!((c - sum).abs() <= bound, "{path} {case:?}: {c} instead of {sum}");
                }
            }
        }
    }

    #[test]
    fn the_instruction_and_the_emulation_are_within_twice_the_bound() {
        for case in cases() {
            let (results, exact) = compute::<f32>(case);
            let unit = (case.k + 1) as f64 * 2f64.powi(-22);
            for (path, c) in &results {
                for ((c, other), (_, size)) in c.iter().zip(&results[0].1).zip(&exact) {
                    let apart = (f64::from(*c) - f64::from(*other)).abs();
                    assert!(apart <= unit * size, "{path} {case:?}: {c} and {other}");
                }
            }
        }
    }

    #[test]
    fn rounding_is_to_the_nearest_and_ties_go_to_even() {
        let rounded = |x: f32| f32::from_bits(nearest(x));
        let unit = 2f32.powi(-7);
        for (x, expected) in [
            (1.0, 1.0),
            (1.0 + 0.49 * unit, 1.0),
            (1.0 + 0.5 * unit, 1.0),
            (1.0 + 0.51 * unit, 1.0 + unit),
            (1.0 + 1.5 * unit, 1.0 + 2.0 * unit),
            (-1.0 - 1.5 * unit, -1.0 - 2.0 * unit),
            (-0.0, 0.0),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
        ] {
            assert_eq!(rounded(x), expected, "{x}");
        }
        for bits in [0x7F80_0001, 0x7FFF_FFFF, 0xFFFF_FFFF] {
            assert!(rounded(f32::from_bits(bits)).is_nan(), "{bits:x}");
        }
        for x in draws(if cfg!(miri) { 10 } else { 10_000 }, 5) {
            assert!((rounded(x) / x - 1.0).abs() <= 2f32.powi(-8), "{x}");
        }
    }
}
