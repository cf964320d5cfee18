//! Topic `elementwise`: arithmetic on two tensors, on a tensor and a number, and `cat`.

use anyhow::{Result, bail};
use qcore::QTensor;
use qcore::ops::{self, Activation, Op};

use crate::comparison::Findings;
use crate::index::Case;
use crate::lowering::{run_following, run_observed, unfused};

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let (operation, activation) = unfused(case);
    let y = match operation {
        "add" => binary(case, &ops::add()?, activation)?,
        "mul" => binary(case, &ops::mul()?, activation)?,
        "matmul" => binary(case, &ops::matmul()?, activation)?,
        "add_scalar" => scalar(case, &ops::add_scalar(number(case)?)?, activation)?,
        "mul_scalar" => scalar(case, &ops::mul_scalar(number(case)?)?, activation)?,
        "cat" => match activation {
            None => cat(case)?,
            // Ours is an operation of its own behind `cat`; on integers that is the same.
            Some(_) => run_following(case, &ops::relu()?, None, cat(case)?)?,
        },
        other => bail!("no operation `{other}`"),
    };
    findings.quantized("y", &y)
}

fn binary(case: &Case<'_>, op: &dyn Op, activation: Option<Activation>) -> Result<QTensor> {
    run_observed(case, op, activation, &[case.quantized("a")?, case.quantized("b")?])
}

fn scalar(case: &Case<'_>, op: &dyn Op, activation: Option<Activation>) -> Result<QTensor> {
    run_following(case, op, activation, case.quantized("x")?)
}

fn number(case: &Case<'_>) -> Result<f64> {
    case.param("scalar")
}

fn cat(case: &Case<'_>) -> Result<QTensor> {
    let count: usize = case.param("n")?;
    let inputs: Vec<QTensor> =
        (0..count).map(|index| case.quantized(&format!("x{index}"))).collect::<Result<_>>()?;
    run_observed(case, &ops::cat(Some(case.param("dim")?))?, None, &inputs)
}
