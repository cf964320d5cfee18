//! Topic `activations`: operations of one tensor, most of them over all 256 integers.

use anyhow::{Result, bail};
use qcore::ops::{self, Op};
use qcore::{DType, QParams, QTensor};

use crate::comparison::Findings;
use crate::index::Case;
use crate::lowering::{run_at, run_following, run_observed, run_weighted};

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let x = case.quantized("x")?;
    let y = match case.op() {
        "relu" => run_following(case, &ops::relu()?, None, x)?,
        "relu6" => run_following(case, &ops::relu6()?, None, x)?,
        "clamp" => {
            let (min, max): (f64, f64) = (case.param("min")?, case.param("max")?);
            run_following(case, &ops::clamp(min, max)?, None, x)?
        }
        "hardtanh" => {
            let (min, max): (f64, f64) = (case.param("min")?, case.param("max")?);
            run_following(case, &ops::hardtanh(Some(min), Some(max))?, None, x)?
        }
        "threshold" => {
            let (threshold, value): (f64, f64) = (case.param("threshold")?, case.param("value")?);
            run_following(case, &ops::threshold(threshold, value)?, None, x)?
        }
        "gelu" => {
            let approximate: String = case.param("approximate")?;
            run_at(case, &ops::gelu(Some(&approximate))?, x.qparams().clone(), &[x])?
        }
        "sigmoid" | "hardsigmoid" => {
            let op: &dyn Op = if case.op() == "sigmoid" { &ops::Sigmoid } else { &ops::Hardsigmoid };
            run_at(case, op, fixed_qparams(&x, 1.0 / 256.0, 0)?, &[x])?
        }
        "tanh" => run_at(case, &ops::tanh()?, fixed_qparams(&x, 2.0 / 256.0, 128)?, &[x])?,
        "sigmoid_out" => run_observed(case, &ops::sigmoid()?, None, &[x])?,
        "leaky_relu" => {
            run_observed(case, &ops::leaky_relu(Some(case.param("negative_slope")?))?, None, &[x])?
        }
        "elu" => run_observed(case, &ops::elu(Some(case.param("alpha")?))?, None, &[x])?,
        "celu" => run_observed(case, &ops::celu(Some(case.param("alpha")?))?, None, &[x])?,
        "softmax" => run_observed(case, &ops::softmax(case.param("dim")?)?, None, &[x])?,
        "prelu" => {
            let weight = case.quantized("w")?;
            let layer = ops::PReLU::new(weight.shape().iter().product()).with_weight(weight.dequantize())?;
            run_weighted(case, &layer, None, x, &weight)?
        }
        "hardswish" => run_observed(case, &ops::hardswish()?, None, &[x])?,
        other => bail!("no operation `{other}`"),
    };
    findings.quantized("y", &y)
}

/// A scale that does not depend on data, for integers of the type of `x`; the zero point is that of `quint8`.
fn fixed_qparams(x: &QTensor, scale: f32, zero_point: i32) -> Result<QParams> {
    let zero_point = if x.dtype() == DType::QInt8 { zero_point - 128 } else { zero_point };
    Ok(QParams::per_tensor(scale, zero_point, x.dtype())?)
}
