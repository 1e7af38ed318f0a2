//! The number types of a program.

use std::f64::consts::LN_2;
use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use crate::exponential::{Constants, Powers, Single, power};
use crate::vector::{Portable, Vector};

/// An item that exists once per scalar, such as a kernel that only one of them has.
pub trait PerScalar: Sized {
    /// Its type for one of the scalars.
    type Of<T: Scalar>;

    /// The one for `f32`.
    fn for_f32(self) -> Self::Of<f32>;
    /// The one for `f64`.
    fn for_f64(self) -> Self::Of<f64>;
}

mod sealed {
    /// Only `f32` and `f64` are scalars.
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A floating-point type that programs are generic over: `f32` trains, `f64` is the oracle.
///
/// [`exp`](Scalar::exp) is a branch-free polynomial, not a call into a mathematical library: the
/// compiler vectorises loops over it, and every machine gets the same bits.
pub trait Scalar:
    sealed::Sealed
    + Copy
    + Default
    + Debug
    + Display
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + Sum
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The constants of [`exp`](Scalar::exp) and [`exp2`](Scalar::exp2).
    const EXPONENTIAL: Constants<Self>;
    /// Bytes that one takes.
    const BYTES: usize = size_of::<Self>();

    /// Registers of 512 bits.
    type V512: Vector<Self>;
    /// Registers of 256 bits.
    type V256: Vector<Self>;
    /// Plain arrays, which the compiler puts into registers.
    type VPortable: Vector<Self>;

    /// Chooses the one for this scalar.
    fn choose<P: PerScalar>(per_scalar: P) -> P::Of<Self>;
    /// The nearest value to `x`.
    fn from_f64(x: f64) -> Self;
    /// The same value, exactly.
    fn to_f64(self) -> f64;
    /// `self · factor + summand`, rounded once, by an instruction that the caller is compiled for.
    fn mul_add(self, factor: Self, summand: Self) -> Self;
    /// 2 to the whole number in the low bits, without the bits that `1.5 · 2^mantissa` sets.
    fn two_to(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;

    /// e to the power of `self`, to about one unit in the last place; saturates instead of
    /// overflowing to infinity or underflowing to zero. NaN stays NaN. `FUSED` as in
    /// [`fused`](Scalar::fused).
    #[inline(always)]
    fn exp<const FUSED: bool>(self) -> Self {
        power(Single::<Self, FUSED>(self), Powers::OfE).0
    }

    /// 2 to the power of `self`, likewise, in fewer operations: for exponents that can include the
    /// factor log₂ e.
    #[inline(always)]
    fn exp2<const FUSED: bool>(self) -> Self {
        power(Single::<Self, FUSED>(self), Powers::Of2).0
    }

    /// The larger of two numbers (not NaN-aware: `other` where either is NaN).
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    /// `self · factor + summand`, rounded once if `FUSED` and twice if not.
    #[inline(always)]
    fn fused<const FUSED: bool>(self, factor: Self, summand: Self) -> Self {
        if FUSED { self.mul_add(factor, summand) } else { self * factor + summand }
    }
}

/// aⁿ/n! for n from 13 down to 0: the Taylor coefficients of e to the power of a x.
const fn taylor(a: f64) -> [f64; 14] {
    let mut coefficients = [1.0; 14];
    let (mut power, mut product) = (1.0, 1.0);
    let mut n = 1;
    while n < coefficients.len() {
        power *= a;
        product *= n as f64;
        coefficients[coefficients.len() - 1 - n] = power / product;
        n += 1;
    }
    coefficients
}

impl Scalar for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
    // The polynomials of least relative error, 3e-9 for both, that are 1 at 0 (the first one with
    // slope 1).
    const EXPONENTIAL: Constants<f32> = Constants {
        magic: 12_582_912.0,
        log2_e: std::f32::consts::LOG2_E,
        less_ln_2: [-0.693_359_4, 2.121_944_4e-4],
        of_e: (
            [-87.0, 88.0],
            &[1.381_461_3e-3, 8.368_71e-3, 4.166_839e-2, 0.166_665_21, 0.499_999_94, 1.0, 1.0],
        ),
        of_2: (
            [-126.0, 126.0],
            &[
                1.559_467_8e-4,
                1.340_664_3e-3,
                9.617_693e-3,
                5.550_310_4e-2,
                0.240_226_52,
                0.693_147_24,
                1.0,
            ],
        ),
    };
    #[cfg(target_arch = "x86_64")]
    type V512 = std::arch::x86_64::__m512;
    #[cfg(target_arch = "x86_64")]
    type V256 = std::arch::x86_64::__m256;
    #[cfg(not(target_arch = "x86_64"))]
    type V512 = Portable<f32, 8>;
    #[cfg(not(target_arch = "x86_64"))]
    type V256 = Portable<f32, 8>;
    type VPortable = Portable<f32, 8>;

    #[inline(always)]
    fn choose<P: PerScalar>(per_scalar: P) -> P::Of<f32> {
        per_scalar.for_f32()
    }
    #[inline(always)]
    fn from_f64(x: f64) -> f32 {
        x as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn mul_add(self, factor: f32, summand: f32) -> f32 {
        self.mul_add(factor, summand)
    }
    #[inline(always)]
    fn two_to(self) -> f32 {
        f32::from_bits(self.to_bits().wrapping_add(127) << 23)
    }
    #[inline(always)]
    fn sqrt(self) -> f32 {
        self.sqrt()
    }
    #[inline(always)]
    fn ln(self) -> f32 {
        libm::logf(self)
    }
}

impl Scalar for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
    const EXPONENTIAL: Constants<f64> = Constants {
        magic: 6_755_399_441_055_744.0,
        log2_e: std::f64::consts::LOG2_E,
        less_ln_2: [-0.693_147_180_369_123_8, -1.908_214_929_270_587_7e-10],
        of_e: ([-708.0, 709.0], &taylor(1.0)),
        of_2: ([-1022.0, 1022.0], &taylor(LN_2)),
    };
    #[cfg(target_arch = "x86_64")]
    type V512 = std::arch::x86_64::__m512d;
    #[cfg(target_arch = "x86_64")]
    type V256 = std::arch::x86_64::__m256d;
    #[cfg(not(target_arch = "x86_64"))]
    type V512 = Portable<f64, 4>;
    #[cfg(not(target_arch = "x86_64"))]
    type V256 = Portable<f64, 4>;
    type VPortable = Portable<f64, 4>;

    #[inline(always)]
    fn choose<P: PerScalar>(per_scalar: P) -> P::Of<f64> {
        per_scalar.for_f64()
    }
    #[inline(always)]
    fn from_f64(x: f64) -> f64 {
        x
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn mul_add(self, factor: f64, summand: f64) -> f64 {
        self.mul_add(factor, summand)
    }
    #[inline(always)]
    fn two_to(self) -> f64 {
        f64::from_bits(self.to_bits().wrapping_add(1023) << 52)
    }
    #[inline(always)]
    fn sqrt(self) -> f64 {
        self.sqrt()
    }
    #[inline(always)]
    fn ln(self) -> f64 {
        libm::log(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Scalar;

    #[test]
    fn exp_is_within_two_units_of_the_last_place() {
        exp_is_accurate::<false>();
        exp_is_accurate::<true>();
    }

    fn exp_is_accurate<const FUSED: bool>() {
        for i in -200_000..=200_000 {
            let x = f64::from(i) * 3.5e-3;
            let (ours, theirs) = (Scalar::exp::<FUSED>(x), libm::exp(x));
            assert!((ours / theirs - 1.0).abs() <= 2.0 * f64::EPSILON, "exp({x}) = {ours}");
            let x = x as f32;
            if (-87.0..=88.0).contains(&x) {
                let (ours, theirs) = (Scalar::exp::<FUSED>(x), libm::exp(f64::from(x)));
                let error = (f64::from(ours) / theirs - 1.0).abs();
                assert!(error <= 2.0 * f64::from(f32::EPSILON), "exp({x}) = {ours}");
            }
        }
    }

    #[test]
    fn exp2_is_within_two_units_of_the_last_place() {
        exp2_is_accurate::<false>();
        exp2_is_accurate::<true>();
        for x in [f32::NEG_INFINITY, -1e9, 1e9] {
            let power = Scalar::exp2::<false>(x);
            assert!(power.is_normal() && (1.0 / power).is_normal(), "2^{x} = {power}");
        }
        assert!(Scalar::exp2::<false>(f32::NAN).is_nan());
    }

    fn exp2_is_accurate<const FUSED: bool>() {
        for i in -200_000..=200_000 {
            let x = f64::from(i) * 5e-3;
            let (ours, theirs) = (Scalar::exp2::<FUSED>(x), libm::exp2(x));
            assert!((ours / theirs - 1.0).abs() <= 2.0 * f64::EPSILON, "2^{x} = {ours}");
            let x = x as f32;
            if (-126.0..=126.0).contains(&x) {
                let (ours, theirs) = (Scalar::exp2::<FUSED>(x), libm::exp2(f64::from(x)));
                let error = (f64::from(ours) / theirs - 1.0).abs();
                assert!(error <= 2.0 * f64::from(f32::EPSILON), "2^{x} = {ours}");
            }
        }
    }

    #[test]
    fn exp_saturates_and_keeps_nan() {
        assert!(Scalar::exp::<false>(1e9f32).is_finite() && Scalar::exp::<false>(-1e9f32) > 0.0);
        assert!(Scalar::exp::<false>(f32::NAN).is_nan() && Scalar::exp::<false>(f64::NAN).is_nan());
    }
}
