//! A rectangle of an output whose rows may be parts of longer rows.

use std::marker::PhantomData;
use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use crate::prefetch::prefetch;

/// Rows of `columns` elements, `row_stride` elements apart.
pub(crate) struct OutputRows<'a, T> {
    first: *mut T,
    rows: usize,
    columns: usize,
    row_stride: usize,
    elements: PhantomData<&'a mut [T]>,
}

// SAFETY: a rectangle is the unique borrow of its elements, as `&mut [T]` would be; sharing one gives access to its
// sizes only, but for `disjoint_part`, whose callers answer for it.
unsafe impl<T: Send> Send for OutputRows<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for OutputRows<'_, T> {}

impl<'a, T> OutputRows<'a, T> {
    /// All rows of `output`, which holds `(rows - 1) * row_stride + columns` elements.
    pub(crate) fn new(output: &'a mut [T], columns: usize, row_stride: usize) -> Self {
        assert!(0 < columns && columns <= row_stride);
        let rows = output.len().div_ceil(row_stride);
        assert!(rows == 0 || (rows - 1) * row_stride + columns <= output.len());
        Self { first: output.as_mut_ptr(), rows, columns, row_stride, elements: PhantomData }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The columns of a row.
    #[inline(always)]
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [T] {
        assert!(row < self.rows);
        // SAFETY: the row is inside the rectangle, which is borrowed uniquely.
        unsafe {
            std::slice::from_raw_parts_mut(self.first.wrapping_add(row * self.row_stride), self.columns)
        }
    }

    /// Brings a row, as far as it is in one line, into the cache.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn prefetch(&self, row: usize) {
        prefetch(self.first.wrapping_add(row * self.row_stride));
    }

    /// All elements, if no others lie between them.
    pub(crate) fn contiguous_mut(&mut self) -> Option<&mut [T]> {
        if self.columns != self.row_stride {
            return None;
        }
        // SAFETY: the rows follow each other, and the rectangle is borrowed uniquely.
        Some(unsafe { std::slice::from_raw_parts_mut(self.first, self.rows * self.columns) })
    }

    /// The first element, and the distance of two rows.
    pub(crate) fn as_mut_ptr(&mut self) -> (*mut T, usize) {
        (self.first, self.row_stride)
    }

    /// A rectangle within this one.
    #[inline(always)]
    pub(crate) fn part(&mut self, rows: Range<usize>, columns: Range<usize>) -> OutputRows<'_, T> {
        // SAFETY: `self` is borrowed uniquely for as long as the part exists.
        unsafe { self.disjoint_part(rows, columns) }
    }

    /// A rectangle within this one.
    ///
    /// # Safety
    /// No two parts that exist at the same time may overlap.
    #[inline(always)]
    pub(crate) unsafe fn disjoint_part(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> OutputRows<'_, T> {
        assert!(rows.start <= rows.end && rows.end <= self.rows);
        assert!(columns.start <= columns.end && columns.end <= self.columns);
        OutputRows {
            first: self.first.wrapping_add(rows.start * self.row_stride + columns.start),
            rows: rows.len(),
            columns: columns.len(),
            row_stride: self.row_stride,
            elements: PhantomData,
        }
    }
}
