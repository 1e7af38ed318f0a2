//! The precision of matrix products.

/// The format to which the operands of matrix products are rounded. Everything else, including the
/// parameters and the sums of the products, has the program's own scalar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProductPrecision {
    /// No rounding: products are computed in the program's scalar.
    #[default]
    Full,
    /// bf16, 8 significant bits, to the nearest. With AVX512-BF16 (set avx512, in f32) the processor's own instruction multiplies; elsewhere it is emulated. The two differ
    /// only in how they round their sums: over k terms by at most `(k + 1) · 2⁻²²` of the sum of
    /// their absolute values.
    Bf16,
}
