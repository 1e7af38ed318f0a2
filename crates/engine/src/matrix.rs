//! Views into the memory of a program.
//!
//! Operations run on several workers at once over one arena, so these are pointers with bounds
//! rather than slices. Two rules make that sound, and no code outside this crate can break them:
//! the memory plan never gives overlapping buffers to the operands of one operation, and an
//! operation writes only its worker's [share](crate::team::Worker::share).

use std::marker::PhantomData;
use std::ops::Range;

/// `[rows, columns]` numbers to read; rows are contiguous and `stride` numbers apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a, T> {
    data: *const T,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) stride: usize,
    life: PhantomData<&'a T>,
}

/// `[rows, columns]` numbers to read and write; rows are contiguous and `stride` numbers apart.
#[derive(Debug)]
pub(crate) struct MatrixMut<'a, T> {
    data: *mut T,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) stride: usize,
    life: PhantomData<&'a mut T>,
}

impl<'a, T> Matrix<'a, T> {
    /// # Safety
    /// `rows` rows of `columns` numbers must be readable at `data`, `stride` apart, during `'a`.
    pub(crate) unsafe fn new(data: *const T, rows: usize, columns: usize, stride: usize) -> Self {
        Matrix { data, rows, columns, stride, life: PhantomData }
    }

    pub(crate) fn as_ptr(&self) -> *const T {
        self.data
    }

    /// Row `r`.
    #[inline(always)]
    pub(crate) fn row(&self, r: usize) -> &'a [T] {
        assert!(r < self.rows);
        // SAFETY: in bounds by the assertion and the contract of `new`.
        unsafe { std::slice::from_raw_parts(self.data.add(r * self.stride), self.columns) }
    }

    /// All numbers from the first of the first row to the last of the last.
    pub(crate) fn all(&self) -> &'a [T] {
        let len = (self.rows.max(1) - 1) * self.stride + self.columns;
        // SAFETY: the contract of `new`; the gaps between rows belong to the same buffer.
        unsafe { std::slice::from_raw_parts(self.data, len) }
    }
}

impl<T> MatrixMut<'_, T> {
    /// # Safety
    /// As [`Matrix::new`], writable, and written elsewhere only in other parts (see the module).
    pub(crate) unsafe fn new(data: *mut T, rows: usize, columns: usize, stride: usize) -> Self {
        MatrixMut { data, rows, columns, stride, life: PhantomData }
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut T {
        self.data
    }

    /// Row `r`.
    #[inline(always)]
    pub(crate) fn row_mut(&mut self, r: usize) -> &mut [T] {
        self.part_mut(r, 0..self.columns)
    }

    /// Several whole contiguous rows.
    pub(crate) fn rows_mut(&mut self, rows: Range<usize>) -> &mut [T] {
        assert!(rows.end <= self.rows && self.stride == self.columns);
        // SAFETY: in bounds by the assertion; alone in its part by the rules of the module.
        unsafe {
            let start = self.data.add(rows.start * self.stride);
            std::slice::from_raw_parts_mut(start, rows.len() * self.columns)
        }
    }

    /// Some columns of row `r`.
    #[inline(always)]
    pub(crate) fn part_mut(&mut self, r: usize, columns: Range<usize>) -> &mut [T] {
        assert!(r < self.rows && columns.start <= columns.end && columns.end <= self.columns);
        // SAFETY: in bounds by the assertion; alone in its part by the rules of the module.
        unsafe {
            let start = self.data.add(r * self.stride + columns.start);
            std::slice::from_raw_parts_mut(start, columns.len())
        }
    }
}

/// The destination of a gradient, and whether to add to an earlier write.
#[derive(Debug)]
pub(crate) struct GradientTarget<'a, T> {
    pub(crate) matrix: MatrixMut<'a, T>,
    pub(crate) accumulate: bool,
}

/// Zeroed memory on cache-line boundaries.
pub(crate) struct Buffer<T> {
    lines: Vec<Line>,
    len: usize,
    kind: PhantomData<T>,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

impl<T: crate::Scalar> Buffer<T> {
    /// `len` zeros.
    ///
    /// # Panics
    /// If they do not fit in memory: one run of many can then end without the others.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut lines = Vec::new();
        let count = len.checked_mul(T::BYTES).map(|bytes| bytes.div_ceil(64));
        if count.is_none_or(|count| lines.try_reserve_exact(count).is_err()) {
            let mib = len as f64 * T::BYTES as f64 / f64::from(1 << 20);
            panic!("out of memory: a buffer of {mib:.0} MiB cannot be allocated");
        }
        lines.resize(count.unwrap_or(0), Line([0; 64]));
        Buffer { lines, len, kind: PhantomData }
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        // SAFETY: the lines hold at least `len` numbers, aligned, and every bit pattern is one.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as above, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
