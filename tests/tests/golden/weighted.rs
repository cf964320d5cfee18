//! Topics `linear` and `conv`: integer weights, float bias, the requantization of each backend.

use anyhow::{Result, ensure};
use qcore::__private::Parameters;
use qcore::layers::{Conv2d, Linear};
use qcore::op::{FuseReLU, Op};
use qcore::{Layer, QTensor, Tensor};

use crate::Ran;
use crate::comparison::Findings;
use crate::index::Case;
use crate::lowering::run_weighted;

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<Ran> {
    let weight = |case: &Case<'_>| case.quantized("w");
    let y = match case.op() {
        "linear" => run_layer(case, linear(case, &weight(case)?)?.op()?)?,
        "linear_relu" => run_layer(case, linear(case, &weight(case)?)?.op()?.fuse_relu())?,
        "conv2d" => run_layer(case, conv2d(case, &weight(case)?)?.op()?)?,
        "conv2d_relu" => run_layer(case, conv2d(case, &weight(case)?)?.op()?.fuse_relu())?,
        _ => return Ok(Ran::NotInTheProject),
    };
    findings.quantized("y", &y)?;
    Ok(Ran::Yes)
}

fn run_layer(case: &Case<'_>, op: impl Op) -> Result<QTensor> {
    run_weighted(case, &op, case.quantized("x")?, &case.quantized("w")?)
}

fn linear(case: &Case<'_>, weight: &QTensor) -> Result<Linear> {
    let &[out_features, in_features] = weight.shape() else {
        anyhow::bail!("a weight of {:?}", weight.shape())
    };
    let mut layer = Linear::new(in_features, out_features).bias(case.has_input("b"));
    set_parameters(
        &mut layer,
        &[("weight", Some(weight.dequantize())), ("bias", case.optional_tensor("b")?)],
    )?;
    Ok(layer)
}

fn conv2d(case: &Case<'_>, weight: &QTensor) -> Result<Conv2d> {
    let &[out_channels, in_channels, height, width] = weight.shape() else {
        anyhow::bail!("a weight of {:?}", weight.shape())
    };
    let groups: usize = case.param("groups")?;
    let mut layer = Conv2d::new(in_channels * groups, out_channels, (height, width))
        .stride(case.param::<[usize; 2]>("stride")?)
        .padding(case.param::<[usize; 2]>("padding")?)
        .dilation(case.param::<[usize; 2]>("dilation")?)
        .groups(groups)
        .bias(case.has_input("b"));
    set_parameters(
        &mut layer,
        &[("weight", Some(weight.dequantize())), ("bias", case.optional_tensor("b")?)],
    )?;
    Ok(layer)
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
