//! A scale and an offset for each channel, such as a batch norm that stands alone.

use crate::error::{Error, Result};
use crate::kernels::float::Finish;
use crate::length;
use crate::threads::{elementwise_chunk, for_each_chunk};

/// `clamp(x * a + b, low, high)` of each `x` of `input` `[N, C, inner]`, to `output` of the same shape, with
/// `affine[c]` being `[a, b]` and `limits` `[low, high]`; NaN stays.
///
/// For images `inner` is `H * W`. Without a clamp the limits are infinite.
///
/// # Errors
/// If a length does not match or a size is zero.
pub fn affine_into(
    affine: &[[f32; 2]],
    inner: usize,
    limits: [f32; 2],
    input: &[f32],
    output: &mut [f32],
) -> Result<()> {
    let channels = affine.len();
    let image = length::product("image", &[channels, inner])?;
    if image == 0 || !input.len().is_multiple_of(image) {
        return Err(Error::geometry(format!(
            "{} elements are not images of {channels} channels with {inner} elements each",
            input.len()
        )));
    }
    length::check("output", output, input.len())?;
    let chunk = elementwise_chunk(input.len(), inner);
    for_each_chunk(
        output,
        chunk,
        input.len(),
        #[inline(always)]
        |index, output| {
            let input = &input[index * chunk..][..output.len()];
            let channels = affine.iter().cycle().skip(index * (chunk / inner) % channels);
            let planes = output.chunks_exact_mut(inner).zip(input.chunks_exact(inner));
            for ((output, input), affine) in planes.zip(channels) {
                let finish = Finish { affine: std::slice::from_ref(affine), limits };
                for (output, &x) in output.iter_mut().zip(input) {
                    *output = finish.apply(0, x);
                }
            }
        },
    );
    Ok(())
}
