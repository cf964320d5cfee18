//! Transposition of matrices, in tiles of 16 by 16.

use crate::blocks::{at, at_mut};
use crate::elements::Element;
use crate::isa::{Isa, Pass};

/// Rows and columns of a tile.
pub(crate) const TILE: usize = 16;

pub(crate) use tile::TransposeTile;

type Tile<T> = [[T; TILE]; TILE];

/// A part of a matrix whose rows begin `row_stride` elements apart.
pub(crate) struct Matrix<S> {
    pub(crate) values: S,
    pub(crate) row_stride: usize,
}

/// `output[column][row] = input[row][column]`.
pub(crate) fn transpose<T: Element>(
    isa: Isa,
    [rows, columns]: [usize; 2],
    input: Matrix<&[T]>,
    output: Matrix<&mut [T]>,
) {
    isa.run_pass(Transpose { rows, columns, input, output });
}

struct Transpose<'a, T> {
    rows: usize,
    columns: usize,
    input: Matrix<&'a [T]>,
    output: Matrix<&'a mut [T]>,
}

impl<T: Element> Pass for Transpose<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        match (self.rows, self.columns) {
            (TILE.., TILE..) => self.tiles(),
            (2, _) if self.output.row_stride == 2 => self.interleave::<2>(),
            (3, _) if self.output.row_stride == 3 => self.interleave::<3>(),
            (4, _) if self.output.row_stride == 4 => self.interleave::<4>(),
            (_, 2) if self.input.row_stride == 2 => self.deinterleave::<2>(),
            (_, 3) if self.input.row_stride == 3 => self.deinterleave::<3>(),
            (_, 4) if self.input.row_stride == 4 => self.deinterleave::<4>(),
            _ => self.elements(),
        }
    }
}

impl<T: Element> Transpose<'_, T> {
    /// The last tiles overlap those before.
    #[inline(always)]
    fn tiles(&mut self) {
        for column in (0..self.columns).step_by(TILE) {
            let column = column.min(self.columns - TILE);
            for row in (0..self.rows).step_by(TILE) {
                let row = row.min(self.rows - TILE);
                let mut tile = [[T::default(); TILE]; TILE];
                let input = &self.input.values[row * self.input.row_stride + column..];
                for (i, values) in tile.iter_mut().enumerate() {
                    *values = *at(input, i * self.input.row_stride);
                }
                let tile = T::transpose_tile(tile);
                let output = &mut self.output.values[column * self.output.row_stride + row..];
                for (i, values) in tile.into_iter().enumerate() {
                    *at_mut(output, i * self.output.row_stride) = values;
                }
            }
        }
    }

    /// A few rows become columns without gaps: the compiler knows how to shuffle those.
    #[inline(always)]
    fn interleave<const ROWS: usize>(&mut self) {
        let columns = self.columns;
        let mut rows = [&self.input.values[..columns]; ROWS];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = &self.input.values[i * self.input.row_stride..][..columns];
        }
        let output = &mut self.output.values.as_chunks_mut::<ROWS>().0[..columns];
        for column in 0..columns {
            for (element, row) in output[column].iter_mut().zip(&rows) {
                *element = row[column];
            }
        }
    }

    /// The reverse.
    #[inline(always)]
    fn deinterleave<const COLUMNS: usize>(&mut self) {
        let (input, _) = self.input.values.as_chunks::<COLUMNS>();
        for column in 0..COLUMNS {
            let output = &mut self.output.values[column * self.output.row_stride..][..self.rows];
            for (output, input) in output.iter_mut().zip(input) {
                *output = input[column];
            }
        }
    }

    #[inline(always)]
    fn elements(&mut self) {
        for column in 0..self.columns {
            let output = &mut self.output.values[column * self.output.row_stride..][..self.rows];
            for (row, output) in output.iter_mut().enumerate() {
                *output = self.input.values[row * self.input.row_stride + column];
            }
        }
    }
}

mod tile {
    use super::Tile;

    pub trait TransposeTile: Sized + Copy {
        /// To be marked `#[inline(always)]`.
        #[inline(always)]
        fn transpose_tile(tile: Tile<Self>) -> Tile<Self> {
            std::array::from_fn(|column| std::array::from_fn(|row| tile[row][column]))
        }
    }

    impl TransposeTile for f32 {}
    impl TransposeTile for i32 {}
    impl TransposeTile for u16 {}
    impl TransposeTile for i16 {}

    impl TransposeTile for u8 {
        #[cfg(target_arch = "x86_64")]
        #[inline(always)]
        fn transpose_tile(tile: Tile<u8>) -> Tile<u8> {
            sse2::transpose(tile)
        }
    }

    impl TransposeTile for i8 {
        #[inline(always)]
        fn transpose_tile(tile: Tile<i8>) -> Tile<i8> {
            u8::transpose_tile(tile.map(|row| row.map(|value| value as u8)))
                .map(|row| row.map(|value| value as i8))
        }
    }

    /// For all of x86-64, which SSE2 is a part of.
    #[cfg(target_arch = "x86_64")]
    mod sse2 {
        use std::arch::x86_64::*;
        use std::array::from_fn;

        use super::super::{TILE, Tile};

        /// Interleaving the upper with the lower half of the rows rotates the bits of an element's position
        /// (four of its row, four of its column) by one. Four times exchange row and column.
        #[inline(always)]
        pub(super) fn transpose(tile: Tile<u8>) -> Tile<u8> {
            // SAFETY: a row has 16 bytes.
            let mut rows = tile.map(|row| unsafe { _mm_loadu_si128(row.as_ptr().cast()) });
            for _ in 0..4 {
                rows = from_fn(|i| {
                    let (upper, lower) = (rows[i / 2], rows[i / 2 + TILE / 2]);
                    // SAFETY: x86-64 has SSE2.
                    unsafe {
                        if i % 2 == 0 {
                            _mm_unpacklo_epi8(upper, lower)
                        } else {
                            _mm_unpackhi_epi8(upper, lower)
                        }
                    }
                });
            }
            rows.map(|row| {
                let mut bytes = [0; TILE];
                // SAFETY: the array has 16 bytes.
                unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), row) };
                bytes
            })
        }
    }
}
