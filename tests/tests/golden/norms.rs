//! Topic `norms`: batch norm that no convolution took in.

use anyhow::{Context, Result};
use qcore::layers::BatchNorm2d;
use qcore::op::FuseReLU;
use qcore::{Layer, Tensor};

use crate::Ran;
use crate::comparison::Findings;
use crate::index::Case;
use crate::lowering::run_observed;
use crate::weighted::set_parameters;

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<Ran> {
    let op = match case.op() {
        "batch_norm2d" => batch_norm(case)?.op()?,
        "batch_norm2d_relu" => batch_norm(case)?.op()?.fuse_relu(),
        _ => return Ok(Ran::NotInTheProject),
    };
    findings.quantized("y", &run_observed(case, &op, &[case.quantized("x")?])?)?;
    Ok(Ran::Yes)
}

/// A case without weight and bias is a batch norm that does not scale.
fn batch_norm(case: &Case<'_>) -> Result<BatchNorm2d> {
    let mean = case.tensor("mean")?;
    let channels = mean.len();
    let constant = |value: f32| Tensor::from_vec(&[channels], vec![value; channels]).context("a vector");
    let mut layer = BatchNorm2d::new(channels).eps(case.param("eps")?);
    let parameters = [
        ("weight", Some(case.optional_tensor("weight")?.map_or_else(|| constant(1.0), Ok)?)),
        ("bias", Some(case.optional_tensor("bias")?.map_or_else(|| constant(0.0), Ok)?)),
        ("running_mean", Some(mean)),
        ("running_var", Some(case.tensor("var")?)),
    ];
    set_parameters(&mut layer, &parameters)?;
    Ok(layer)
}
