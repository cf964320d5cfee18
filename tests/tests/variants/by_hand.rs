//! The operations that the tests compute themselves.

use ndarray::{ArrayD, Axis, Ix2};
use qcore::Tensor;
use qcore::prelude::Linear;

pub type Array = ArrayD<f32>;

pub fn array(x: &Tensor) -> Array {
    x.view().to_owned()
}

/// `x` times the transposed weight, plus the bias.
pub fn apply(layer: &Linear, x: &Array) -> Array {
    let x = x.view().into_dimensionality::<Ix2>().unwrap();
    let weight = layer.weight().view().into_dimensionality::<Ix2>().unwrap();
    let mut y = ArrayD::zeros(vec![x.nrows(), weight.nrows()]);
    for row in 0..x.nrows() {
        for feature in 0..weight.nrows() {
            let products = x.row(row).iter().zip(weight.row(feature)).map(|(a, b)| a * b).sum::<f32>();
            let bias = layer.bias_tensor().map_or(0.0, |bias| bias.view()[[feature]]);
            y[[row, feature]] = products + bias;
        }
    }
    y
}

pub fn rectify(x: &Array) -> Array {
    x.mapv(|value| value.max(0.0))
}

pub fn clamp(x: &Array, low: f32, high: f32) -> Array {
    x.mapv(|value| value.clamp(low, high))
}

/// Columns `from..to` of a matrix.
pub fn columns(x: &Array, from: usize, to: usize) -> Array {
    x.slice_axis(Axis(1), ndarray::Slice::from(from..to)).to_owned()
}

/// Arrays one after the other along `axis`.
pub fn concatenate(axis: usize, parts: &[&Array]) -> Array {
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    ndarray::concatenate(Axis(axis), &views).unwrap()
}

/// The values in row-major order in another shape.
pub fn reshaped(x: &Array, shape: &[usize]) -> Array {
    ArrayD::from_shape_vec(shape, x.iter().copied().collect()).unwrap()
}
