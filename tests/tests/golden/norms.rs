//! Topic `norms`: batch norm that no convolution took in.

use anyhow::{Context, Result, bail};
use qcore::Tensor;
use qcore::prelude::*;

use crate::comparison::Findings;
use crate::index::Case;
use crate::lowering::{run_observed, unfused};
use crate::weighted::set_parameters;

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let y = match unfused(case) {
        ("batch_norm2d", activation) => {
            run_observed(case, &batch_norm(case)?, activation, &[case.quantized("x")?])?
        }
        (other, _) => bail!("no operation `{other}`"),
    };
    findings.quantized("y", &y)
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
