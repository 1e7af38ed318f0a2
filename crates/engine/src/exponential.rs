//! Powers of e and 2, without branches: one source for scalars and registers, so that both give the
//! same bits on every machine.
//!
//! `x = n ln 2 + r` (or `n + r`), a polynomial in r, and 2ⁿ put together from its bits. Adding
//! `1.5 · 2^mantissa` rounds to the nearest whole number and leaves it in the low bits.

use std::ops::{Add, Mul, Sub};

use crate::scalar::Scalar;
use crate::vector::Vector;
use crate::wide::Wide;

/// The base of a power.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Powers {
    OfE,
    Of2,
}

/// The constants of a type's powers.
pub struct Constants<T: 'static> {
    /// `1.5 · 2^mantissa`.
    pub(crate) magic: T,
    pub(crate) log2_e: T,
    /// −ln 2, split into a number with few digits and the remainder.
    pub(crate) less_ln_2: [T; 2],
    /// The range of exponents of e, and the polynomial, the highest coefficient first.
    pub(crate) of_e: ([T; 2], &'static [T]),
    /// The same for 2.
    pub(crate) of_2: ([T; 2], &'static [T]),
}

/// A number, or registers of them.
pub(crate) trait Lanes<T>:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
    fn all(self, x: T) -> Self;
    fn fused(self, factor: Self, summand: Self) -> Self;
    /// Limits to a range; NaN stays NaN.
    fn clamp(self, low: T, high: T) -> Self;
    /// 2 to the whole number in the low bits.
    fn two_to(self) -> Self;
}

/// The power, to about one unit in the last place; saturates instead of overflowing to infinity or
/// underflowing to zero. NaN stays NaN.
#[inline(always)]
pub(crate) fn power<T: Scalar, X: Lanes<T>>(x: X, powers: Powers) -> X {
    let Constants { magic, log2_e, less_ln_2, of_e, of_2 } = T::EXPONENTIAL;
    let ([low, high], polynomial) = if powers == Powers::OfE { of_e } else { of_2 };
    let (x, magic) = (x.clamp(low, high), x.all(magic));
    let (shifted, rest) = match powers {
        Powers::OfE => {
            let shifted = x.fused(x.all(log2_e), magic);
            let n = shifted - magic;
            let [coarse, fine] = less_ln_2.map(|part| x.all(part));
            (shifted, n.fused(fine, n.fused(coarse, x)))
        }
        Powers::Of2 => {
            let shifted = x + magic;
            (shifted, x - (shifted - magic))
        }
    };
    let mut sum = x.all(polynomial[0]);
    for coefficient in &polynomial[1..] {
        sum = sum.fused(rest, x.all(*coefficient));
    }
    sum * shifted.two_to()
}

/// One number; its multiply-adds are fused if `FUSED`.
#[derive(Clone, Copy)]
pub(crate) struct Single<T, const FUSED: bool>(pub(crate) T);

impl<T: Scalar, const FUSED: bool> Add for Single<T, FUSED> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Single(self.0 + other.0)
    }
}

impl<T: Scalar, const FUSED: bool> Sub for Single<T, FUSED> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Single(self.0 - other.0)
    }
}

impl<T: Scalar, const FUSED: bool> Mul for Single<T, FUSED> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Single(self.0 * other.0)
    }
}

impl<T: Scalar, const FUSED: bool> Lanes<T> for Single<T, FUSED> {
    #[inline(always)]
    fn all(self, x: T) -> Self {
        Single(x)
    }
    #[inline(always)]
    fn fused(self, factor: Self, summand: Self) -> Self {
        Single(self.0.fused::<FUSED>(factor.0, summand.0))
    }
    #[inline(always)]
    fn clamp(self, low: T, high: T) -> Self {
        let x = low.larger(self.0);
        Single(if high < x { high } else { x })
    }
    #[inline(always)]
    fn two_to(self) -> Self {
        Single(self.0.two_to())
    }
}

impl<T: Scalar, V: Vector<T>, const N: usize> Lanes<T> for Wide<T, V, N> {
    #[inline(always)]
    fn all(self, x: T) -> Self {
        Wide::all(self, x)
    }
    #[inline(always)]
    fn fused(self, factor: Self, summand: Self) -> Self {
        self.mul_add(factor, summand)
    }
    #[inline(always)]
    fn clamp(self, low: T, high: T) -> Self {
        self.all(high).smaller(self.all(low).larger(self))
    }
    #[inline(always)]
    fn two_to(self) -> Self {
        Wide::two_to(self)
    }
}
