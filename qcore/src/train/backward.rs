//! What an operation is given in the backward pass, and the gradients that it gives.

use ndarray::{Axis, Slice};

use crate::ops::{Format, Lowering, Op, Planned, TensorSpec};
use crate::tensor::Rearrangement;
use crate::{Error, Result, Tensor};

/// The forward pass of one operation, and the gradients of its outputs: what [`Op::backward`] is given.
#[derive(Clone, Copy, Debug)]
pub struct Backward<'a> {
    /// Its inputs.
    pub inputs: &'a [Tensor],
    /// Its outputs.
    pub outputs: &'a [Tensor],
    /// The gradient of each output, of its shape.
    pub gradients: &'a [Tensor],
}

impl<'a> Backward<'a> {
    /// Input `index`.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn input(&self, index: usize) -> Result<&'a Tensor> {
        self.inputs
            .get(index)
            .ok_or_else(|| Error::Unsupported(format!("a backward pass without input {index}")))
    }

    /// The only output, and its gradient in row-major order.
    ///
    /// # Errors
    /// When there is not exactly one.
    pub fn output(&self) -> Result<(&'a Tensor, Tensor)> {
        match (self.outputs, self.gradients) {
            ([output], [gradient]) if gradient.shape() == output.shape() => {
                Ok((output, gradient.clone().contiguous()))
            }
            _ => Err(Error::Unsupported("a backward pass of other than one output".into())),
        }
    }

    /// The gradient of the only input where each output depends on the input at the same place alone: `derivative` gets
    /// the input and the output there.
    ///
    /// # Errors
    /// As [`Backward::output`].
    pub fn elementwise(&self, derivative: impl Fn(f32, f32) -> f32) -> Result<Gradients> {
        let (output, mut gradient) = self.output()?;
        let (x, y) = (self.input(0)?.clone().contiguous(), output.clone().contiguous());
        let pairs = x.as_slice().unwrap_or_default().iter().zip(y.as_slice().unwrap_or_default());
        for (gradient, (&x, &y)) in gradient.as_slice_mut().unwrap_or_default().iter_mut().zip(pairs) {
            *gradient *= derivative(x, y);
        }
        Ok(Gradients::of_input(gradient))
    }
}

/// The gradients of an operation's inputs and parameters.
#[derive(Clone, Debug, Default)]
pub struct Gradients {
    /// Of each input; `None` where it is zero or not needed, as of an input that is read for its shape alone.
    pub inputs: Vec<Option<Tensor>>,
    /// Of each parameter by its name in the operation: `weight`.
    pub parameters: Vec<(&'static str, Tensor)>,
}

impl Gradients {
    /// Of the only input of an operation without parameters.
    pub fn of_input(gradient: Tensor) -> Self {
        Self { inputs: vec![Some(gradient)], parameters: Vec::new() }
    }
}

/// The gradient of an operation that only moves values, for which that follows from its plan.
///
/// # Errors
/// Of all other operations, with their name.
pub(crate) fn of_moved_values(op: &dyn Op, pass: &Backward<'_>) -> Result<Gradients> {
    let specs: Vec<TensorSpec> = pass
        .inputs
        .iter()
        .map(|input| TensorSpec::in_format(input.shape(), input.memory_format(), Format::F32))
        .collect();
    let shape = pass.input(0)?.shape();
    let (_, gradient) = pass.output()?;
    let gradient = match op.lower(&Lowering::float())?.plan(&specs)? {
        Planned::View(_) => reshaped(gradient, shape)?,
        Planned::Rearranged(rearrangements) => {
            let shapes = rearrangements.iter().scan(shape.to_vec(), |shape, each| {
                let next = each.shape(shape);
                Some(std::mem::replace(shape, next))
            });
            let steps: Vec<_> = rearrangements.iter().zip(shapes).collect();
            let back =
                |gradient, (each, shape): &(&Rearrangement, Vec<usize>)| moved_back(each, gradient, shape);
            steps.iter().rev().try_fold(gradient, back)?
        }
        _ => {
            let message = format!("`{}` has no gradient: its `Op::backward` is not written", op.name());
            return Err(Error::Unsupported(message));
        }
    };
    let mut inputs = vec![None; pass.inputs.len()];
    inputs[0] = Some(gradient);
    Ok(Gradients { inputs, parameters: Vec::new() })
}

fn moved_back(rearrangement: &Rearrangement, gradient: Tensor, shape: &[usize]) -> Result<Tensor> {
    match rearrangement {
        Rearrangement::Permute(order) => {
            let mut inverse = vec![0; order.len()];
            order.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
            let moved = Rearrangement::Permute(inverse).apply("a permutation", gradient.into_shared())?;
            Ok(Tensor::from(moved).contiguous())
        }
        Rearrangement::Slice { axis, range } => {
            let mut whole = Tensor::try_zeros(shape)?.into_array();
            whole.slice_axis_mut(Axis(*axis), Slice::from(range.clone())).assign(&gradient.view());
            Ok(Tensor::from(whole))
        }
        Rearrangement::Reshape(_) => reshaped(gradient, shape),
        Rearrangement::Broadcast(_) => summed_to(gradient, shape),
    }
}

/// The same values in row-major order, in another shape of as many.
pub(crate) fn reshaped(tensor: Tensor, shape: &[usize]) -> Result<Tensor> {
    Rearrangement::Reshape(shape.to_vec()).apply("a gradient", tensor.into_shared()).map(Tensor::from)
}

/// The sum over the axes along which a tensor of `shape` was repeated.
pub(crate) fn summed_to(gradient: Tensor, shape: &[usize]) -> Result<Tensor> {
    if gradient.shape() == shape {
        return Ok(gradient);
    }
    let mut sums = gradient.into_array();
    while sums.ndim() > shape.len() {
        sums = sums.sum_axis(Axis(0));
    }
    for (axis, &extent) in shape.iter().enumerate() {
        if extent == 1 && sums.shape()[axis] != 1 {
            sums = sums.sum_axis(Axis(axis)).insert_axis(Axis(axis));
        }
    }
    Ok(Tensor::from(sums))
}
