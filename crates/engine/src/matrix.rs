//! Views into the memory of a program.
//!
//! Operations run on several workers at once over one arena, so these are pointers with bounds
//! rather than slices. Two rules make that sound, and no code outside this crate can break them:
//! the memory plan never gives overlapping buffers to the operands of one operation, and an
//! operation writes only its worker's [share](crate::team::Worker::share). Two gradients of one
//! operation may share a buffer: those of a value that it takes twice, which it writes in turn, each
//! worker the same part; and those of its output and of an input to which it
//! [passes](crate::operation::Operation::passes_gradient) it, which it does not write.

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

    /// The number at that row and column, from which the rest of the matrix can be reached too: a
    /// pointer from a [row](Matrix::row) is good for that row only.
    pub(crate) fn at(&self, r: usize, column: usize) -> *const T {
        assert!(r < self.rows && column < self.columns);
        // SAFETY: in bounds by the assertion and the contract of `new`.
        unsafe { self.data.add(r * self.stride + column) }
    }

    /// Row `r`.
    #[inline(always)]
    pub(crate) fn row(&self, r: usize) -> &'a [T] {
        assert!(r < self.rows);
        // SAFETY: in bounds by the assertion and the contract of `new`, by which also nobody writes
        // it during 'a.
        unsafe { std::slice::from_raw_parts(self.data.add(r * self.stride), self.columns) }
    }

    /// All numbers from the first of the first row to the last of the last.
    pub(crate) fn all(&self) -> &'a [T] {
        let len = (self.rows.max(1) - 1) * self.stride + self.columns;
        // SAFETY: the contract of `new`. The gaps between rows belong to the same buffer: other
        // columns of a parameter, or other positions of a value, which nobody writes either while
        // an operation reads some.
        unsafe { std::slice::from_raw_parts(self.data, len) }
    }
}

impl<T> MatrixMut<'_, T> {
    /// # Safety
    /// As [`Matrix::new`], writable, and read and written elsewhere only in other parts (see the
    /// module).
    pub(crate) unsafe fn new(data: *mut T, rows: usize, columns: usize, stride: usize) -> Self {
        MatrixMut { data, rows, columns, stride, life: PhantomData }
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut T {
        self.data
    }

    /// The number at that row and column, from which the rest of the matrix can be reached too, as
    /// [`Matrix::at`].
    pub(crate) fn at_mut(&mut self, r: usize, column: usize) -> *mut T {
        assert!(r < self.rows && column < self.columns);
        // SAFETY: in bounds by the assertion and the contract of `new`.
        unsafe { self.data.add(r * self.stride + column) }
    }

    /// Row `r`.
    #[inline(always)]
    pub(crate) fn row_mut(&mut self, r: usize) -> &mut [T] {
        self.part_mut(r, 0..self.columns)
    }

    /// Several whole contiguous rows.
    pub(crate) fn rows_mut(&mut self, rows: Range<usize>) -> &mut [T] {
        assert!(rows.start <= rows.end && rows.end <= self.rows && self.stride == self.columns);
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

/// `len` copies of `value`.
///
/// # Panics
/// If there is no memory for them: the run that needs it fails, and not the process.
pub(crate) fn filled<T: Copy>(len: usize, value: T) -> Vec<T> {
    let mut all = Vec::new();
    let got = all.try_reserve_exact(len);
    assert!(got.is_ok(), "no memory for {len} times {} bytes", size_of::<T>());
    all.resize(len, value);
    all
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
    /// If there is no memory for them.
    pub(crate) fn zeros(len: usize) -> Self {
        let lines = len.div_ceil(size_of::<Line>() / T::BYTES);
        Buffer { lines: filled(lines, Line([0; 64])), len, kind: PhantomData }
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        // SAFETY: `zeros` has made lines for `len` numbers, whole ones in each; lines are aligned
        // for numbers, initialised, and every bit pattern is a number.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as above; the lines are borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
