//! PReLU on integers: negative values times the slope of their channel.

use crate::error::Result;
use crate::isa::isa;
use crate::length;
use crate::qparams::{EightBit, QParams};
use crate::quantize::ChannelExtents;
use crate::threads::{elementwise_chunk, for_each_chunk};

/// The constants of a PReLU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PReLU<'a> {
    /// The integers of the slopes less their zero point, `[C]`.
    pub slopes: &'a [i32],
    /// The integer of 1 at the slopes' scale less their zero point, in the range of their type.
    pub one: i32,
    /// The scale of the slopes.
    pub slope_scale: f32,
    /// Of the input.
    pub input: QParams,
    /// Of the output.
    pub output: QParams,
}

/// `clamp(rne(f32((q - zx) * (q > zx ? one : slopes[c])) * m) + zy)` with `m = f32(f32(sx * sw) * f32(1 / sy))`
/// (NUMERICS section 7).
///
/// `[N, H, W, C]` has `outer` N * H * W and `inner` 1, `[N, C, H, W]` has `outer` N and `inner` H * W.
///
/// # Errors
/// If a length does not match, or a scale or a zero point cannot be used.
pub fn prelu<T: EightBit>(
    prelu: &PReLU<'_>,
    extents: ChannelExtents,
    input: &[T],
    output: &mut [T],
) -> Result<()> {
    let ChannelExtents { outer, channels, inner } = extents;
    let len = length::product("tensor", &[outer, channels, inner])?;
    length::check("input", input, len)?;
    length::check("output", output, len)?;
    length::check("slopes", prelu.slopes, channels)?;
    prelu.input.check::<T>()?;
    prelu.output.check::<T>()?;
    QParams::new(prelu.slope_scale, 0).check::<i32>()?;
    let multiplier = prelu.input.scale * prelu.slope_scale * (1.0 / prelu.output.scale);
    let (low, high) = T::RANGE.into_inner();
    let (zero_point, one) = (prelu.input.zero_point, prelu.one);
    let apply = move |q: T, slope: i32| {
        let steps = q.to_i32().wrapping_sub(zero_point);
        let product = steps.wrapping_mul(if steps > 0 { one } else { slope });
        T::from_steps(product as f32 * multiplier, prelu.output.zero_point, low, high)
    };
    let isa = isa();
    if inner == 1 {
        let chunk_len = elementwise_chunk(len, channels);
        for_each_chunk(output, chunk_len, len, |index, output| {
            let input = &input[index * chunk_len..][..output.len()];
            isa.run(
                #[inline(always)]
                || {
                    let pixels = output.chunks_exact_mut(channels).zip(input.chunks_exact(channels));
                    for (output, input) in pixels {
                        for ((output, &q), &slope) in output.iter_mut().zip(input).zip(prelu.slopes) {
                            *output = apply(q, slope);
                        }
                    }
                },
            );
        });
        return Ok(());
    }
    for_each_chunk(output, inner, len, |run, output| {
        let (input, slope) = (&input[run * inner..][..output.len()], prelu.slopes[run % channels]);
        isa.run(
            #[inline(always)]
            || output.iter_mut().zip(input).for_each(|(output, &q)| *output = apply(q, slope)),
        );
    });
    Ok(())
}
