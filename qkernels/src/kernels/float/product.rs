//! A tile of a matrix product: single weights times vectors of values.

use super::{Finish, FloatVector, Portable, Rows, portable};
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::kernels::{avx2, avx512};

/// The operands of one tile, or of a few side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProductTile<'a> {
    /// `depth` floats for each row of the tile, one every `left_step`.
    pub(crate) left: Rows<'a>,
    pub(crate) left_step: usize,
    /// `depth` rows, each as wide as the tile.
    pub(crate) right: Rows<'a>,
    /// From the values of one tile to those of the next.
    pub(crate) panel: usize,
    pub(crate) panels: usize,
    pub(crate) depth: usize,
    /// Whether the products are added to what the tile holds.
    pub(crate) add: bool,
    /// For the last part of the depth.
    pub(crate) finish: Option<Finish<'a>>,
}

/// Products that are added up in registers: where there are more, the error of a sum grows with their parts.
const SUMMED: usize = 1024;

/// Sets the tiles of `rows` rows, `stride` apart, of `vectors` vectors at `output` to `left * right`.
///
/// # Safety
/// The tiles can be read and written.
pub(crate) unsafe fn multiply_tile(
    isa: Isa,
    size: [usize; 2],
    tile: &ProductTile<'_>,
    output: *mut f32,
    stride: usize,
) {
    assert!(tile.finish.is_none_or(|finish| finish.affine.len() == size[0]));
    if tile.depth <= SUMMED {
        // SAFETY: the caller answers for the tile.
        return unsafe { multiply_part(isa, size, tile, output, stride) };
    }
    for first in (0..tile.depth).step_by(SUMMED) {
        let part = ProductTile {
            left: Rows { values: &tile.left.values[first * tile.left_step..], ..tile.left },
            right: Rows { values: &tile.right.values[first * tile.right.stride..], ..tile.right },
            depth: SUMMED.min(tile.depth - first),
            add: tile.add || first > 0,
            finish: tile.finish.filter(|_| tile.depth - first <= SUMMED),
            ..*tile
        };
        // SAFETY: the caller answers for the tile.
        unsafe { multiply_part(isa, size, &part, output, stride) };
    }
}

/// [`multiply_tile`] in one sum.
///
/// # Safety
/// The tiles can be read and written.
#[inline(always)]
unsafe fn multiply_part(isa: Isa, size: [usize; 2], tile: &ProductTile<'_>, output: *mut f32, stride: usize) {
    // SAFETY: the caller answers for the tile.
    unsafe {
        match isa {
            Isa::Scalar => portable::multiply_tile(Portable, size, tile, output, stride),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(proof) => avx2::multiply_float_tile(proof, size, tile, output, stride),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni(proof) => avx2::multiply_float_tile(proof.avx2(), size, tile, output, stride),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni(proof) | Isa::Amx(proof, _) => {
                avx512::multiply_float_tile(proof, size, tile, output, stride)
            }
        }
    }
}

/// [`multiply_tile`] for `R` rows and `V` vectors.
///
/// # Safety
/// The tiles can be read and written.
#[inline(always)]
pub(in crate::kernels) unsafe fn multiply_sized<F: FloatVector, const R: usize, const V: usize>(
    isa: F,
    tile: &ProductTile<'_>,
    output: *mut f32,
    stride: usize,
) {
    let ProductTile { left, left_step, right, panel, panels, depth, add, finish } = *tile;
    left.check(R, depth.saturating_sub(1) * left_step + 1);
    let values = &right.values[panels.saturating_sub(1) * panel..];
    Rows { values, ..right }.check(depth, V * F::LANES);

    let starts: [*const f32; R] = std::array::from_fn(|r| left.values.as_ptr().wrapping_add(r * left.stride));
    for index in 0..panels {
        let values = right.values.as_ptr().wrapping_add(index * panel);
        let output = output.wrapping_add(index * V * F::LANES);
        let place = |r: usize, v: usize| output.wrapping_add(r * stride + v * F::LANES);
        let mut sums = [[isa.splat(0.0); V]; R];
        let step = |k: usize, sums: &mut [[F::Vector; V]; R]| {
            let values = values.wrapping_add(k * right.stride);
            // SAFETY: `check` has seen that row `k` of the last panel holds them.
            let values: [F::Vector; V] =
                std::array::from_fn(|v| unsafe { isa.load(values.add(v * F::LANES)) });
            for (start, sums) in starts.iter().zip(sums) {
                // SAFETY: `check` has seen that each row has `depth` floats, `left_step` apart.
                let weight = isa.splat(unsafe { *start.add(k * left_step) });
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = isa.multiply_add(weight, value, *sum);
                }
            }
        };
        for k in 0..depth {
            step(k, &mut sums);
        }
        // At the end, as small products would be lost in a large sum.
        if add {
            for (r, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: within the tile.
                    *sum = isa.add(*sum, unsafe { isa.load(place(r, v)) });
                }
            }
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
}
