//! Runs one operation, lowered by the library as for a model, with scales and weights that are given.

use std::any::Any;

use anyhow::{Context, Result, bail, ensure};
use ndarray::ArrayD;
use qcore::observer::Observer;
use qcore::ops::{Activation, Format, Lowering, Op, OutputRule, Precision};
use qcore::{AnyTensor, Backend, DType, IntRepr, QParams, QTensor, Tensor, evaluate};

use crate::index::Case;

/// Whose formula a case follows. Cases of the backend `reference` do not depend on it.
pub fn backend(case: &Case<'_>) -> Result<Backend> {
    match case.backend() {
        "reference" => Ok(Backend::Native),
        name => Ok(name.parse()?),
    }
}

/// The operation of a case and the activation that is fused behind it: `add_relu` is `add` with a ReLU.
pub fn unfused<'a>(case: &'a Case<'_>) -> (&'a str, Option<Activation>) {
    match case.op().strip_suffix("_relu") {
        Some(operation) => (operation, Some(Activation::ReLU)),
        None => (case.op(), None),
    }
}

/// Runs an operation whose output has the scale that the case gives.
pub fn run_observed(
    case: &Case<'_>,
    op: &dyn Op,
    activation: Option<Activation>,
    inputs: &[QTensor],
) -> Result<QTensor> {
    ensure!(
        matches!(op.output_rule(), OutputRule::Observed | OutputRule::Shared),
        "{op:?} chooses its own scale"
    );
    run(case, op, activation, inputs, &output_qparams(case, inputs)?, None)
}

/// Runs an operation whose output has this scale.
pub fn run_at(case: &Case<'_>, op: &dyn Op, output: QParams, inputs: &[QTensor]) -> Result<QTensor> {
    run(case, op, None, inputs, &output, None)
}

/// Runs an operation whose output's scale follows from the input's.
pub fn run_following(
    case: &Case<'_>,
    op: &dyn Op,
    activation: Option<Activation>,
    input: QTensor,
) -> Result<QTensor> {
    let output = match op.output_rule() {
        OutputRule::SameAsInput => input.qparams().clone(),
        _ => op.derive_output(input.qparams())?,
    };
    run(case, op, activation, &[input], &output, None)
}

/// Runs an operation that holds the dequantized values of the quantized weight `weight`.
pub fn run_weighted(
    case: &Case<'_>,
    op: &dyn Op,
    activation: Option<Activation>,
    input: QTensor,
    weight: &QTensor,
) -> Result<QTensor> {
    let inputs = [input];
    run(case, op, activation, &inputs, &output_qparams(case, &inputs)?, Some(weight))
}

/// The scale and zero point that the case gives, of the type of the inputs.
fn output_qparams(case: &Case<'_>, inputs: &[QTensor]) -> Result<QParams> {
    let dtype = inputs.first().context("no inputs")?.dtype();
    Ok(QParams::per_tensor(case.param("out_scale")?, case.param("out_zero_point")?, dtype)?)
}

fn run(
    case: &Case<'_>,
    op: &dyn Op,
    activation: Option<Activation>,
    inputs: &[QTensor],
    output: &QParams,
    weight: Option<&QTensor>,
) -> Result<QTensor> {
    let formats: Vec<Format> = inputs.iter().map(|input| Format::of(Some(input.qparams()))).collect();
    let outputs = [Format::of(Some(output))];
    // No operation without a weight asks for it.
    let unused = QParams::per_tensor(1.0, 0, DType::QInt8)?;
    let weight_qparams = weight.map_or(unused, |weight| weight.qparams().clone());
    let weight_observer = Box::new(GivenQParams(weight_qparams));
    let lowering = Lowering::new(Precision::Static, backend(case)?, &formats, &outputs, weight_observer);
    let executable = op.lower(&lowering.with_activation(activation))?;
    ensure!(executable.weight().as_ref() == weight, "the weight was changed on the way");
    let inputs: Vec<AnyTensor> = inputs.iter().cloned().map(AnyTensor::from).collect();
    match <[AnyTensor; 1]>::try_from(evaluate(&*executable, &inputs)?) {
        Ok([AnyTensor::Quantized(output)]) => Ok(output),
        other => bail!("{other:?} in place of one quantized tensor"),
    }
}

/// An observer with given parameters: weights of a case are quantized already.
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
        Some(other) => bail!("layout `{other}`"),
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
        other => bail!("a {} image", other.dtype().name()),
    })
}

fn with_channels_last<T: Clone>(mut integers: ArrayD<T>) -> ArrayD<T> {
    let last = integers.ndim() - 1;
    (1..last).for_each(|axis| integers.swap_axes(axis, axis + 1));
    let mut integers = integers.as_standard_layout().into_owned();
    (1..last).rev().for_each(|axis| integers.swap_axes(axis, axis + 1));
    integers
}
