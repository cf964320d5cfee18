//! Topic `fold`: batch norms folded into the float weights before them.

use anyhow::{Context, Result};
use qcore::__private::Parameters;
use qcore::layers::{BatchNorm1d, BatchNorm2d, Conv2d, Linear};
use qcore::op::FoldBatchNorm;
use qcore::{Layer, Tensor};

use crate::Ran;
use crate::comparison::Findings;
use crate::index::Case;
use crate::weighted::set_parameters;

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<Ran> {
    let weight = case.tensor("weight")?;
    let (weight, bias) = match (case.op(), weight.shape()) {
        ("fuse_conv_bn", &[out_channels, in_channels, height, width])
            if !case.param::<bool>("transpose")? =>
        {
            let groups: usize = case.param("groups")?;
            let mut conv = Conv2d::new(in_channels * groups, out_channels, (height, width))
                .groups(groups)
                .bias(case.has_input("bias"));
            set_parameters(&mut conv, &[("weight", Some(weight)), ("bias", case.optional_tensor("bias")?)])?;
            let mut batch_norm = BatchNorm2d::new(out_channels).eps(case.param("eps")?);
            set_batch_norm(case, &mut batch_norm)?;
            let folded = conv.op()?.fold_batch_norm(&batch_norm)?;
            (folded.weight().clone(), folded.bias().cloned())
        }
        ("fuse_linear_bn", &[out_features, in_features]) => {
            let mut linear = Linear::new(in_features, out_features).bias(case.has_input("bias"));
            set_parameters(
                &mut linear,
                &[("weight", Some(weight)), ("bias", case.optional_tensor("bias")?)],
            )?;
            let mut batch_norm = BatchNorm1d::new(out_features).eps(case.param("eps")?);
            set_batch_norm(case, &mut batch_norm)?;
            let folded = linear.op()?.fold_batch_norm(&batch_norm)?;
            (folded.weight().clone(), folded.bias().cloned())
        }
        _ => return Ok(Ran::NotInTheProject),
    };
    findings.floats("weight", weight.view().iter())?;
    findings.floats("bias", bias.context("folding gives a bias")?.view().iter())?;
    Ok(Ran::Yes)
}

fn set_batch_norm(case: &Case<'_>, batch_norm: &mut impl Parameters) -> Result<()> {
    let tensor = |role: &str| case.tensor(role).map(Some);
    let parameters: [(&str, Option<Tensor>); 4] = [
        ("weight", tensor("gamma")?),
        ("bias", tensor("beta")?),
        ("running_mean", tensor("mean")?),
        ("running_var", tensor("var")?),
    ];
    set_parameters(batch_norm, &parameters)
}
