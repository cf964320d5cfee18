//! The micro-kernels of float products: a tile of sums stays in registers over all of the depth.
//!
//! Weights and values are read where they lie, so that neither has to be packed: [`multiply_tile`] takes one
//! weight at a time and neighbouring values as a vector, [`dot_tile`] neighbouring weights, where there are too few
//! values side by side.

mod dots;
mod portable;
mod product;
mod taps;
mod unzip;
mod winograd;

use crate::isa::Isa;

pub(super) use dots::dot_sized;
pub(crate) use dots::{DOT_COLUMNS, DOT_ROWS, Dots, dot_tile};
use portable::Portable;
pub(super) use product::multiply_sized;
pub(crate) use product::{ProductTile, multiply_tile};
pub(super) use taps::sum_strip_sized;
pub(crate) use taps::{Taps, sum_taps};
pub(super) use unzip::unzip_rows_with;
pub(crate) use unzip::{Unzipped, unzip_rows};
pub(crate) use winograd::{POSITIONS, PatchRun, Patches, transform_patches, transform_products};
pub(super) use winograd::{transform_patches_with, transform_products_with};

/// Vectors of floats.
pub(super) trait FloatVector: Copy {
    type Vector: Copy;

    /// Floats of a vector.
    const LANES: usize;

    fn splat(self, value: f32) -> Self::Vector;

    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// `a * b + sum`
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, sum: Self::Vector) -> Self::Vector;

    /// `x` within `[low, high]`; NaN stays.
    fn clamp(self, x: Self::Vector, low: Self::Vector, high: Self::Vector) -> Self::Vector;

    /// `a[0], b[0], a[1], b[1], ...`
    fn zip(self, a: Self::Vector, b: Self::Vector) -> [Self::Vector; 2];

    /// `a[0], a[2], ..., b[0], b[2], ...` and `a[1], a[3], ..., b[1], b[3], ...`
    fn unzip(self, a: Self::Vector, b: Self::Vector) -> [Self::Vector; 2];

    /// The sum of all lanes.
    #[inline(always)]
    fn sum(self, vector: Self::Vector) -> f32 {
        let mut lanes = [0.0; FloatTile::MAX_COLUMNS];
        // SAFETY: a vector is no larger.
        unsafe { self.store(lanes.as_mut_ptr(), vector) };
        lanes[..Self::LANES].iter().sum()
    }

    /// # Safety
    /// A vector can be read.
    unsafe fn load(self, from: *const f32) -> Self::Vector;

    /// # Safety
    /// A vector can be written.
    unsafe fn store(self, to: *mut f32, vector: Self::Vector);
}

/// The largest tile of [`multiply_tile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FloatTile {
    pub(crate) rows: usize,
    /// Floats of a vector, of which a row has one or two.
    pub(crate) lanes: usize,
}

impl FloatTile {
    pub(crate) const MAX_ROWS: usize = 12;
    pub(crate) const MAX_COLUMNS: usize = 32;

    /// Twelve or more sums, as many as there are registers for: two vectors are multiplied a cycle, and four cycles
    /// pass until a sum is there.
    pub(crate) fn of(isa: Isa) -> Self {
        match isa {
            Isa::Scalar => Self { rows: 6, lanes: 4 },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) | Isa::AvxVnni(_) => Self { rows: 6, lanes: 8 },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni(_) | Isa::Amx(..) => Self { rows: 12, lanes: 16 },
        }
    }

    pub(crate) fn columns(self) -> usize {
        2 * self.lanes
    }
}

/// Rows of floats in a slice, each `stride` after the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) stride: usize,
}

impl Rows<'_> {
    /// # Panics
    /// If there are not `rows` rows of `len` floats.
    #[inline(always)]
    fn check(self, rows: usize, len: usize) {
        assert!(rows == 0 || (rows - 1) * self.stride + len <= self.values.len());
    }
}

/// Floats of a cache line.
const LINE: usize = 16;

/// Fetches from memory what is read soon.
#[inline(always)]
pub(crate) fn prefetch(values: &[f32]) {
    values.chunks(LINE).for_each(|line| prefetch_line(line.as_ptr()));
}

/// Fetches the line of a float from memory, if there is one.
#[inline(always)]
fn prefetch_line(float: *const f32) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every processor has the instruction, which reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(float.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = float;
}

/// The output of the sums of a row: `clamp(sum * scale + offset)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finish<'a> {
    /// Scale and offset of each row.
    pub(crate) affine: &'a [[f32; 2]],
    pub(crate) limits: [f32; 2],
}

impl Finish<'_> {
    /// For one sum of row `row`.
    #[inline(always)]
    pub(crate) fn apply(&self, row: usize, sum: f32) -> f32 {
        let [scale, offset] = self.affine[row];
        let [low, high] = self.limits;
        // Comparisons, as NaN stays.
        let x = sum * scale + offset;
        let x = if x < low { low } else { x };
        if x > high { high } else { x }
    }
}

/// Defines the functions of one instruction set for tiles of all sizes.
macro_rules! float_kernels {
    (
        $proof:ty, $([$feature:literal],)? $multiply:ident: $($rows:literal)+, $dot:ident, $sum_strip:ident,
        $transform_patches:ident, $transform_products:ident, $unzip_rows:ident
    ) => {
        /// [`sum_strip_sized`](crate::kernels::float::sum_strip_sized) on this instruction set.
        ///
        /// # Safety
        /// What the taps see in the strip can be read.
        pub(crate) unsafe fn $sum_strip(
            proof: $proof,
            vectors: usize,
            taps: &$crate::kernels::float::Taps<'_>,
            start: usize,
            width: usize,
            output: &mut [f32],
        ) {
            $(#[target_feature(enable = $feature)])?
            unsafe fn sized<const V: usize>(
                proof: $proof,
                taps: &$crate::kernels::float::Taps<'_>,
                start: usize,
                width: usize,
                output: &mut [f32],
            ) {
                // SAFETY: the caller answers for the strip.
                unsafe { $crate::kernels::float::sum_strip_sized::<_, V>(proof, taps, start, width, output) }
            }
            let sum = if vectors == 1 { sized::<1> } else { sized::<2> };
            // SAFETY: the caller answers for the strip, the proof for the instructions.
            unsafe { sum(proof, taps, start, width, output) }
        }

        /// [`multiply_tile`](crate::kernels::float::multiply_tile) on this instruction set.
        ///
        /// # Safety
        /// The tile can be read and written.
        pub(crate) unsafe fn $multiply(
            proof: $proof,
            size: [usize; 2],
            tile: &$crate::kernels::float::ProductTile<'_>,
            output: *mut f32,
            stride: usize,
        ) {
            $(#[target_feature(enable = $feature)])?
            unsafe fn sized<const R: usize, const V: usize>(
                proof: $proof,
                tile: &$crate::kernels::float::ProductTile<'_>,
                output: *mut f32,
                stride: usize,
            ) {
                // SAFETY: the caller answers for the tile.
                unsafe { $crate::kernels::float::multiply_sized::<_, R, V>(proof, tile, output, stride) }
            }
            let multiply = match size {
                $([$rows, 1] => sized::<$rows, 1>, [$rows, 2] => sized::<$rows, 2>,)+
                [rows, vectors] => unreachable!("no tile of {rows} rows and {vectors} vectors"),
            };
            // SAFETY: the caller answers for the tile, the proof for the instructions.
            unsafe { multiply(proof, tile, output, stride) }
        }

        /// [`dot_tile`](crate::kernels::float::dot_tile) on this instruction set.
        pub(crate) fn $dot(
            proof: $proof,
            size: [usize; 2],
            left: $crate::kernels::float::Rows<'_>,
            right: $crate::kernels::float::Rows<'_>,
            depth: usize,
        ) -> $crate::kernels::float::Dots {
            $(#[target_feature(enable = $feature)])?
            unsafe fn sized<const R: usize, const C: usize>(
                proof: $proof,
                left: $crate::kernels::float::Rows<'_>,
                right: $crate::kernels::float::Rows<'_>,
                depth: usize,
            ) -> $crate::kernels::float::Dots {
                $crate::kernels::float::dot_sized::<_, R, C>(proof, left, right, depth)
            }
            let dot = match size {
                [1, 1] => sized::<1, 1>,
                [1, 2] => sized::<1, 2>,
                [1, 3] => sized::<1, 3>,
                [1, 4] => sized::<1, 4>,
                [3, 1] => sized::<3, 1>,
                [3, 2] => sized::<3, 2>,
                [3, 3] => sized::<3, 3>,
                [3, 4] => sized::<3, 4>,
                [rows, columns] => unreachable!("no tile of {rows} and {columns} rows"),
            };
            // SAFETY: the proof answers for the instructions.
            unsafe { dot(proof, left, right, depth) }
        }

        /// [`transform_patches`](crate::kernels::float::transform_patches) on this instruction set.
        pub(crate) fn $transform_patches(
            proof: $proof,
            patches: &$crate::kernels::float::Patches<'_>,
            transformed: &mut [f32],
            position_len: usize,
        ) {
            $(#[target_feature(enable = $feature)])?
            unsafe fn transform(
                proof: $proof,
                patches: &$crate::kernels::float::Patches<'_>,
                transformed: &mut [f32],
                position_len: usize,
            ) {
                $crate::kernels::float::transform_patches_with(proof, patches, transformed, position_len);
            }
            // SAFETY: the proof answers for the instructions.
            unsafe { transform(proof, patches, transformed, position_len) }
        }

        /// [`transform_products`](crate::kernels::float::transform_products) on this instruction set.
        pub(crate) fn $transform_products(
            proof: $proof,
            products: &[f32],
            position_len: usize,
            finish: $crate::kernels::float::Finish<'_>,
            rows: [&mut [f32]; 2],
        ) {
            $(#[target_feature(enable = $feature)])?
            unsafe fn transform(
                proof: $proof,
                products: &[f32],
                position_len: usize,
                finish: $crate::kernels::float::Finish<'_>,
                rows: [&mut [f32]; 2],
            ) {
                $crate::kernels::float::transform_products_with(proof, products, position_len, finish, rows);
            }
            // SAFETY: the proof answers for the instructions.
            unsafe { transform(proof, products, position_len, finish, rows) }
        }

        /// [`unzip_rows`](crate::kernels::float::unzip_rows) on this instruction set.
        pub(crate) fn $unzip_rows(
            proof: $proof,
            from: $crate::kernels::float::Rows<'_>,
            to: $crate::kernels::float::Unzipped<'_>,
        ) {
            $(#[target_feature(enable = $feature)])?
            unsafe fn unzip(
                proof: $proof,
                from: $crate::kernels::float::Rows<'_>,
                to: $crate::kernels::float::Unzipped<'_>,
            ) {
                $crate::kernels::float::unzip_rows_with(proof, from, to);
            }
            // SAFETY: the proof answers for the instructions.
            unsafe { unzip(proof, from, to) }
        }
    };
}
pub(super) use float_kernels;
