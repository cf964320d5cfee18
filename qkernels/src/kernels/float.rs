//! The micro-kernels of float products: a tile of sums stays in registers over all of the depth.
//!
//! Weights and values are read where they lie, so that neither has to be packed: [`multiply_tile`] takes one
//! weight at a time and neighbouring values as a vector, [`dot_tile`] neighbouring weights, where there are too few
//! values side by side.

#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::isa::Isa;

/// Vectors of floats.
pub(super) trait FloatVector: Copy {
    type Vector: Copy;

    /// Floats of a vector.
    const LANES: usize;

    fn splat(self, value: f32) -> Self::Vector;

    /// `a * b + sum`
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, sum: Self::Vector) -> Self::Vector;

    /// `x` within `[low, high]`; NaN stays.
    fn clamp(self, x: Self::Vector, low: Self::Vector, high: Self::Vector) -> Self::Vector;

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
    pub(crate) const MOST_ROWS: usize = 12;
    pub(crate) const MOST_COLUMNS: usize = 32;

    /// Twelve or more sums, as many as there are registers for: two vectors are multiplied a cycle, and four cycles
    /// pass until a sum is there.
    pub(crate) fn of(isa: Isa) -> Self {
        match isa {
            Isa::Scalar => Self { rows: 6, lanes: 4 },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) | Isa::AvxVnni(_) => Self { rows: 6, lanes: 8 },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni(_) => Self { rows: 12, lanes: 16 },
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

/// What becomes of the sums of a row: `clamp(sum * scale + offset)`.
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

/// What a tile is computed from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProductTile<'a> {
    /// `depth` floats for each row of the tile.
    pub(crate) left: Rows<'a>,
    /// `depth` rows, each as wide as the tile.
    pub(crate) right: Rows<'a>,
    pub(crate) depth: usize,
    /// Whether the products are added to what the tile holds.
    pub(crate) add: bool,
    /// For the last part of the depth.
    pub(crate) finish: Option<Finish<'a>>,
}

/// Sets the tile of `rows` rows, `stride` apart, of `vectors` vectors at `output` to `left * right`.
///
/// # Safety
/// The tile can be read and written.
pub(crate) unsafe fn multiply_tile(
    isa: Isa,
    size: [usize; 2],
    tile: &ProductTile<'_>,
    output: *mut f32,
    stride: usize,
) {
    assert!(tile.finish.is_none_or(|finish| finish.affine.len() == size[0]));
    // SAFETY: the caller answers for the tile.
    unsafe {
        match isa {
            Isa::Scalar => portable::multiply_tile(Portable, size, tile, output, stride),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(proof) => avx2::multiply_float_tile(proof, size, tile, output, stride),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni(proof) => avx2::multiply_float_tile(proof.avx2(), size, tile, output, stride),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni(proof) => avx512::multiply_float_tile(proof, size, tile, output, stride),
        }
    }
}

/// [`multiply_tile`] for `R` rows and `V` vectors.
///
/// # Safety
/// The tile can be read and written.
#[inline(always)]
pub(super) unsafe fn multiply_sized<F: FloatVector, const R: usize, const V: usize>(
    isa: F,
    tile: &ProductTile<'_>,
    output: *mut f32,
    stride: usize,
) {
    let ProductTile { left, right, depth, add, finish } = *tile;
    left.check(R, depth);
    right.check(depth, V * F::LANES);
    let place = |r: usize, v: usize| output.wrapping_add(r * stride + v * F::LANES);

    let mut sums = [[isa.splat(0.0); V]; R];
    if add {
        for (r, sums) in sums.iter_mut().enumerate() {
            for (v, sum) in sums.iter_mut().enumerate() {
                // SAFETY: within the tile.
                *sum = unsafe { isa.load(place(r, v)) };
            }
        }
    }
    let starts: [*const f32; R] = std::array::from_fn(|r| left.values.as_ptr().wrapping_add(r * left.stride));
    let step = |k: usize, sums: &mut [[F::Vector; V]; R]| {
        let values = right.values.as_ptr().wrapping_add(k * right.stride);
        // SAFETY: `check` has seen that row `k` holds them.
        let values: [F::Vector; V] = std::array::from_fn(|v| unsafe { isa.load(values.add(v * F::LANES)) });
        for (start, sums) in starts.iter().zip(sums) {
            // SAFETY: `check` has seen that each row has `depth` floats.
            let weight = isa.splat(unsafe { *start.add(k) });
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum = isa.multiply_add(weight, value, *sum);
            }
        }
    };
    for k in 0..depth {
        step(k, &mut sums);
    }
    // As an array, for a loop of a known length, without which the sums are kept in memory.
    if let Some(Finish { affine, limits }) = finish
        && let Some(affine) = affine.first_chunk::<R>()
    {
        let [low, high] = limits.map(|limit| isa.splat(limit));
        for (&[scale, offset], sums) in affine.iter().zip(&mut sums) {
            let [scale, offset] = [isa.splat(scale), isa.splat(offset)];
            for sum in sums {
                *sum = isa.clamp(isa.multiply_add(*sum, scale, offset), low, high);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        for (v, &sum) in sums.iter().enumerate() {
            // SAFETY: within the tile.
            unsafe { isa.store(place(r, v), sum) };
        }
    }
}

/// Rows of [`dot_tile`], if it has not one only.
pub(crate) const DOT_ROWS: usize = 3;

/// At most so many columns has [`dot_tile`].
pub(crate) const DOT_COLUMNS: usize = 4;

/// Dot products of each row of `left` with each of `right`.
pub(crate) type Dots = [[f32; DOT_COLUMNS]; DOT_ROWS];

/// The dot products, of `depth` floats, of some rows of `left`, one or [`DOT_ROWS`], with some of `right`.
pub(crate) fn dot_tile(isa: Isa, size: [usize; 2], left: Rows<'_>, right: Rows<'_>, depth: usize) -> Dots {
    match isa {
        Isa::Scalar => portable::dot_tile(Portable, size, left, right, depth),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::dot_float_tile(proof, size, left, right, depth),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::dot_float_tile(proof.avx2(), size, left, right, depth),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni(proof) => avx512::dot_float_tile(proof, size, left, right, depth),
    }
}

/// [`dot_tile`] for `R` and `C` rows.
#[inline(always)]
pub(super) fn dot_sized<F: FloatVector, const R: usize, const C: usize>(
    isa: F,
    left: Rows<'_>,
    right: Rows<'_>,
    depth: usize,
) -> Dots {
    left.check(R, depth);
    right.check(C, depth);
    let mut sums = [[isa.splat(0.0); C]; R];
    let whole = depth / F::LANES * F::LANES;
    for k in (0..whole).step_by(F::LANES) {
        // SAFETY: `check` has seen that each row has `depth` floats, here and below.
        let weights: [F::Vector; R] =
            std::array::from_fn(|r| unsafe { isa.load(left.values.as_ptr().add(r * left.stride + k)) });
        for c in 0..C {
            // SAFETY: as above.
            let values = unsafe { isa.load(right.values.as_ptr().add(c * right.stride + k)) };
            for (sums, &weights) in sums.iter_mut().zip(&weights) {
                sums[c] = isa.multiply_add(weights, values, sums[c]);
            }
        }
    }
    let mut dots = Dots::default();
    for r in 0..R {
        for c in 0..C {
            let rest = (whole..depth)
                .map(|k| left.values[r * left.stride + k] * right.values[c * right.stride + k])
                .sum::<f32>();
            let mut lanes = [0.0; FloatTile::MOST_COLUMNS];
            // SAFETY: a vector is no larger.
            unsafe { isa.store(lanes.as_mut_ptr(), sums[r][c]) };
            dots[r][c] = rest + lanes[..F::LANES].iter().sum::<f32>();
        }
    }
    dots
}

/// What a filter sees of a plane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taps<'a> {
    /// Rows of `row_len`.
    pub(crate) values: &'a [f32],
    pub(crate) row_len: usize,
    /// Where each tap lies, seen from the first value of its window.
    pub(crate) offsets: &'a [usize],
    /// The weight of each tap.
    pub(crate) filter: &'a [f32],
    /// For one row: all sums are of one channel.
    pub(crate) finish: Finish<'a>,
}

/// Sets row `y` of `output`, of `width`, at `x` to the sum of `filter[t] * values[offsets[t] + y * row_len + x]`.
///
/// # Panics
/// If there are no `MOST_COLUMNS` values behind the last window.
pub(crate) fn sum_taps(isa: Isa, taps: &Taps<'_>, width: usize, output: &mut [f32]) {
    match isa {
        Isa::Scalar => portable::sum_taps(Portable, taps, width, output),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::sum_float_taps(proof, taps, width, output),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::sum_float_taps(proof.avx2(), taps, width, output),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni(proof) => avx512::sum_float_taps(proof, taps, width, output),
    }
}

/// [`sum_taps`] on one instruction set.
#[inline(always)]
pub(super) fn sum_taps_of<F: FloatVector>(isa: F, taps: &Taps<'_>, width: usize, output: &mut [f32]) {
    let rows = output.len() / width;
    let last = taps.offsets.iter().max().map_or(0, |offset| offset + (rows - 1) * taps.row_len + width - 1);
    assert!(last + FloatTile::MOST_COLUMNS <= taps.values.len() && taps.offsets.len() == taps.filter.len());
    for y in 0..rows {
        let mut x = 0;
        while x < width {
            let window = y * taps.row_len + x;
            let place = y * width + x;
            // What lies beyond the end of the row is overwritten by the next one.
            x += if width - x > F::LANES {
                sum_taps_at::<F, 2>(isa, taps, window, &mut output[place..])
            } else {
                sum_taps_at::<F, 1>(isa, taps, window, &mut output[place..])
            };
        }
    }
}

/// Sets `V` vectors of sums, or so many as there are; how many values they are.
#[inline(always)]
fn sum_taps_at<F: FloatVector, const V: usize>(
    isa: F,
    taps: &Taps<'_>,
    window: usize,
    output: &mut [f32],
) -> usize {
    let len = V * F::LANES;
    let values = taps.values[window..].as_ptr();
    let mut sums = [isa.splat(0.0); V];
    for (&offset, &weight) in taps.offsets.iter().zip(taps.filter) {
        let weight = isa.splat(weight);
        for (v, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `sum_taps_of` has seen that behind the last tap of the last window there are enough values.
            let values = unsafe { isa.load(values.add(offset + v * F::LANES)) };
            *sum = isa.multiply_add(weight, values, *sum);
        }
    }
    let [scale, offset] = taps.finish.affine[0].map(|value| isa.splat(value));
    let [low, high] = taps.finish.limits.map(|value| isa.splat(value));
    let mut rest = [0.0; FloatTile::MOST_COLUMNS];
    let whole = output.len() >= len;
    let to = if whole { output.as_mut_ptr() } else { rest.as_mut_ptr() };
    for (v, &sum) in sums.iter().enumerate() {
        let sum = isa.clamp(isa.multiply_add(sum, scale, offset), low, high);
        // SAFETY: both have place for `len` values.
        unsafe { isa.store(to.add(v * F::LANES), sum) };
    }
    if !whole {
        output.copy_from_slice(&rest[..output.len()]);
    }
    len
}

/// Defines the functions of one instruction set for tiles of all sizes.
macro_rules! float_kernels {
    ($proof:ty, $([$feature:literal],)? $multiply:ident: $($rows:literal)+, $dot:ident, $sum_taps:ident) => {
        /// [`sum_taps`](crate::kernels::float::sum_taps) on this instruction set.
        pub(crate) fn $sum_taps(
            proof: $proof,
            taps: &$crate::kernels::float::Taps<'_>,
            width: usize,
            output: &mut [f32],
        ) {
            $(#[target_feature(enable = $feature)])?
            unsafe fn sum_taps(
                proof: $proof,
                taps: &$crate::kernels::float::Taps<'_>,
                width: usize,
                output: &mut [f32],
            ) {
                $crate::kernels::float::sum_taps_of(proof, taps, width, output)
            }
            // SAFETY: the proof answers for the instructions.
            unsafe { sum_taps(proof, taps, width, output) }
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
    };
}
pub(super) use float_kernels;

/// Four floats that the compiler makes a vector of.
#[derive(Clone, Copy)]
struct Portable;

impl FloatVector for Portable {
    type Vector = [f32; 4];

    const LANES: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; 4] {
        [value; 4]
    }

    #[inline(always)]
    fn multiply_add(self, a: [f32; 4], b: [f32; 4], sum: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i] + sum[i])
    }

    #[inline(always)]
    fn clamp(self, x: [f32; 4], low: [f32; 4], high: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| {
            let x = if x[i] < low[i] { low[i] } else { x[i] };
            if x > high[i] { high[i] } else { x }
        })
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> [f32; 4] {
        // SAFETY: the caller answers for the vector.
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, vector: [f32; 4]) {
        // SAFETY: the caller answers for the vector.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(vector) }
    }
}

mod portable {
    use super::Portable;

    super::float_kernels!(Portable, multiply_tile: 1 2 3 4 5 6, dot_tile, sum_taps);
}
