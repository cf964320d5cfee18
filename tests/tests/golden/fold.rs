//! Topic `fold`: batch norms folded into the float weights before them.

use anyhow::{Context, Result, bail};
use qcore::ops::{BatchNorm, Conv, ConvTranspose, Op};
use qcore::prelude::*;
use qcore::{Parameters, Tensor};

use crate::comparison::Findings;
use crate::index::Case;
use crate::weighted::set_parameters;

/// The operation of a case with the layer before the batch norm, which its name leaves open.
pub fn operation(case: &Case<'_>) -> Result<String> {
    let op = case.op();
    if op != "fuse_conv_bn" {
        return Ok(op.to_owned());
    }
    if case.param("transpose")? {
        return Ok(format!("{op} of a transposed convolution"));
    }
    let dimensions = case.tensor("weight")?.rank().checked_sub(2).context("a weight of a convolution")?;
    Ok(format!("{op} of conv{dimensions}d"))
}

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let weight = case.tensor("weight")?;
    let folded = match (operation(case)?.as_str(), weight.shape()) {
        ("fuse_conv_bn of conv1d", &[out_channels, in_channels, length]) => {
            fold_into_conv::<1>(case, weight, in_channels, out_channels, [length])?
        }
        ("fuse_conv_bn of conv2d", &[out_channels, in_channels, height, width]) => {
            fold_into_conv::<2>(case, weight, in_channels, out_channels, [height, width])?
        }
        ("fuse_conv_bn of conv3d", &[out_channels, in_channels, depth, height, width]) => {
            fold_into_conv::<3>(case, weight, in_channels, out_channels, [depth, height, width])?
        }
        ("fuse_conv_bn of a transposed convolution", &[in_channels, out_channels, length]) => {
            fold_into_conv_transpose::<1>(case, weight, in_channels, out_channels, [length])?
        }
        ("fuse_conv_bn of a transposed convolution", &[in_channels, out_channels, height, width]) => {
            fold_into_conv_transpose::<2>(case, weight, in_channels, out_channels, [height, width])?
        }
        ("fuse_linear_bn", &[out_features, in_features]) => {
            let mut linear = Linear::new(in_features, out_features).bias(case.has_input("bias"));
            set_parameters(
                &mut linear,
                &[("weight", Some(weight)), ("bias", case.optional_tensor("bias")?)],
            )?;
            let mut batch_norm = BatchNorm1d::new(out_features).eps(case.param("eps")?);
            set_batch_norm(case, &mut batch_norm)?;
            Folded::new(&linear, &batch_norm)?
        }
        (other, shape) => bail!("no operation `{other}` with a weight {shape:?}"),
    };
    findings.floats("weight", folded.weight.view().iter())?;
    findings.floats("bias", folded.bias.view().iter())
}

fn fold_into_conv<const D: usize>(
    case: &Case<'_>,
    weight: Tensor,
    in_channels: usize,
    out_channels: usize,
    kernel_size: [usize; D],
) -> Result<Folded> {
    let groups: usize = case.param("groups")?;
    let mut conv = Conv::new(in_channels * groups, out_channels, kernel_size)
        .groups(groups)
        .bias(case.has_input("bias"));
    set_parameters(&mut conv, &[("weight", Some(weight)), ("bias", case.optional_tensor("bias")?)])?;
    let mut batch_norm = BatchNorm::<D>::new(out_channels).eps(case.param("eps")?);
    set_batch_norm(case, &mut batch_norm)?;
    Folded::new(&conv, &batch_norm)
}

fn fold_into_conv_transpose<const D: usize>(
    case: &Case<'_>,
    weight: Tensor,
    in_channels: usize,
    out_channels: usize,
    kernel_size: [usize; D],
) -> Result<Folded> {
    let groups: usize = case.param("groups")?;
    let mut conv = ConvTranspose::new(in_channels, out_channels * groups, kernel_size)
        .groups(groups)
        .bias(case.has_input("bias"));
    set_parameters(&mut conv, &[("weight", Some(weight)), ("bias", case.optional_tensor("bias")?)])?;
    let mut batch_norm = BatchNorm::<D>::new(out_channels * groups).eps(case.param("eps")?);
    set_batch_norm(case, &mut batch_norm)?;
    Folded::new(&conv, &batch_norm)
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

/// The parameters of a layer with a batch norm folded in.
pub struct Folded {
    pub weight: Tensor,
    pub bias: Tensor,
}

impl Folded {
    pub fn new(layer: &dyn Op, batch_norm: &dyn Op) -> Result<Self> {
        let batch_norm = batch_norm.as_batch_norm().context("a batch norm")?;
        let folded = layer.fold_batch_norm(batch_norm).context("a layer that takes a batch norm")??;
        let (mut weight, mut bias) = (None, None);
        folded.parameters("", &mut |name, tensor| match name.as_str() {
            "weight" => weight = Some(tensor.clone()),
            "bias" => bias = Some(tensor.clone()),
            _ => {}
        });
        Ok(Self { weight: weight.context("a weight")?, bias: bias.context("folding gives a bias")? })
    }
}
