//! Topics `linear`, `conv` and `conv_transpose`: integer weights, float bias, the requantization of each backend.

use anyhow::{Context, Result, bail, ensure};
use qcore::ops::{Conv, ConvTranspose, Op};
use qcore::prelude::*;
use qcore::{Parameters, QTensor};

use crate::comparison::Findings;
use crate::index::Case;
use crate::lowering::{run_weighted, unfused};

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let (operation, activation) = unfused(case);
    let weight = case.quantized("w")?;
    let layer: &dyn Op = match operation {
        "linear" => &linear(case, &weight)?,
        "conv1d" => &conv::<1>(case, &weight)?,
        "conv2d" => &conv::<2>(case, &weight)?,
        "conv3d" => &conv::<3>(case, &weight)?,
        "conv_transpose1d" => &conv_transpose::<1>(case, &weight)?,
        "conv_transpose2d" => &conv_transpose::<2>(case, &weight)?,
        "conv_transpose3d" => &conv_transpose::<3>(case, &weight)?,
        other => bail!("no operation `{other}`"),
    };
    findings.quantized("y", &run_weighted(case, layer, activation, case.quantized("x")?, &weight)?)
}

/// The layer whose weight has been quantized to `weight`.
pub fn linear(case: &Case<'_>, weight: &QTensor) -> Result<Linear> {
    let &[out_features, in_features] = weight.shape() else { bail!("a weight of {:?}", weight.shape()) };
    let mut layer = Linear::new(in_features, out_features).bias(case.has_input("b"));
    set_parameters(
        &mut layer,
        &[("weight", Some(weight.dequantize())), ("bias", case.optional_tensor("b")?)],
    )?;
    Ok(layer)
}

fn conv<const D: usize>(case: &Case<'_>, weight: &QTensor) -> Result<Conv<D>> {
    let &[out_channels, in_channels, ref kernel @ ..] = weight.shape() else {
        bail!("a weight of {:?}", weight.shape())
    };
    let param = |name: &str| size::<D>(&case.param::<Vec<usize>>(name)?);
    let groups: usize = case.param("groups")?;
    let mut layer = Conv::new(in_channels * groups, out_channels, size(kernel)?)
        .stride(param("stride")?)
        .padding(param("padding")?)
        .dilation(param("dilation")?)
        .groups(groups)
        .bias(case.has_input("b"));
    set_parameters(
        &mut layer,
        &[("weight", Some(weight.dequantize())), ("bias", case.optional_tensor("b")?)],
    )?;
    Ok(layer)
}

fn conv_transpose<const D: usize>(case: &Case<'_>, weight: &QTensor) -> Result<ConvTranspose<D>> {
    let &[in_channels, out_channels, ref kernel @ ..] = weight.shape() else {
        bail!("a weight of {:?}", weight.shape())
    };
    let param = |name: &str| size::<D>(&case.param::<Vec<usize>>(name)?);
    let groups: usize = case.param("groups")?;
    let mut layer = ConvTranspose::new(in_channels, out_channels * groups, size(kernel)?)
        .stride(param("stride")?)
        .padding(param("padding")?)
        .output_padding(param("output_padding")?)
        .dilation(param("dilation")?)
        .groups(groups)
        .bias(case.has_input("b"));
    set_parameters(
        &mut layer,
        &[("weight", Some(weight.dequantize())), ("bias", case.optional_tensor("b")?)],
    )?;
    Ok(layer)
}

fn size<const D: usize>(numbers: &[usize]) -> Result<[usize; D]> {
    numbers.try_into().with_context(|| format!("{numbers:?} in {D} dimensions"))
}

/// Sets a layer's tensors by their names in a state dict. Those that are `None` the layer must not have.
pub fn set_parameters(layer: &mut impl Parameters, values: &[(&str, Option<Tensor>)]) -> Result<()> {
    let mut names = Vec::new();
    let mut misfits = Vec::new();
    layer.parameters_mut("", &mut |name, tensor| {
        match values.iter().find(|(key, _)| *key == name) {
            Some((_, Some(value))) if value.shape() == tensor.shape() => *tensor = value.clone(),
            _ => misfits.push(name.clone()),
        }
        names.push(name);
    });
    ensure!(misfits.is_empty(), "the layer has other parameters: {misfits:?}");
    let given = values.iter().filter(|(_, value)| value.is_some());
    let unknown: Vec<_> = given.filter(|(key, _)| !names.iter().any(|name| name == key)).collect();
    ensure!(unknown.is_empty(), "the layer lacks {} parameters", unknown.len());
    Ok(())
}
