//! Tensors that are the same in every run, and how far two are apart.

use qcore::Tensor;

/// Values in -1..=1 that look random; another `seed` gives others.
pub fn noise(shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    let values = (0..shape.iter().product())
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32) / ((1_u32 << 23) as f32) - 1.0
        })
        .collect();
    Tensor::from_vec(shape, values).expect("as many values as the shape has")
}

/// `noise`, with the value at flat index `index` replaced.
pub fn noise_with(shape: &[usize], index: usize, value: f32) -> Tensor {
    let mut values: Vec<f32> = noise(shape, 0).view().iter().copied().collect();
    values[index] = value;
    Tensor::from_vec(shape, values).expect("as many values as the shape has")
}

/// The largest absolute difference.
///
/// # Panics
/// When the shapes differ or a difference is NaN.
pub fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.shape(), b.shape());
    let differences = a.view().iter().zip(b.view().iter()).map(|(a, b)| (a - b).abs()).collect::<Vec<_>>();
    assert!(differences.iter().all(|difference| !difference.is_nan()), "{a:?} {b:?}");
    differences.into_iter().fold(0.0, f32::max)
}
