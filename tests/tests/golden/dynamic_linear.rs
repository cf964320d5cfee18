//! Topic `dynamic_linear`: integer weights, and an input whose scale is found at every run.

use anyhow::{Context, Result, bail, ensure};
use qcore::observer::Observer;
use qcore::ops::{Activation, Format, Lowering, Op, Precision};
use qcore::prelude::*;
use qcore::{AnyTensor, QTensor, evaluate};

use crate::comparison::Findings;
use crate::index::Case;
use crate::lowering::{GivenQParams, backend};
use crate::weighted::{linear, set_parameters};

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    match case.op() {
        "linear_dynamic" => {
            let weight = case.quantized("w")?;
            let observer = Box::new(GivenQParams(weight.qparams().clone()));
            let (found, y) = run_dynamic(case, &linear(case, &weight)?, observer)?;
            ensure!(found == weight, "the weight was changed on the way");
            findings.tensor("y", &y)
        }
        "linear_dynamic_module" => module(case, &QConfig::default_dynamic_qconfig(), findings),
        "linear_dynamic_module_per_channel" => {
            module(case, &QConfig::per_channel_dynamic_qconfig(), findings)
        }
        "linear_dynamic_fp16" => half(case, findings),
        other => bail!("no operation `{other}`"),
    }
}

/// With a weight in half precision.
fn half(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let weight = case.tensor("w_float")?;
    let &[out_features, in_features] = weight.shape() else { bail!("a weight of {:?}", weight.shape()) };
    let rounded = qcore::round_to_float16(&weight);
    findings.tensor("w", &rounded)?;
    let mut layer = Linear::new(in_features, out_features).bias(case.has_input("b"));
    set_parameters(&mut layer, &[("weight", Some(weight)), ("bias", case.optional_tensor("b")?)])?;
    let activation = case.param::<bool>("relu")?.then_some(Activation::ReLU);
    let observer = QConfig::float16_dynamic_qconfig().weight_observer();
    let lowering = Lowering::new(Precision::Half, backend(case)?, &[], &[], observer);
    let executable = layer.lower(&lowering.with_activation(activation))?;
    match <[AnyTensor; 1]>::try_from(evaluate(&*executable, &[case.tensor("x")?.into()])?) {
        Ok([AnyTensor::Float(y)]) => findings.tensor("y", &y),
        other => bail!("{other:?} in place of one float tensor"),
    }
}

/// From a float weight, which the qconfig quantizes.
fn module(case: &Case<'_>, qconfig: &QConfig, findings: &mut Findings<'_>) -> Result<()> {
    let weight = case.tensor("w_float")?;
    let &[out_features, in_features] = weight.shape() else { bail!("a weight of {:?}", weight.shape()) };
    let mut layer = Linear::new(in_features, out_features).bias(case.has_input("b"));
    set_parameters(&mut layer, &[("weight", Some(weight)), ("bias", case.optional_tensor("b")?)])?;
    let (weight, y) = run_dynamic(case, &layer, qconfig.weight_observer())?;
    findings.quantized_exactly("w", &weight)?;
    findings.tensor("y", &y)
}

/// The quantized weight and the output.
fn run_dynamic(
    case: &Case<'_>,
    layer: &dyn Op,
    weight_observer: Box<dyn Observer>,
) -> Result<(QTensor, Tensor)> {
    // It is fbgemm's modules that reduce the range. The kernel alone, told not to, is what our own backend follows.
    let backend = match (backend(case)?, case.param("reduce_range")?) {
        (Backend::Fbgemm, false) => Backend::Native,
        (backend, _) => backend,
    };
    let activation = case.param::<bool>("relu")?.then_some(Activation::ReLU);
    let formats = [Format::F32];
    let lowering = Lowering::new(Precision::Dynamic, backend, &formats, &formats, weight_observer);
    let executable = layer.lower(&lowering.with_activation(activation))?;
    let weight = executable.weight().context("a quantized weight")?;
    match <[AnyTensor; 1]>::try_from(evaluate(&*executable, &[case.tensor("x")?.into()])?) {
        Ok([AnyTensor::Float(y)]) => Ok((weight, y)),
        other => bail!("{other:?} in place of one float tensor"),
    }
}
