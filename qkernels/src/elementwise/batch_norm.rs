//! Batch norm in evaluation on integers, where it could not be folded into a convolution.

use std::array::from_fn;
use std::cell::Cell;

use crate::blocks::{Block, at, at_mut, for_each_block};
use crate::elements::{bytes, bytes_mut};
use crate::error::{Error, Result};
use crate::isa::{Pass, isa};
use crate::kernels::{self, ChannelMap, MAX_ROUNDED, Rounding};
use crate::length;
use crate::panel::PANEL;
use crate::qparams::{EightBit, QParams};
use crate::quantize::ChannelExtents;
use crate::rounding::round_clamped;
use crate::threads::{elementwise_chunk, for_each_chunk};

/// The constants of a batch norm, in steps of the output.
///
/// From the statistics, each step rounded to `f32`: `a = gamma / sqrt(var + eps)`,
/// `scale = a * (sx / sy)`, `offset = (beta - mean * a) / sy`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm<'a> {
    /// Steps of the output that a step of the input is worth, `[C]`.
    pub scale: &'a [f32],
    /// Steps of the output that are added, `[C]`.
    pub offset: &'a [f32],
    /// Zero point of the input.
    pub input_zero_point: i32,
    /// Of the output.
    pub output: QParams,
    /// Whether a ReLU is fused: the output's lower limit is its zero point.
    pub relu: bool,
}

/// `clamp(rne(f32(f32((q - zx) * scale[c]) + offset[c])) + zy)`, with a fused ReLU if
/// `batch_norm.relu`.
///
/// `[N, H, W, C]` has `outer` N * H * W and `inner` 1, `[N, C, H, W]` has `outer` N and `inner` H * W.
/// PyTorch: `quantized::batch_norm`, `batch_norm_relu`.
///
/// # Errors
/// If a length does not match, or a scale, an offset or a zero point cannot be used.
pub fn batch_norm<T: EightBit>(
    batch_norm: &BatchNorm<'_>,
    extents: ChannelExtents,
    input: &[T],
    output: &mut [T],
) -> Result<()> {
    let ChannelExtents { outer, channels, inner } = extents;
    let len = length::product("tensor", &[outer, channels, inner])?;
    length::check("input", input, len)?;
    length::check("output", output, len)?;
    length::check("scales", batch_norm.scale, channels)?;
    length::check("offsets", batch_norm.offset, channels)?;
    let constants = Constants::new::<T>(batch_norm)?;
    let BatchNorm { scale, offset, .. } = *batch_norm;
    let isa = isa();
    if inner == 1 && channels > 0 {
        let mut rows = ROWS.take();
        let [scales, offsets] = rows.each_mut();
        for (row, values) in [(scales, scale), (offsets, offset)] {
            row.clear();
            // Behind those of the last channel the first ones again.
            row.extend(values.iter().cycle().take(channels + PANEL - 1));
        }
        let [scale, offset] = &rows;
        let map = constants.map::<T>(scale, offset, channels);
        let chunk_len = elementwise_chunk(len, channels);
        for_each_chunk(output, chunk_len, len, |index, output| {
            let input = &input[index * chunk_len..][..output.len()];
            let is_done = map
                .as_ref()
                .is_some_and(|map| kernels::map_channels(isa, map, bytes(input), bytes_mut(&mut *output)));
            if !is_done {
                let (scale, offset) = (&scale[..channels], &offset[..channels]);
                isa.run_pass(Pixels { constants, scale, offset, input, output });
            }
        });
        ROWS.set(rows);
        return Ok(());
    }
    for_each_chunk(output, inner, len, |run, output| {
        let input = &input[run * inner..][..output.len()];
        let (scale, offset) = (scale[run % channels], offset[run % channels]);
        isa.run_pass(Plane { constants, scale, offset, input, output });
    });
    Ok(())
}

/// What all channels have in common.
#[derive(Clone, Copy)]
struct Constants {
    input_zero_point: i32,
    zero_point: i32,
    low: i32,
    high: i32,
}

impl Constants {
    fn new<T: EightBit>(batch_norm: &BatchNorm<'_>) -> Result<Self> {
        let BatchNorm { scale, offset, input_zero_point, output, relu } = *batch_norm;
        QParams::new(1.0, input_zero_point).check::<T>()?;
        output.check::<T>()?;
        if let Some(value) = scale.iter().chain(offset).find(|value| !value.is_finite()) {
            return Err(Error::parameter(format!("{value} among the scales and offsets is not finite")));
        }
        let (low, high) = T::RANGE.into_inner();
        let low = if relu { output.zero_point } else { low };
        Ok(Self { input_zero_point, zero_point: output.zero_point, low, high })
    }

    /// For kernels, if all values are small enough for them.
    fn map<'a, T: EightBit>(
        self,
        scale: &'a [f32],
        offset: &'a [f32],
        channels: usize,
    ) -> Option<ChannelMap<'a>> {
        let largest = scale
            .iter()
            .zip(offset)
            .fold(0.0, |largest: f32, (scale, offset)| largest.max(255.0 * scale.abs() + offset.abs()));
        let rounding = Rounding::new::<T>(self.zero_point, self.low, self.high);
        let input_zero_point = self.input_zero_point;
        (largest < MAX_ROUNDED).then_some(ChannelMap { scale, offset, channels, input_zero_point, rounding })
    }

    #[inline(always)]
    fn apply<T: EightBit>(self, q: T, scale: f32, offset: f32) -> T {
        let steps = q.to_i32().wrapping_sub(self.input_zero_point) as f32 * scale + offset;
        // No NaN, as scale and offset are finite.
        let (low, high) = (self.low.wrapping_sub(self.zero_point), self.high.wrapping_sub(self.zero_point));
        T::from_i32(round_clamped(steps, low, high).wrapping_add(self.zero_point))
    }
}

thread_local! {
    /// Scales and offsets, kept between calls so that a steady state allocates nothing.
    static ROWS: Cell<[Vec<f32>; 2]> = Cell::default();
}

/// `[pixels, C]`.
struct Pixels<'a, T> {
    constants: Constants,
    scale: &'a [f32],
    offset: &'a [f32],
    input: &'a [T],
    output: &'a mut [T],
}

impl<T: EightBit> Pass for Pixels<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { constants, scale, offset, input, output } = self;
        let channels = scale.len();
        for (output, input) in output.chunks_exact_mut(channels).zip(input.chunks_exact(channels)) {
            for_each_block(channels, &mut Pixels { constants, scale, offset, input, output });
        }
    }
}

impl<T: EightBit> Block for Pixels<'_, T> {
    #[inline(always)]
    fn compute<const N: usize>(&mut self, first: usize) {
        let input = at::<T, N>(self.input, first);
        let (scale, offset) = (at::<f32, N>(self.scale, first), at::<f32, N>(self.offset, first));
        *at_mut::<T, N>(self.output, first) =
            from_fn(|i| self.constants.apply(input[i], scale[i], offset[i]));
    }
}

/// The pixels of one channel.
struct Plane<'a, T> {
    constants: Constants,
    scale: f32,
    offset: f32,
    input: &'a [T],
    output: &'a mut [T],
}

impl<T: EightBit> Pass for Plane<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (output, &q) in self.output.iter_mut().zip(self.input) {
            *output = self.constants.apply(q, self.scale, self.offset);
        }
    }
}
