//! Topic `norms`: batch norm that no convolution took in, layer, group and instance norm.

use anyhow::{Context, Result, bail};
use qcore::ops::{BatchNorm, InstanceNorm, Op};
use qcore::prelude::*;
use qcore::{QTensor, Tensor};

use crate::comparison::Findings;
use crate::index::Case;
use crate::lowering::{run_observed, unfused};
use crate::weighted::set_parameters;

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let y = match unfused(case) {
        ("batch_norm2d", activation) => {
            run_observed(case, &batch_norm::<2>(case)?, activation, &[case.quantized("x")?])?
        }
        ("batch_norm3d", activation) => {
            run_observed(case, &batch_norm::<3>(case)?, activation, &[case.quantized("x")?])?
        }
        ("layer_norm", None) => {
            let shape: Vec<usize> = case.param("normalized_shape")?;
            let mut layer = LayerNorm::new(shape).eps(case.param("eps")?);
            layer = layer.elementwise_affine(case.has_input("weight")).bias(case.has_input("bias"));
            run_norm(case, layer)?
        }
        ("group_norm", None) => {
            let x = case.quantized("x")?;
            let channels = *x.shape().get(1).context("channels")?;
            let layer = GroupNorm::new(case.param("num_groups")?, channels).eps(case.param("eps")?);
            run_norm(case, layer.affine(case.has_input("weight")))?
        }
        ("instance_norm", None) => match case.quantized("x")?.shape() {
            &[_, channels, _] => run_norm(case, instance_norm::<1>(case, channels)?)?,
            &[_, channels, _, _] => run_norm(case, instance_norm::<2>(case, channels)?)?,
            &[_, channels, _, _, _] => run_norm(case, instance_norm::<3>(case, channels)?)?,
            other => bail!("instance norm of {other:?}"),
        },
        (other, _) => bail!("no operation `{other}`"),
    };
    findings.quantized("y", &y)
}

/// Runs a norm with the weight and bias of the case.
fn run_norm(case: &Case<'_>, mut layer: impl Op) -> Result<QTensor> {
    let tensor = |name: &str| case.optional_tensor(name);
    set_parameters(&mut layer, &[("weight", tensor("weight")?), ("bias", tensor("bias")?)])?;
    run_observed(case, &layer, None, &[case.quantized("x")?])
}

fn instance_norm<const D: usize>(case: &Case<'_>, channels: usize) -> Result<InstanceNorm<D>> {
    Ok(InstanceNorm::new(channels).eps(case.param("eps")?).affine(case.has_input("weight")))
}

/// A case without weight and bias is a batch norm that does not scale.
fn batch_norm<const D: usize>(case: &Case<'_>) -> Result<BatchNorm<D>> {
    let mean = case.tensor("mean")?;
    let channels = mean.len();
    let constant = |value: f32| Tensor::from_vec(&[channels], vec![value; channels]).context("a vector");
    let mut layer = BatchNorm::new(channels).eps(case.param("eps")?);
    let parameters = [
        ("weight", Some(case.optional_tensor("weight")?.map_or_else(|| constant(1.0), Ok)?)),
        ("bias", Some(case.optional_tensor("bias")?.map_or_else(|| constant(0.0), Ok)?)),
        ("running_mean", Some(mean)),
        ("running_var", Some(case.tensor("var")?)),
    ];
    set_parameters(&mut layer, &parameters)?;
    Ok(layer)
}
