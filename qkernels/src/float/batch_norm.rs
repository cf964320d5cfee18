//! Batch normalization in evaluation mode.

use crate::error::{Error, Result};
use crate::length;
use crate::threads::{elementwise_chunk, for_each_chunk};

/// Statistics and affine parameters of a batch normalization, each `[C]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormParameters<'a> {
    /// Running mean.
    pub mean: &'a [f32],
    /// Running variance.
    pub variance: &'a [f32],
    /// Gamma; 1 if absent.
    pub weight: Option<&'a [f32]>,
    /// Beta; 0 if absent.
    pub bias: Option<&'a [f32]>,
    /// Added to the variance.
    pub eps: f32,
}

/// `(x - mean) / sqrt(variance + eps) * weight + bias` in place of each `x` of `values` `[N, C, inner]`, as
/// `x * a + b` with `a = weight / sqrt(variance + eps)`, `b = bias - mean * a`.
///
/// For images `inner` is `H * W`. PyTorch: `batch_norm` with `training=False`.
///
/// # Errors
/// If a length does not match or a size is zero.
pub fn batch_norm(parameters: &BatchNormParameters<'_>, inner: usize, values: &mut [f32]) -> Result<()> {
    let channels = parameters.mean.len();
    length::check("running variance", parameters.variance, channels)?;
    for (what, slice) in [("weight", parameters.weight), ("bias", parameters.bias)] {
        if let Some(slice) = slice {
            length::check(what, slice, channels)?;
        }
    }
    let image = length::product("image", &[channels, inner])?;
    if image == 0 || !values.len().is_multiple_of(image) {
        return Err(Error::geometry(format!(
            "{} elements are not images of {channels} channels with {inner} elements each",
            values.len()
        )));
    }
    let affine: Vec<[f32; 2]> = (0..channels)
        .map(|channel| {
            let deviation = (parameters.variance[channel] + parameters.eps).sqrt();
            let a = parameters.weight.map_or(1.0, |weight| weight[channel]) / deviation;
            let b = parameters.bias.map_or(0.0, |bias| bias[channel]) - parameters.mean[channel] * a;
            [a, b]
        })
        .collect();
    let work = values.len();
    let chunk = elementwise_chunk(work, inner);
    for_each_chunk(
        values,
        chunk,
        work,
        #[inline(always)]
        |index, values| {
            let first = index * (chunk / inner) % channels;
            let channels = affine.iter().cycle().skip(first);
            for (plane, &[a, b]) in values.chunks_exact_mut(inner).zip(channels) {
                for x in plane {
                    *x = *x * a + b;
                }
            }
        },
    );
    Ok(())
}
