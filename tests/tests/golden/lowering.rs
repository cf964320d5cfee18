//! Runs one operation in int8, lowered by the library as for a model, with scales and weights that are given.

use std::any::Any;

use anyhow::{Context, Result, ensure};
use ndarray::ArrayD;
use qcore::observer::Observer;
use qcore::op::{Lowering, Op, OutputRule, QuantizedOp};
use qcore::{Backend, DType, IntRepr, QParams, QTensor, Tensor};

use crate::index::Case;

/// Whose formula a case follows. Cases of the backend `reference` do not depend on it.
pub fn backend(case: &Case<'_>) -> Result<Backend> {
    match case.backend() {
        "reference" => Ok(Backend::Native),
        name => Ok(name.parse()?),
    }
}

/// The output's scale and zero point, where a case gives them.
pub fn output_qparams(case: &Case<'_>, dtype: DType) -> Result<QParams> {
    Ok(QParams::per_tensor(case.param("out_scale")?, case.param("out_zero_point")?, dtype)?)
}

/// Runs an operation whose output has the scale that the case gives.
pub fn run_observed<O: Op>(case: &Case<'_>, op: &O, inputs: &[QTensor]) -> Result<QTensor> {
    ensure!(
        matches!(op.output_rule(), OutputRule::Observed | OutputRule::Shared),
        "{op:?} chooses its own scale"
    );
    let dtype = inputs.first().context("no inputs")?.dtype();
    run(op, backend(case)?, inputs, &output_qparams(case, dtype)?)
}

/// Runs an operation whose output's scale follows from the input's.
pub fn run_following<O: Op>(case: &Case<'_>, op: &O, input: &QTensor) -> Result<QTensor> {
    let output = match op.output_rule() {
        OutputRule::SameAsInput => input.qparams().clone(),
        _ => op.derive_output(input.qparams())?,
    };
    run(op, backend(case)?, std::slice::from_ref(input), &output)
}

fn run<O: Op>(op: &O, backend: Backend, inputs: &[QTensor], output: &QParams) -> Result<QTensor> {
    let qparams: Vec<QParams> = inputs.iter().map(|input| input.qparams().clone()).collect();
    // No operation without a weight asks for it.
    let unused = QParams::per_tensor(1.0, 0, DType::QInt8)?;
    let lowering = Lowering::new(backend, &qparams, output, Box::new(GivenQParams(unused)));
    Ok(op.lower(&lowering)?.forward(&mut inputs.to_vec())?)
}

/// Runs an operation with the quantized weight `weight`, of which it holds the dequantized values.
pub fn run_weighted<O: Op>(case: &Case<'_>, op: &O, input: QTensor, weight: &QTensor) -> Result<QTensor> {
    let output = output_qparams(case, input.dtype())?;
    let inputs = [input.qparams().clone()];
    let weight_observer = Box::new(GivenQParams(weight.qparams().clone()));
    let lowering = Lowering::new(backend(case)?, &inputs, &output, weight_observer);
    let quantized = op.lower(&lowering)?;
    ensure!(quantized.weight().as_ref() == Some(weight), "the weight was changed on the way");
    Ok(quantized.forward(&mut [input])?)
}

/// An observer that knows its answer: weights of a case are quantized already.
#[derive(Clone, Debug)]
pub struct GivenQParams(pub QParams);

impl Observer for GivenQParams {
    fn name(&self) -> &'static str {
        "GivenQParams"
    }

    fn observe(&mut self, _: &Tensor) -> qcore::Result<()> {
        Ok(())
    }

    fn calculate_qparams(&self) -> qcore::Result<QParams> {
        Ok(self.0.clone())
    }

    fn has_observed(&self) -> bool {
        true
    }

    fn reset(&mut self) {}

    fn dtype(&self) -> DType {
        self.0.dtype
    }

    fn boxed_clone(&self) -> Box<dyn Observer> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The memory order of the case's parameter `layout`; row-major if there is none.
pub fn in_layout(case: &Case<'_>, tensor: QTensor) -> Result<QTensor> {
    match case.optional_param::<String>("layout")?.as_deref() {
        None | Some("contiguous") => Ok(tensor),
        Some("channels_last") => channels_last(&tensor),
        Some(other) => anyhow::bail!("layout `{other}`"),
    }
}

/// The same tensor with the channels next to each other in memory, as convolutions return it.
fn channels_last(tensor: &QTensor) -> Result<QTensor> {
    let qparams = tensor.qparams().clone();
    Ok(match tensor.int_repr() {
        IntRepr::QUInt8(integers) => {
            QTensor::from_int_repr(with_channels_last(integers.to_owned()), qparams)?
        }
        IntRepr::QInt8(integers) => QTensor::from_int_repr(with_channels_last(integers.to_owned()), qparams)?,
        other => anyhow::bail!("a {} image", other.dtype().name()),
    })
}

fn with_channels_last<T: Clone>(mut integers: ArrayD<T>) -> ArrayD<T> {
    let last = integers.ndim() - 1;
    (1..last).for_each(|axis| integers.swap_axes(axis, axis + 1));
    let mut integers = integers.as_standard_layout().into_owned();
    (1..last).rev().for_each(|axis| integers.swap_axes(axis, axis + 1));
    integers
}
