//! The gradients of a linear layer: `dx = dy W`, `dW = dy^T x`, `db` the sum of `dy` over the rows.

use ndarray::{ArrayView2, Axis};

use super::{Linear, NAME};
use crate::train::{Backward, Gradients, reshaped};
use crate::{Error, Result, Tensor};

pub(super) fn backward(linear: &Linear, pass: &Backward<'_>) -> Result<Gradients> {
    let features = linear.features()?;
    let x = pass.input(0)?.clone().contiguous();
    let (_, gradient) = pass.output()?;
    let (rows, _) = features.rows(x.shape())?;
    let weight = linear.weight.clone().contiguous();
    let [dy, inputs, weights] = [
        matrix(&gradient, rows, features.outputs)?,
        matrix(&x, rows, features.inputs)?,
        matrix(&weight, features.outputs, features.inputs)?,
    ];
    let mut parameters = vec![("weight", Tensor::from(dy.t().dot(&inputs)).contiguous())];
    if linear.bias.is_some() {
        parameters.push(("bias", Tensor::from(dy.sum_axis(Axis(0)))));
    }
    let input = reshaped(Tensor::from(dy.dot(&weights)), x.shape())?;
    Ok(Gradients { inputs: vec![Some(input)], parameters })
}

fn matrix(tensor: &Tensor, rows: usize, columns: usize) -> Result<ArrayView2<'_, f32>> {
    let values = tensor.as_slice().unwrap_or_default();
    ArrayView2::from_shape((rows, columns), values)
        .map_err(|_| Error::shape(NAME, format!("{rows} rows of {columns}"), tensor.shape()))
}
