//! `stack`: tensors of one shape along a new axis.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plain::{no_parameters, plain_op};
use super::squeeze::unsqueezed;
use super::{Cat, Executable, Lowering, Op, Planned, TensorSpec, cat, executable};
use crate::tensor::Rearrangement;
use crate::train::{Backward, Gradients, reshaped};
use crate::{Error, Result, Tensor};

/// Tensors of one shape, one after the other along a new axis.
///
/// In int8 an input with the output's scale is copied, another is brought to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    dim: isize,
}

/// The operation `stack([..], dim)`; `dim` is 0 if not given, and negative counts from the end. A place that the tensors do
/// not have is an error when the operation runs.
pub fn stack(dim: Option<isize>) -> Result<Stack> {
    Ok(Stack { dim: dim.unwrap_or(0) })
}

const NAME: &str = "stack";

no_parameters!(Stack);

impl Op for Stack {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let (stack, cat) = (*self, self.cat()?.lower(lowering)?);
        Ok(executable(NAME, move |inputs| {
            let first = inputs.first().ok_or_else(|| Error::parameter(NAME, "takes one tensor or more"))?;
            if let Some(other) = inputs.iter().find(|input| input.shape() != first.shape()) {
                return Err(Error::shape(
                    NAME,
                    format!("a tensor of shape {:?}", first.shape()),
                    other.shape(),
                ));
            }
            let unsqueeze = Rearrangement::Reshape(unsqueezed(NAME, stack.dim, first.shape())?);
            let specs: Vec<TensorSpec> = inputs.iter().map(|input| input.rearranged(&unsqueeze)).collect();
            let planned = cat.plan(&specs)?;
            let Planned::Parts(_, spec) = &planned else { return Ok(planned) };
            let (spec, before) = (spec.clone(), inputs.iter().map(|_| vec![unsqueeze.clone()]).collect());
            Ok(Planned::Around { inputs: before, planned: Box::new(planned), output: Vec::new(), spec })
        }))
    }

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        let shapes = pass.inputs.iter().map(|input| unsqueezed(NAME, self.dim, input.shape()));
        let inputs = pass.inputs.iter().zip(shapes).map(|(input, shape)| reshaped(input.clone(), &shape?));
        let unsqueezed: Vec<Tensor> = inputs.collect::<Result<_>>()?;
        let gradients = self.cat()?.backward(&Backward { inputs: &unsqueezed, ..*pass })?;
        let back = gradients.inputs.into_iter().zip(pass.inputs);
        let inputs = back
            .map(|(gradient, input)| gradient.map(|gradient| reshaped(gradient, input.shape())).transpose());
        Ok(Gradients { inputs: inputs.collect::<Result<_>>()?, parameters: Vec::new() })
    }
}

impl Stack {
    /// What is done with the tensors that have the new axis.
    fn cat(self) -> Result<Cat> {
        cat(Some(self.dim))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Backend;
    use crate::ops::tests::{assert_values, counting, float, integers, qtensor, run_int8, tensor};

    #[test]
    fn the_new_axis_is_anywhere() {
        let (a, b) = (counting(&[2]), tensor(&[2], &[5.0, 6.0]));
        let stacked = |dim| float(&stack(Some(dim)).unwrap(), &[&a, &b]);
        let y = stacked(0).unwrap();
        assert_eq!(y.shape(), [2, 2]);
        assert_values(&y, &[0.0, 1.0, 5.0, 6.0]);
        for dim in [1, -1] {
            assert_values(&stacked(dim).unwrap(), &[0.0, 5.0, 1.0, 6.0]);
        }
        assert!(stacked(2).is_err());
        let message = float(&stack(None).unwrap(), &[&a, &counting(&[3])]).unwrap_err().to_string();
        assert_eq!(message, "stack expected a tensor of shape [2], found shape [3]");
        assert!(float(&stack(None).unwrap(), &[]).is_err());
    }

    #[test]
    fn integers_get_the_scale_of_the_output() {
        let (a, b) = (qtensor(&[1, 1, 2], &[1, 2], 1.0, 0), qtensor(&[1, 1, 2], &[8, 9], 0.5, 2));
        let y = run_int8(&stack(Some(1)).unwrap(), Backend::Native, &[&a, &b], a.qparams()).unwrap();
        assert_eq!((y.shape(), integers(&y)), (&[1, 2, 1, 2][..], vec![1, 2, 3, 4]));
    }

    #[test]
    fn each_tensor_gets_its_gradients() {
        let (a, b) = (counting(&[2]), counting(&[2]));
        let y = float(&stack(Some(1)).unwrap(), &[&a, &b]).unwrap();
        let gradients = [tensor(&[2, 2], &[1.0, 2.0, 3.0, 4.0])];
        let pass = Backward { inputs: &[a, b], outputs: &[y], gradients: &gradients };
        let gradients = stack(Some(1)).unwrap().backward(&pass).unwrap().inputs;
        assert_values(gradients[0].as_ref().unwrap(), &[1.0, 3.0]);
        assert_values(gradients[1].as_ref().unwrap(), &[2.0, 4.0]);
    }
}
