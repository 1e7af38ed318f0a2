//! Registers of several numbers, for the one kernel that is written in them (the matrix product).

use crate::scalar::Scalar;

/// A register that holds [`LANES`](Vector::LANES) numbers.
///
/// The methods are meant to be inlined into a function compiled for the instruction set that the
/// register belongs to; elsewhere they are correct but slow.
///
/// # Safety
/// All methods may use instructions of the register's set: the caller must know that the processor
/// has it. Pointers must be valid for the numbers read or written.
pub trait Vector<T>: Copy {
    /// How many numbers it holds.
    const LANES: usize;

    /// The same number in every lane.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn splat(x: T) -> Self;
    /// Reads `LANES` numbers.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn load(from: *const T) -> Self;
    /// Writes `LANES` numbers.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn store(self, to: *mut T);
    /// `self · factor + summand`, rounded once where the set has a fused instruction.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn mul_add(self, factor: Self, summand: Self) -> Self;

    /// Reads the first `count < LANES` numbers; the other lanes are 0.
    ///
    /// # Safety
    /// See the trait.
    #[inline(always)]
    unsafe fn load_part(from: *const T, count: usize) -> Self
    where
        T: Scalar,
    {
        let mut lanes = [T::ZERO; 16];
        // SAFETY: `count` numbers are readable, and `LANES` is at most 16.
        unsafe {
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
            Self::load(lanes.as_ptr())
        }
    }
    /// Writes the first `count < LANES` numbers.
    ///
    /// # Safety
    /// See the trait.
    #[inline(always)]
    unsafe fn store_part(self, to: *mut T, count: usize)
    where
        T: Scalar,
    {
        let mut lanes = [T::ZERO; 16];
        // SAFETY: `count` numbers are writable, and `LANES` is at most 16.
        unsafe {
            self.store(lanes.as_mut_ptr());
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count);
        }
    }
}

/// Asks for a line of memory that will be read soon; any address will do.
#[inline(always)]
pub(crate) fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint; it reads nothing.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Plain numbers in a row; the compiler finds registers for them.
#[derive(Clone, Copy, Debug)]
pub struct Portable<T, const N: usize>([T; N]);

impl<T: Scalar, const N: usize> Vector<T> for Portable<T, N> {
    const LANES: usize = N;

    #[inline(always)]
    unsafe fn splat(x: T) -> Self {
        Portable([x; N])
    }
    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: the caller gives `N` readable numbers.
        Portable(unsafe { from.cast::<[T; N]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: the caller gives `N` writable numbers.
        unsafe { to.cast::<[T; N]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, summand: Self) -> Self {
        // Two roundings: a fused one is a library call where the target has no instruction for it.
        let mut out = summand.0;
        for ((out, x), factor) in out.iter_mut().zip(self.0).zip(factor.0) {
            *out += x * factor;
        }
        Portable(out)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    /// One bit for each of the first `count < 16` lanes.
    #[inline(always)]
    fn bits16(count: usize) -> __mmask16 {
        (1 << count) - 1
    }

    /// One bit for each of the first `count < 8` lanes.
    #[inline(always)]
    fn bits8(count: usize) -> __mmask8 {
        (1 << count) - 1
    }

    /// All bits of the first `count` lanes.
    #[inline(always)]
    unsafe fn words8(count: usize) -> __m256i {
        // SAFETY: the caller vouches for AVX2.
        unsafe {
            let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lanes)
        }
    }

    /// All bits of the first `count` lanes.
    #[inline(always)]
    unsafe fn words4(count: usize) -> __m256i {
        // SAFETY: the caller vouches for AVX2.
        unsafe {
            let lanes = _mm256_setr_epi64x(0, 1, 2, 3);
            _mm256_cmpgt_epi64(_mm256_set1_epi64x(count as i64), lanes)
        }
    }

    macro_rules! register {
        ($register:ty, $t:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $fma:ident,
         $mask:ident $store_part:ident) => {
            impl Vector<$t> for $register {
                const LANES: usize = $lanes;

                #[inline(always)]
                unsafe fn splat(x: $t) -> Self {
                    // SAFETY: the caller vouches for the instruction set.
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                unsafe fn load(from: *const $t) -> Self {
                    // SAFETY: the caller vouches for the instruction set and the pointer.
                    unsafe { $load(from) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $t) {
                    // SAFETY: the caller vouches for the instruction set and the pointer.
                    unsafe { $store(to, self) }
                }
                #[inline(always)]
                unsafe fn mul_add(self, factor: Self, summand: Self) -> Self {
                    // SAFETY: the caller vouches for the instruction set.
                    unsafe { $fma(self, factor, summand) }
                }
                #[inline(always)]
                unsafe fn store_part(self, to: *mut $t, count: usize) {
                    // SAFETY: as above; lanes that are masked out are not touched.
                    unsafe { $store_part(to, $mask(count), self) }
                }
            }
        };
    }

    register!(__m512, f32, 16, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps,
        bits16 _mm512_mask_storeu_ps);
    register!(__m512d, f64, 8, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_fmadd_pd,
        bits8 _mm512_mask_storeu_pd);
    register!(__m256, f32, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps,
        words8 _mm256_maskstore_ps);
    register!(__m256d, f64, 4, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_fmadd_pd,
        words4 _mm256_maskstore_pd);
}
