//! SIMD registers, for kernels that are written in them.

use crate::isa::PORTABLE_IS_FUSED;
use crate::scalar::Scalar;

/// Registers whose lanes one call sums.
pub(crate) const TOTALS: usize = 16;

/// A register that holds [`LANES`](Vector::LANES) numbers.
///
/// The methods are meant to be inlined into a function compiled for the instruction set that the
/// register belongs to; elsewhere they are correct but slow.
///
/// # Safety
/// All methods may use instructions of the register's set: the caller must know that the processor
/// has it. Pointers must be valid for the numbers read or written.
pub trait Vector<T>: Copy {
    /// Numbers in a register.
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

    /// `self + other`.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn add(self, other: Self) -> Self;
    /// `self − other`.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn sub(self, other: Self) -> Self;
    /// `self · other`.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn mul(self, other: Self) -> Self;
    /// `self / other`.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn div(self, other: Self) -> Self;
    /// The square roots.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn sqrt(self) -> Self;
    /// The larger of two numbers: `other` where either is NaN.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn larger(self, other: Self) -> Self;
    /// The smaller of two numbers: `other` where either is NaN.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn smaller(self, other: Self) -> Self;
    /// `self` where `mask` is above zero, `other` elsewhere.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn where_positive(self, mask: Self, other: Self) -> Self;
    /// [`Scalar::two_to`] of each.
    ///
    /// # Safety
    /// See the trait.
    unsafe fn two_to(self) -> Self;
    /// The sum over the lanes of each: the upper half of the lanes to the lower, and so on.
    ///
    /// # Safety
    /// See the trait.
    #[inline(always)]
    unsafe fn totals(sums: [Self; TOTALS]) -> [T; TOTALS]
    where
        T: Scalar,
    {
        sums.map(|sum| {
            let mut lanes = [T::ZERO; 16];
            // SAFETY: the caller's promise; `LANES` is at most 16.
            unsafe { sum.store(lanes.as_mut_ptr()) };
            let mut width = Self::LANES / 2;
            while width > 0 {
                for i in 0..width {
                    lanes[i] += lanes[i + width];
                }
                width /= 2;
            }
            lanes[0]
        })
    }

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

/// Prefetches a cache line that will be read soon. Any address is allowed.
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

/// A plain array, which the compiler puts into registers.
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
        let mut out = summand.0;
        for ((out, x), factor) in out.iter_mut().zip(self.0).zip(factor.0) {
            *out = x.fused::<PORTABLE_IS_FUSED>(factor, *out);
        }
        Portable(out)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.with(other, |x, y| x + y)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.with(other, |x, y| x - y)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.with(other, |x, y| x * y)
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.with(other, |x, y| x / y)
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Portable(self.0.map(Scalar::sqrt))
    }
    #[inline(always)]
    unsafe fn larger(self, other: Self) -> Self {
        self.with(other, Scalar::larger)
    }
    #[inline(always)]
    unsafe fn smaller(self, other: Self) -> Self {
        self.with(other, |x, y| if x < y { x } else { y })
    }
    #[inline(always)]
    unsafe fn where_positive(self, mask: Self, other: Self) -> Self {
        let mut out = other.0;
        for ((out, x), mask) in out.iter_mut().zip(self.0).zip(mask.0) {
            *out = if mask > T::ZERO { x } else { *out };
        }
        Portable(out)
    }
    #[inline(always)]
    unsafe fn two_to(self) -> Self {
        Portable(self.0.map(Scalar::two_to))
    }
}

impl<T: Scalar, const N: usize> Portable<T, N> {
    #[inline(always)]
    fn with(mut self, other: Self, operation: impl Fn(T, T) -> T) -> Self {
        for (x, y) in self.0.iter_mut().zip(other.0) {
            *x = operation(*x, y);
        }
        self
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{TOTALS, Vector};
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

    /// [`Vector::totals`] of sixteen registers of sixteen lanes: two registers become one that holds
    /// the half sums of both, four times over.
    #[inline(always)]
    unsafe fn totals16(sums: [__m512; TOTALS]) -> [f32; TOTALS] {
        // SAFETY: the caller vouches for AVX-512.
        unsafe {
            // The last two steps mix the lanes of each 128 bits: what ends as number 4 j + e starts
            // as number 4 e + j.
            let of = |i: usize| sums[i % 4 * 4 + i / 4];
            let eights: [_; 8] = std::array::from_fn(|i| {
                let (a, b) = (of(2 * i), of(2 * i + 1));
                _mm512_add_ps(
                    _mm512_shuffle_f32x4::<0x44>(a, b),
                    _mm512_shuffle_f32x4::<0xEE>(a, b),
                )
            });
            let fours: [_; 4] = std::array::from_fn(|i| {
                let (a, b) = (eights[2 * i], eights[2 * i + 1]);
                _mm512_add_ps(
                    _mm512_shuffle_f32x4::<0x88>(a, b),
                    _mm512_shuffle_f32x4::<0xDD>(a, b),
                )
            });
            let twos: [_; 2] = std::array::from_fn(|i| {
                let (a, b) = (fours[2 * i], fours[2 * i + 1]);
                _mm512_add_ps(_mm512_shuffle_ps::<0x44>(a, b), _mm512_shuffle_ps::<0xEE>(a, b))
            });
            let [a, b] = twos;
            let ones =
                _mm512_add_ps(_mm512_shuffle_ps::<0x88>(a, b), _mm512_shuffle_ps::<0xDD>(a, b));
            std::mem::transmute(ones)
        }
    }

    /// The same of registers of eight lanes, eight at a time.
    #[inline(always)]
    unsafe fn totals8(sums: [__m256; TOTALS]) -> [f32; TOTALS] {
        // SAFETY: the caller vouches for AVX2.
        unsafe {
            // What ends as number 4 j + e starts as number j + 2 e.
            let of = |i: usize| sums[i / 8 * 8 + i % 2 * 4 + i % 8 / 2];
            let fours: [_; 8] = std::array::from_fn(|i| {
                let (a, b) = (of(2 * i), of(2 * i + 1));
                _mm256_add_ps(
                    _mm256_permute2f128_ps::<0x20>(a, b),
                    _mm256_permute2f128_ps::<0x31>(a, b),
                )
            });
            let twos: [_; 4] = std::array::from_fn(|i| {
                let (a, b) = (fours[2 * i], fours[2 * i + 1]);
                _mm256_add_ps(_mm256_shuffle_ps::<0x44>(a, b), _mm256_shuffle_ps::<0xEE>(a, b))
            });
            let ones: [_; 2] = std::array::from_fn(|i| {
                let (a, b) = (twos[2 * i], twos[2 * i + 1]);
                _mm256_add_ps(_mm256_shuffle_ps::<0x88>(a, b), _mm256_shuffle_ps::<0xDD>(a, b))
            });
            std::mem::transmute(ones)
        }
    }

    /// Implements the trait for a register: its scalar, its lanes, and the instructions.
    macro_rules! register {
        ($register:ty, $t:ty, $lanes:literal,
         [$($unary:ident = $one:ident),*], [$($binary:ident = $two:ident),*],
         $splat:ident, $load:ident, $store:ident, $fma:ident,
         two_to($x:ident) = $two_to:expr,
         where_positive($if:ident, $positive:ident, $else:ident) = $select:expr,
         $mask:ident $store_part:ident $(, $totals:ident)?) => {
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
                $(
                    #[inline(always)]
                    unsafe fn $unary(self) -> Self {
                        // SAFETY: the caller vouches for the instruction set.
                        unsafe { $one(self) }
                    }
                )*
                $(
                    #[inline(always)]
                    unsafe fn $binary(self, other: Self) -> Self {
                        // SAFETY: the caller vouches for the instruction set.
                        unsafe { $two(self, other) }
                    }
                )*
                #[inline(always)]
                unsafe fn where_positive(self, $positive: Self, $else: Self) -> Self {
                    let $if = self;
                    // SAFETY: the caller vouches for the instruction set.
                    unsafe { $select }
                }
                #[inline(always)]
                unsafe fn two_to(self) -> Self {
                    let $x = self;
                    // SAFETY: the caller vouches for the instruction set.
                    unsafe { $two_to }
                }
                $(
                    #[inline(always)]
                    unsafe fn totals(sums: [Self; TOTALS]) -> [$t; TOTALS] {
                        // SAFETY: the caller vouches for the instruction set.
                        unsafe { $totals(sums) }
                    }
                )?
                #[inline(always)]
                unsafe fn store_part(self, to: *mut $t, count: usize) {
                    // SAFETY: as above; lanes that are masked out are not touched.
                    unsafe { $store_part(to, $mask(count), self) }
                }
            }
        };
    }

    register!(__m512, f32, 16, [sqrt = _mm512_sqrt_ps],
        [add = _mm512_add_ps, sub = _mm512_sub_ps, mul = _mm512_mul_ps, div = _mm512_div_ps,
         larger = _mm512_max_ps, smaller = _mm512_min_ps],
        _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps,
        two_to(x) = _mm512_castsi512_ps(_mm512_slli_epi32::<23>(
            _mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(127)))),
        where_positive(x, mask, other) = _mm512_mask_blend_ps(
            _mm512_cmp_ps_mask::<_CMP_GT_OQ>(mask, _mm512_setzero_ps()), other, x),
        bits16 _mm512_mask_storeu_ps, totals16);

    register!(__m512d, f64, 8, [sqrt = _mm512_sqrt_pd],
        [add = _mm512_add_pd, sub = _mm512_sub_pd, mul = _mm512_mul_pd, div = _mm512_div_pd,
         larger = _mm512_max_pd, smaller = _mm512_min_pd],
        _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_fmadd_pd,
        two_to(x) = _mm512_castsi512_pd(_mm512_slli_epi64::<52>(
            _mm512_add_epi64(_mm512_castpd_si512(x), _mm512_set1_epi64(1023)))),
        where_positive(x, mask, other) = _mm512_mask_blend_pd(
            _mm512_cmp_pd_mask::<_CMP_GT_OQ>(mask, _mm512_setzero_pd()), other, x),
        bits8 _mm512_mask_storeu_pd);

    register!(__m256, f32, 8, [sqrt = _mm256_sqrt_ps],
        [add = _mm256_add_ps, sub = _mm256_sub_ps, mul = _mm256_mul_ps, div = _mm256_div_ps,
         larger = _mm256_max_ps, smaller = _mm256_min_ps],
        _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps,
        two_to(x) = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(
            _mm256_add_epi32(_mm256_castps_si256(x), _mm256_set1_epi32(127)))),
        where_positive(x, mask, other) = _mm256_blendv_ps(
            other, x, _mm256_cmp_ps::<_CMP_GT_OQ>(mask, _mm256_setzero_ps())),
        words8 _mm256_maskstore_ps, totals8);

    register!(__m256d, f64, 4, [sqrt = _mm256_sqrt_pd],
        [add = _mm256_add_pd, sub = _mm256_sub_pd, mul = _mm256_mul_pd, div = _mm256_div_pd,
         larger = _mm256_max_pd, smaller = _mm256_min_pd],
        _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_fmadd_pd,
        two_to(x) = _mm256_castsi256_pd(_mm256_slli_epi64::<52>(
            _mm256_add_epi64(_mm256_castpd_si256(x), _mm256_set1_epi64x(1023)))),
        where_positive(x, mask, other) = _mm256_blendv_pd(
            other, x, _mm256_cmp_pd::<_CMP_GT_OQ>(mask, _mm256_setzero_pd())),
        words4 _mm256_maskstore_pd);
}
