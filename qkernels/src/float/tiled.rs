//! A matrix that several threads write, each to its own tiles.

use std::marker::PhantomData;
use std::ops::Range;

/// A row-major matrix, to be written tile by tile.
pub(super) struct Tiled<'a> {
    start: *mut f32,
    rows: usize,
    columns: usize,
    values: PhantomData<&'a mut [f32]>,
}

// SAFETY: a shared reference gives access to the values only through `tile`, whose caller promises that no two
// threads see the same one.
unsafe impl Sync for Tiled<'_> {}

impl<'a> Tiled<'a> {
    /// # Panics
    /// If `values` does not hold whole rows.
    pub(super) fn new(values: &'a mut [f32], columns: usize) -> Self {
        assert!(values.len().is_multiple_of(columns));
        Self { start: values.as_mut_ptr(), rows: values.len() / columns, columns, values: PhantomData }
    }

    /// The elements in `rows` and `columns`.
    ///
    /// # Safety
    /// No other tile alive has an element in common with it.
    ///
    /// # Panics
    /// If the matrix has not so many rows or columns.
    pub(super) unsafe fn tile(&self, rows: Range<usize>, columns: Range<usize>) -> Tile<'_> {
        assert!(rows.start <= rows.end && rows.end <= self.rows);
        assert!(columns.start <= columns.end && columns.end <= self.columns);
        Tile {
            // In the slice or one past its end: neither range leaves the matrix.
            start: self.start.wrapping_add(rows.start * self.columns + columns.start),
            rows: rows.len(),
            columns: columns.len(),
            stride: self.columns,
            values: PhantomData,
        }
    }
}

/// A rectangle of a row-major matrix.
pub(super) struct Tile<'a> {
    start: *mut f32,
    rows: usize,
    columns: usize,
    stride: usize,
    values: PhantomData<&'a mut [f32]>,
}

impl Tile<'_> {
    /// A part of it.
    ///
    /// # Panics
    /// If it has not so many rows or columns.
    #[inline(always)]
    pub(super) fn part(&mut self, rows: Range<usize>, columns: Range<usize>) -> Tile<'_> {
        assert!(rows.start <= rows.end && rows.end <= self.rows);
        assert!(columns.start <= columns.end && columns.end <= self.columns);
        Tile {
            start: self.start.wrapping_add(rows.start * self.stride + columns.start),
            rows: rows.len(),
            columns: columns.len(),
            ..*self
        }
    }

    /// Rows and columns.
    pub(super) fn size(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// Row `r`.
    #[inline(always)]
    pub(super) fn row(&mut self, r: usize) -> &mut [f32] {
        assert!(r < self.rows);
        // SAFETY: the row lies in the matrix that the tile was cut from, and the tile alone has it.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(r * self.stride), self.columns) }
    }

    /// The first element, and the distance of two rows.
    pub(super) fn as_mut_ptr(&mut self) -> (*mut f32, usize) {
        (self.start, self.stride)
    }
}
