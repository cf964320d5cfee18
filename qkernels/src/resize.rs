//! Images in another size: nearest neighbours, and bilinear interpolation (NUMERICS section 9).
//!
//! One form serves both memory orders: images of pixels of so many channels, which for `[N, C, H, W]` are planes of pixels
//! of one.

use std::cell::Cell;

use crate::elements::Element;
use crate::error::{Error, Result};
use crate::length;
use crate::memory;
use crate::qparams::{EightBit, QParams};
use crate::threads::{elementwise_chunk, for_each_chunk};

thread_local! {
    /// Kept between calls, so that a steady state allocates nothing.
    static ROWS: Cell<[Row; 2]> = Cell::default();
}

/// Where the positions of an axis of the output lie in the input.
#[derive(Clone, Debug, PartialEq)]
pub struct ResizeAxis {
    input: usize,
    taps: Vec<Tap>,
}

/// Two neighbours of the input and the parts that they have.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tap {
    places: [usize; 2],
    weights: [f32; 2],
}

impl ResizeAxis {
    /// Nearest neighbours: `min(floor(i * scale), input - 1)`, where `scale` is input by output if it is not given.
    ///
    /// # Errors
    /// If a size is 0, or there is no memory for so many positions.
    pub fn nearest(input: usize, output: usize, scale: Option<f32>) -> Result<Self> {
        let scale = scale.unwrap_or(input as f32 / output as f32);
        Self::new(input, output, |index| {
            let place = ((index as f32 * scale).floor() as usize).min(input - 1);
            Tap { places: [place; 2], weights: [1.0, 0.0] }
        })
    }

    /// Linear interpolation between the centres of pixels, or between those of the corners.
    ///
    /// # Errors
    /// As [`nearest`](Self::nearest).
    pub fn linear(input: usize, output: usize, scale: Option<f32>, align_corners: bool) -> Result<Self> {
        let scale = match (align_corners, output) {
            (true, 0 | 1) => 0.0,
            (true, _) => input.saturating_sub(1) as f32 / (output - 1) as f32,
            (false, _) => scale.unwrap_or(input as f32 / output as f32),
        };
        Self::new(input, output, |index| {
            let source = match align_corners {
                true => index as f32 * scale,
                false => (scale * (index as f32 + 0.5) - 0.5).max(0.0),
            };
            let place = (source as usize).min(input - 1);
            let part = source - place as f32;
            Tap { places: [place, (place + 1).min(input - 1)], weights: [1.0 - part, part] }
        })
    }

    fn new(input: usize, output: usize, tap: impl Fn(usize) -> Tap) -> Result<Self> {
        if input == 0 || output == 0 {
            return Err(Error::geometry(format!("an image of extent {input} to one of {output}")));
        }
        let mut taps = Vec::new();
        memory::reserve("the positions of an image", &mut taps, output)?;
        taps.extend((0..output).map(tap));
        Ok(Self { input, taps })
    }

    /// The places that a position of the output sees, and their weights.
    pub fn taps(&self) -> impl Iterator<Item = ([usize; 2], [f32; 2])> + '_ {
        self.taps.iter().map(|tap| (tap.places, tap.weights))
    }
}

/// Images that get another size.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    channels: usize,
    rows: ResizeAxis,
    columns: ResizeAxis,
    lengths: [usize; 2],
}

/// A row of the input, interpolated along its columns.
#[derive(Default)]
struct Row {
    /// Which row of all images; `None` if it holds nothing.
    place: Option<usize>,
    values: Vec<f32>,
}

impl Resize {
    /// Of `batch` images `[H, W, channels]`.
    ///
    /// # Errors
    /// If there are no channels, or images are too large to be addressed.
    pub fn new(batch: usize, channels: usize, [rows, columns]: [ResizeAxis; 2]) -> Result<Self> {
        if channels == 0 {
            return Err(Error::geometry("images without channels"));
        }
        let input = length::product("input", &[batch, rows.input, columns.input, channels])?;
        let output = length::product("output", &[batch, rows.taps.len(), columns.taps.len(), channels])?;
        Ok(Self { channels, rows, columns, lengths: [input, output] })
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.lengths[1]
    }

    fn check<T>(&self, input: &[T], output: &[T]) -> Result<()> {
        length::check("input", input, self.lengths[0])?;
        length::check("output", output, self.lengths[1])
    }

    /// Calls `write(first_row, output)` for some rows of the output at a time.
    fn for_each_rows<T: Send>(&self, output: &mut [T], write: impl Fn(usize, &mut [T]) + Sync) {
        let row_len = self.columns.taps.len() * self.channels;
        let chunk_len = elementwise_chunk(output.len(), row_len);
        let work = output.len().saturating_mul(4);
        for_each_chunk(
            output,
            chunk_len,
            work,
            #[inline(always)]
            |chunk, output| write(chunk * (chunk_len / row_len), output),
        );
    }

    /// The rows that a row of the output sees, counted over all images, and their weights.
    #[inline(always)]
    fn tap(&self, row: usize) -> Tap {
        let rows = self.rows.taps.len();
        let Tap { places, weights } = self.rows.taps[row % rows];
        Tap { places: places.map(|place| row / rows * self.rows.input + place), weights }
    }

    /// Copies the first place that each position sees.
    ///
    /// PyTorch: `interpolate` with `mode="nearest"`.
    ///
    /// # Errors
    /// If a length does not match.
    pub fn nearest<T: Element>(&self, input: &[T], output: &mut [T]) -> Result<()> {
        self.check(input, output)?;
        let (channels, row_len) = (self.channels, self.columns.input * self.channels);
        self.for_each_rows(
            output,
            #[inline(always)]
            |first, output| {
                for (index, output) in output.chunks_exact_mut(self.columns.taps.len() * channels).enumerate()
                {
                    let input = &input[self.tap(first + index).places[0] * row_len..][..row_len];
                    if channels == 1 {
                        for (output, tap) in output.iter_mut().zip(&self.columns.taps) {
                            *output = input[tap.places[0]];
                        }
                        continue;
                    }
                    for (output, tap) in output.chunks_exact_mut(channels).zip(&self.columns.taps) {
                        output.copy_from_slice(&input[tap.places[0] * channels..][..channels]);
                    }
                }
            },
        );
        Ok(())
    }

    /// Interpolates floats.
    ///
    /// PyTorch: `interpolate` with `mode="bilinear"`.
    ///
    /// # Errors
    /// If a length does not match.
    pub fn bilinear_float(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        self.check(input, output)?;
        self.interpolate::<f32, false>(input, output, |value| value, |value| value);
        Ok(())
    }

    /// Interpolates integers, whose scale and zero point are those of the output: `clamp(rne(v - z) + z)` of
    /// `v = h0 * (w0 * q00 + w1 * q01) + h1 * (w0 * q10 + w1 * q11)`. In each sum of two products the first is rounded only
    /// with the sum if they are `fused`, as PyTorch does on channels-last tensors; else each is rounded on its own.
    ///
    /// PyTorch: `interpolate` with `mode="bilinear"` on a quantized tensor.
    ///
    /// # Errors
    /// If a length does not match, or the zero point is not a `T`.
    pub fn bilinear<T: EightBit>(
        &self,
        qparams: QParams,
        fused: bool,
        input: &[T],
        output: &mut [T],
    ) -> Result<()> {
        self.check(input, output)?;
        qparams.check::<T>()?;
        let (zero_point, (low, high)) = (qparams.zero_point, T::RANGE.into_inner());
        let narrow = |value: f32| T::from_steps(value - zero_point as f32, zero_point, low, high);
        let wide = |value: T| value.to_i32() as f32;
        match fused {
            true => self.interpolate::<T, true>(input, output, wide, narrow),
            false => self.interpolate::<T, false>(input, output, wide, narrow),
        }
        Ok(())
    }

    #[inline(always)]
    fn interpolate<T: Element, const FUSED: bool>(
        &self,
        input: &[T],
        output: &mut [T],
        wide: impl Fn(T) -> f32 + Copy + Sync,
        narrow: impl Fn(f32) -> T + Copy + Sync,
    ) {
        let row_len = self.columns.input * self.channels;
        let output_row_len = self.columns.taps.len() * self.channels;
        self.for_each_rows(
            output,
            #[inline(always)]
            |first, output| {
                let mut rows = ROWS.take();
                // What another chunk has left there is of other rows.
                rows.iter_mut().for_each(|row| row.place = None);
                for (index, output) in output.chunks_exact_mut(output_row_len).enumerate() {
                    let Tap { places, weights } = self.tap(first + index);
                    for place in places {
                        if rows.iter().all(|row| row.place != Some(place)) {
                            // The row that is not seen now makes room.
                            let free = usize::from(places.map(Some).contains(&rows[0].place));
                            rows[free].place = Some(place);
                            let input = &input[place * row_len..][..row_len];
                            self.interpolate_row::<T, FUSED>(input, &mut rows[free].values, wide);
                        }
                    }
                    let [top, bottom] = places.map(|place| {
                        let held = usize::from(rows[0].place != Some(place));
                        &rows[held].values[..output_row_len]
                    });
                    for ((output, &top), &bottom) in output.iter_mut().zip(top).zip(bottom) {
                        *output = narrow(weighted::<FUSED>(weights, [top, bottom]));
                    }
                }
                ROWS.set(rows);
            },
        );
    }

    /// A row of the input along its columns.
    #[inline(always)]
    fn interpolate_row<T: Element, const FUSED: bool>(
        &self,
        input: &[T],
        values: &mut Vec<f32>,
        wide: impl Fn(T) -> f32,
    ) {
        let channels = self.channels;
        let len = self.columns.taps.len() * channels;
        values.resize(values.len().max(len), 0.0);
        if channels == 1 {
            for (value, Tap { places, weights }) in values.iter_mut().zip(&self.columns.taps) {
                *value = weighted::<FUSED>(*weights, places.map(|place| wide(input[place])));
            }
            return;
        }
        let pixels = values[..len].chunks_exact_mut(channels);
        for (values, Tap { places, weights }) in pixels.zip(&self.columns.taps) {
            let [left, right] = places.map(|place| &input[place * channels..][..channels]);
            for ((value, &left), &right) in values.iter_mut().zip(left).zip(right) {
                *value = weighted::<FUSED>(*weights, [wide(left), wide(right)]);
            }
        }
    }
}

#[inline(always)]
fn weighted<const FUSED: bool>(weights: [f32; 2], values: [f32; 2]) -> f32 {
    let second = weights[1] * values[1];
    if FUSED { weights[0].mul_add(values[0], second) } else { weights[0] * values[0] + second }
}
