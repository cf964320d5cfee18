//! Topic `elementwise`: arithmetic on two tensors, on a tensor and a number, and `cat`.

use anyhow::Result;
use qcore::QTensor;
use qcore::op::{self, FuseReLU, Op};

use crate::Ran;
use crate::comparison::Findings;
use crate::index::Case;
use crate::lowering::{run_following, run_observed};

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<Ran> {
    let y = match case.op() {
        "add" => binary(case, &op::add()?)?,
        "add_relu" => binary(case, &op::add()?.fuse_relu())?,
        "mul" => binary(case, &op::mul()?)?,
        "mul_relu" => binary(case, &op::mul()?.fuse_relu())?,
        "add_scalar" => scalar(case, &op::add_scalar(number(case)?)?)?,
        "add_scalar_relu" => scalar(case, &op::add_scalar(number(case)?)?.fuse_relu())?,
        "mul_scalar" => scalar(case, &op::mul_scalar(number(case)?)?)?,
        "mul_scalar_relu" => scalar(case, &op::mul_scalar(number(case)?)?.fuse_relu())?,
        "cat" => cat(case)?,
        // Ours is an operation of its own behind `cat`; on integers that is the same.
        "cat_relu" => run_following(case, &op::relu()?, &cat(case)?)?,
        _ => return Ok(Ran::NotInTheProject),
    };
    findings.quantized("y", &y)?;
    Ok(Ran::Yes)
}

fn binary(case: &Case<'_>, op: &impl Op) -> Result<QTensor> {
    run_observed(case, op, &[case.quantized("a")?, case.quantized("b")?])
}

fn scalar(case: &Case<'_>, op: &impl Op) -> Result<QTensor> {
    run_following(case, op, &case.quantized("x")?)
}

fn number(case: &Case<'_>) -> Result<f64> {
    case.param("scalar")
}

fn cat(case: &Case<'_>) -> Result<QTensor> {
    let count: usize = case.param("n")?;
    let inputs: Vec<QTensor> =
        (0..count).map(|index| case.quantized(&format!("x{index}"))).collect::<Result<_>>()?;
    run_observed(case, &op::cat(Some(case.param("dim")?))?, &inputs)
}
