//! The micro-kernels in plain Rust.

use super::{FloatVector, float_kernels};

/// Four floats that the compiler makes a vector of.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl FloatVector for Portable {
    type Vector = [f32; 4];

    const LANES: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; 4] {
        [value; 4]
    }

    #[inline(always)]
    fn add(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] - b[i])
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
    fn zip(self, a: [f32; 4], b: [f32; 4]) -> [[f32; 4]; 2] {
        [[a[0], b[0], a[1], b[1]], [a[2], b[2], a[3], b[3]]]
    }

    #[inline(always)]
    fn unzip(self, a: [f32; 4], b: [f32; 4]) -> [[f32; 4]; 2] {
        [[a[0], a[2], b[0], b[2]], [a[1], a[3], b[1], b[3]]]
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

float_kernels!(
    Portable, multiply_tile: 1 2 3 4 5 6, dot_tile, sum_strip, transform_patches, transform_products, unzip_rows
);
