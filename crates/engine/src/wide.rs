//! Several registers side by side, for row kernels where the compiler's own vectorisation of plain
//! arrays is not reliable.

use std::marker::PhantomData;
use std::ops::{Add, Div, Mul, Sub};

use crate::exponential::{Powers, power};
use crate::scalar::Scalar;
use crate::vector::Vector;

/// `N` registers `V`, enough to hide the latency of an operation.
///
/// Creating one is unsafe: the processor must have the register's instructions. Operations on it
/// are then safe.
pub(crate) struct Wide<T, V, const N: usize> {
    registers: [V; N],
    number: PhantomData<T>,
}

impl<T, V: Copy, const N: usize> Clone for Wide<T, V, N> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, V: Copy, const N: usize> Copy for Wide<T, V, N> {}

impl<T: Scalar, V: Vector<T>, const N: usize> Wide<T, V, N> {
    /// Numbers in a value.
    pub(crate) const LANES: usize = N * V::LANES;

    /// The same number in every lane.
    ///
    /// # Safety
    /// The processor must have the instructions of `V`.
    #[inline(always)]
    pub(crate) unsafe fn splat(x: T) -> Self {
        // SAFETY: the caller's promise.
        Wide { registers: [unsafe { V::splat(x) }; N], number: PhantomData }
    }

    /// The numbers of a row from `first` on.
    ///
    /// # Panics
    /// If the row is too short.
    ///
    /// # Safety
    /// As [`splat`](Wide::splat).
    #[inline(always)]
    pub(crate) unsafe fn read(row: &[T], first: usize) -> Self {
        let row = &row[first..first + Self::LANES];
        // SAFETY: the caller's promise; the row is long enough.
        unsafe {
            let mut registers = [V::load(row.as_ptr()); N];
            for (i, register) in registers.iter_mut().enumerate().skip(1) {
                *register = V::load(row.as_ptr().add(i * V::LANES));
            }
            Wide { registers, number: PhantomData }
        }
    }

    /// Writes them to a row from `first` on.
    ///
    /// # Panics
    /// If the row is too short.
    #[inline(always)]
    pub(crate) fn write(self, row: &mut [T], first: usize) {
        let row = &mut row[first..first + Self::LANES];
        for (i, register) in self.registers.into_iter().enumerate() {
            // SAFETY: a value exists, so its instructions do; the row is long enough.
            unsafe { register.store(row.as_mut_ptr().add(i * V::LANES)) }
        }
    }

    /// Another with the same number in every lane.
    #[inline(always)]
    pub(crate) fn all(self, x: T) -> Self {
        // SAFETY: a value exists, so its instructions do.
        unsafe { Wide::splat(x) }
    }

    /// `self · factor + summand`, rounded once where the set has a fused instruction.
    #[inline(always)]
    pub(crate) fn mul_add(self, factor: Self, summand: Self) -> Self {
        let mut out = summand;
        for ((out, x), factor) in out.registers.iter_mut().zip(self.registers).zip(factor.registers)
        {
            // SAFETY: a value exists, so its instructions do.
            *out = unsafe { x.mul_add(factor, *out) };
        }
        out
    }

    /// e to the power of each, as [`Scalar::exp`].
    #[inline(always)]
    pub(crate) fn exp(self) -> Self {
        power::<T, Self>(self, Powers::OfE)
    }

    /// [`Vector::larger`] of each.
    #[inline(always)]
    pub(crate) fn larger(self, other: Self) -> Self {
        // SAFETY: values exist, so their instructions do.
        self.with(other, |x, y| unsafe { x.larger(y) })
    }

    /// [`Vector::smaller`] of each.
    #[inline(always)]
    pub(crate) fn smaller(self, other: Self) -> Self {
        // SAFETY: values exist, so their instructions do.
        self.with(other, |x, y| unsafe { x.smaller(y) })
    }

    /// Itself where `mask` is above zero, `other` elsewhere.
    #[inline(always)]
    pub(crate) fn where_positive(self, mask: Self, other: Self) -> Self {
        let mut out = other;
        for ((out, x), mask) in out.registers.iter_mut().zip(self.registers).zip(mask.registers) {
            // SAFETY: values exist, so their instructions do.
            *out = unsafe { x.where_positive(mask, *out) };
        }
        out
    }

    /// The square roots.
    #[inline(always)]
    pub(crate) fn sqrt(self) -> Self {
        // SAFETY: a value exists, so its instructions do.
        self.each(|x| unsafe { x.sqrt() })
    }

    /// [`Vector::two_to`] of each.
    #[inline(always)]
    pub(crate) fn two_to(self) -> Self {
        // SAFETY: a value exists, so its instructions do.
        self.each(|x| unsafe { x.two_to() })
    }

    #[inline(always)]
    fn each(mut self, operation: impl Fn(V) -> V) -> Self {
        for x in &mut self.registers {
            *x = operation(*x);
        }
        self
    }

    #[inline(always)]
    fn with(mut self, other: Self, operation: impl Fn(V, V) -> V) -> Self {
        for (x, y) in self.registers.iter_mut().zip(other.registers) {
            *x = operation(*x, y);
        }
        self
    }
}

macro_rules! arithmetic {
    ($($trait:ident $method:ident)+) => {$(
        impl<T: Scalar, V: Vector<T>, const N: usize> $trait for Wide<T, V, N> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: values exist, so their instructions do.
                self.with(other, |x, y| unsafe { Vector::$method(x, y) })
            }
        }
    )+};
}

arithmetic! { Add add Sub sub Mul mul Div div }

/// Runs a body over a range of lanes, a whole number of registers long:
/// `for_lanes!(V, N, first in range, { … })`, with `N` registers from lane `first` on, four at a
/// time while there are that many and then one.
macro_rules! for_lanes {
    ($V:ident, $N:ident, $first:ident in $range:expr, $body:block) => {{
        let range: &std::ops::Range<usize> = &$range;
        let mut $first = range.start;
        while $first + 4 * $V::LANES <= range.end {
            const $N: usize = 4;
            $body
            $first += 4 * $V::LANES;
        }
        while $first < range.end {
            const $N: usize = 1;
            $body
            $first += $V::LANES;
        }
    }};
}
pub(crate) use for_lanes;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::PORTABLE_IS_FUSED;
    use crate::isa::{Isa, in_registers};

    in_registers! {
        fn powers<T, V>(from: &[T], to: &mut [T]) {
            for first in (0..from.len()).step_by(V::LANES) {
                Wide::<T, V, 1>::read(from, first).exp().write(to, first);
            }
        }

        fn everything<T, V>(a: &[T], b: &[T], to: &mut [T]) {
            let (a, b) = (Wide::<T, V, 2>::read(a, 0), Wide::<T, V, 2>::read(b, 0));
            let nothing = a.all(T::ZERO);
            let sum = (a + b) * (a - b) / b.larger(a.smaller(b));
            let root = (a * a).sqrt().mul_add(b, sum);
            root.where_positive(b, nothing).write(to, 0);
        }
    }

    fn check<T: Scalar>() {
        let numbers = |shift: f64| -> Vec<T> {
            (0..64).map(|i| T::from_f64((f64::from(i) + shift).sin() * 3.0)).collect()
        };
        for isa in Isa::available() {
            let fused = isa != Isa::PORTABLE || PORTABLE_IS_FUSED;
            let (mut a, b) = (numbers(0.1), numbers(0.7));
            let mut to = vec![T::ONE; a.len()];
            everything(isa, &a, &b, &mut to);
            let done = to.iter().rposition(|to| *to != T::ONE).unwrap() + 1;
            assert!(done.is_multiple_of(8), "whole registers: {done}");
            for i in 0..done {
                let (a, b) = (a[i], b[i]);
                let least = if a < b { a } else { b };
                let sum = (a + b) * (a - b) / if b > least { b } else { least };
                let root = (a * a).sqrt();
                let root = if fused { root.mul_add(b, sum) } else { root * b + sum };
                assert_eq!(to[i], if b > T::ZERO { root } else { T::ZERO }, "{isa:?} {a} {b}");
            }
            for (a, far) in a.iter_mut().zip([1e9, -1e9, 0.0, 80.0, -80.0]) {
                *a = T::from_f64(far);
            }
            powers(isa, &a, &mut to);
            for (from, to) in a.iter().zip(to) {
                let expected = if fused { from.exp::<true>() } else { from.exp::<false>() };
                assert_eq!(to, expected, "{isa:?} exp({from})");
            }
        }
    }

    #[test]
    fn registers_do_what_numbers_do_bit_for_bit() {
        check::<f32>();
        check::<f64>();
    }
}
