//! Fake quantization: floats rounded to the grid of a scale and zero point, for training.

use crate::error::{Error, Result};
use crate::length;
use crate::quantize::ChannelExtents;
use crate::threads::{elementwise_chunk, for_each_chunk_of_two};

/// The grid of each channel, and the integers that it is limited to.
#[derive(Clone, Copy, Debug)]
pub struct FakeQuantization<'a> {
    /// The step of each channel; one for all without channels.
    pub scale: &'a [f32],
    /// The integer that stands for 0, of each channel; a real number if `is_float_zero_point`.
    pub zero_point: &'a [f32],
    /// Smallest and largest integer.
    pub range: [f32; 2],
    /// Whether the zero point is added before rounding (NUMERICS section 12.1).
    pub is_float_zero_point: bool,
}

/// Replaces each value `x` by `(clamp(t, range) - zero_point) * scale` with `t = round(x / scale) + zero_point`, and sets
/// its place in `mask` to 1 where `t` is in the range, so that gradients pass, else to 0.
///
/// `values` are `[outer, channels, inner]` of `extents`. PyTorch: `torch.fake_quantize_per_channel_affine`, bit for bit.
///
/// # Errors
/// If a length does not fit.
pub fn fake_quantize(
    quantization: &FakeQuantization<'_>,
    extents: ChannelExtents,
    values: &mut [f32],
    mask: &mut [u8],
) -> Result<()> {
    let ChannelExtents { channels, inner, .. } = extents;
    length::check("scales", quantization.scale, channels)?;
    length::check("zero points", quantization.zero_point, channels)?;
    length::check("mask", mask, values.len())?;
    if values.is_empty() {
        return Ok(());
    }
    let image = length::product("values", &[channels, inner])?;
    if image == 0 || !values.len().is_multiple_of(image) {
        return Err(Error::geometry(format!(
            "{} values are not rows of {channels} channels with {inner} elements each",
            values.len()
        )));
    }
    let run = if channels == 1 { 1 } else { inner };
    let chunk = elementwise_chunk(values.len(), run);
    let work = values.len();
    for_each_chunk_of_two(
        values,
        mask,
        chunk,
        work,
        #[inline(always)]
        |index, values, mask| {
            if channels == 1 {
                return apply(quantization, 0, values, mask);
            }
            let first = index * (chunk / inner);
            let runs = values.chunks_mut(inner).zip(mask.chunks_mut(inner));
            for (row, (values, mask)) in runs.enumerate() {
                apply(quantization, (first + row) % channels, values, mask);
            }
        },
    );
    Ok(())
}

#[inline(always)]
fn apply(quantization: &FakeQuantization<'_>, channel: usize, values: &mut [f32], mask: &mut [u8]) {
    let (scale, zero_point) = (quantization.scale[channel], quantization.zero_point[channel]);
    let [low, high] = quantization.range;
    let inverse = 1.0 / scale;
    if quantization.is_float_zero_point {
        let (scale, zero_point_f64) = (f64::from(scale), f64::from(zero_point));
        for (value, mask) in values.iter_mut().zip(mask) {
            let t = (zero_point + *value * inverse).round_ties_even();
            *mask = u8::from(t >= low && t <= high);
            *value = ((f64::from(t.clamp(low, high)) - zero_point_f64) * scale) as f32;
        }
        return;
    }
    for (value, mask) in values.iter_mut().zip(mask) {
        let t = (*value * inverse).round_ties_even() + zero_point;
        *mask = u8::from(t >= low && t <= high);
        *value = (t.clamp(low, high) - zero_point) * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_to_the_grid_and_the_mask_tells_which_were_cut_off() {
        let quantization = FakeQuantization {
            scale: &[0.5, 0.25],
            zero_point: &[1.0, 0.0],
            range: [0.0, 3.0],
            is_float_zero_point: false,
        };
        let extents = ChannelExtents { outer: 1, channels: 2, inner: 3 };
        let (mut values, mut mask) = ([0.25, 0.3, 9.0, -0.1, -0.2, 0.75], [7; 6]);
        fake_quantize(&quantization, extents, &mut values, &mut mask).unwrap();
        assert_eq!(values, [0.0, 0.5, 1.0, 0.0, 0.0, 0.75]);
        assert_eq!(mask, [1, 1, 0, 1, 0, 1]);
        assert!(fake_quantize(&quantization, extents, &mut values[..5], &mut mask[..5]).is_err());
    }
}
