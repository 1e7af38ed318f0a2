//! The number types that a program computes in.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use crate::vector::{Portable, Vector};

/// A floating-point type that programs are generic over: `f32` trains, `f64` is the oracle.
///
/// [`exp`](Scalar::exp) is a branch-free polynomial, not a call into a mathematical library: the
/// compiler vectorises loops over it, and every machine gets the same bits.
pub trait Scalar:
    Copy
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
    /// Bytes that one takes.
    const BYTES: usize = size_of::<Self>();

    /// Registers of 512 bits.
    type V512: Vector<Self>;
    /// Registers of 256 bits.
    type V256: Vector<Self>;
    /// What the compiler makes of plain arrays.
    type VPortable: Vector<Self>;

    /// The nearest value to `x`.
    fn from_f64(x: f64) -> Self;
    /// The same value, exactly.
    fn to_f64(self) -> f64;
    /// `self · factor + summand`, rounded once, by an instruction that the caller is compiled for.
    fn mul_add(self, factor: Self, summand: Self) -> Self;
    /// e to the power of `self`, to about one unit in the last place; saturates instead of
    /// overflowing to infinity or underflowing to zero. NaN stays NaN. `FUSED` as in
    /// [`fused`](Scalar::fused).
    fn exp<const FUSED: bool>(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;

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

/// Writes `exp` for one type: `x = n ln 2 + r`, a Taylor polynomial in r, and 2ⁿ put together from
/// its bits. Adding `1.5 · 2^mantissa` rounds to the nearest whole number and leaves it in the low
/// bits.
macro_rules! exp {
    ($t:ty, $bits:ty, mantissa $m:literal, bias $bias:literal, range $lo:literal..$hi:literal,
     ln2 $ln2_hi:literal + $ln2_lo:literal, taylor [$first:expr, $($c:expr),+]) => {
        #[inline(always)]
        fn exp<const FUSED: bool>(self) -> $t {
            const MAGIC: $t = (3u64 << ($m - 1)) as $t;
            // Comparisons written so that NaN passes through.
            let x = if self < $lo { $lo } else { self };
            let x = if x > $hi { $hi } else { x };
            let shifted = x.fused::<FUSED>(std::f64::consts::LOG2_E as $t, MAGIC);
            let n = shifted - MAGIC;
            let r = n.fused::<FUSED>(-$ln2_hi, x);
            let r = n.fused::<FUSED>(-$ln2_lo, r);
            let mut p: $t = $first;
            $(p = p.fused::<FUSED>(r, $c);)+
            let power = <$t>::from_bits(
                (shifted.to_bits().wrapping_add($bias)) << $m);
            p * power
        }
    };
}

/// 1/n!, the Taylor coefficients of the exponential.
const fn inverse_factorial(n: u32) -> f64 {
    let mut product = 1.0;
    let mut i = 2;
    while i <= n {
        product *= i as f64;
        i += 1;
    }
    1.0 / product
}

impl Scalar for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
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
    exp!(f32, u32, mantissa 23, bias 127, range -87.0..88.0,
         ln2 0.693_359_4 + -2.121_944_4e-4,
         taylor [inverse_factorial(7) as f32, inverse_factorial(6) as f32,
                 inverse_factorial(5) as f32, inverse_factorial(4) as f32,
                 inverse_factorial(3) as f32, 0.5, 1.0, 1.0]);
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
    exp!(f64, u64, mantissa 52, bias 1023, range -708.0..709.0,
         ln2 0.693_147_180_369_123_8 + 1.908_214_929_270_587_7e-10,
         taylor [inverse_factorial(13), inverse_factorial(12), inverse_factorial(11),
                 inverse_factorial(10), inverse_factorial(9), inverse_factorial(8),
                 inverse_factorial(7), inverse_factorial(6), inverse_factorial(5),
                 inverse_factorial(4), inverse_factorial(3), 0.5, 1.0, 1.0]);
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
    fn exp_saturates_and_keeps_nan() {
        assert!(Scalar::exp::<false>(1e9f32).is_finite() && Scalar::exp::<false>(-1e9f32) > 0.0);
        assert!(Scalar::exp::<false>(f32::NAN).is_nan() && Scalar::exp::<false>(f64::NAN).is_nan());
    }
}
