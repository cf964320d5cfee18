//! Products of float matrices, by the `gemm` crate.

use std::marker::PhantomData;
use std::ops::Range;

/// A matrix in a slice: element `(r, c)` is at `r * row_stride + c * column_stride`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` elements, each `row_stride` after the one before.
    ///
    /// # Panics
    /// If `values` is too short.
    pub(super) fn new(values: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(rows == 0 || columns == 0 || (rows - 1) * row_stride + columns <= values.len());
        Self { values, rows, columns, row_stride, column_stride: 1 }
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// A row-major matrix that several threads write, each to its own tiles.
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
            row_stride: self.columns,
            values: PhantomData,
        }
    }
}

/// A rectangle of a row-major matrix, to be written.
pub(super) struct Tile<'a> {
    start: *mut f32,
    rows: usize,
    columns: usize,
    row_stride: usize,
    values: PhantomData<&'a mut [f32]>,
}

impl Tile<'_> {
    /// Sets all elements of row `r` to `values[r]`.
    ///
    /// # Panics
    /// If there is not a value for each row.
    pub(super) fn fill_rows(&mut self, values: &[f32]) {
        assert_eq!(values.len(), self.rows);
        for (row, &value) in values.iter().enumerate() {
            // SAFETY: the row lies in the matrix the tile was cut from, and the tile alone has it.
            let row = unsafe {
                std::slice::from_raw_parts_mut(self.start.add(row * self.row_stride), self.columns)
            };
            row.fill(value);
        }
    }

    /// Sets the tile to `left * right`, or adds that to what it holds.
    ///
    /// # Panics
    /// If the sizes do not fit together.
    pub(super) fn multiply(&mut self, left: Matrix<'_>, right: Matrix<'_>, add: bool) {
        assert_eq!(left.columns, right.rows);
        assert_eq!((self.rows, self.columns), (left.rows, right.columns));
        // SAFETY: both matrices lie within their slices (`Matrix::new`), the tile within its own; the tile is
        // borrowed mutably and so overlaps neither, and its elements are distinct.
        unsafe {
            gemm::gemm(
                self.rows,
                self.columns,
                left.columns,
                self.start,
                1,
                self.row_stride as isize,
                add,
                left.values.as_ptr(),
                left.column_stride as isize,
                left.row_stride as isize,
                right.values.as_ptr(),
                right.column_stride as isize,
                right.row_stride as isize,
                1.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }
}
