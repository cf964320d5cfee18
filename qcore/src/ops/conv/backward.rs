//! The gradients of a convolution, by matrix products of patches, image by image on all threads.

use std::ops::Range;

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use qkernels::float::gather_depths;
use qkernels::geometry::{Conv2dGeometry, Conv3dGeometry};
use qkernels::memory;

use super::Conv;
use super::parameters::ConvParameters;
use crate::train::{Backward, Gradients};
use crate::{Error, Result, Tensor};

pub(super) fn backward<const D: usize>(conv: &Conv<D>, pass: &Backward<'_>) -> Result<Gradients> {
    let name = Conv::<D>::NAME;
    let parameters = ConvParameters::new(conv)?;
    let x = pass.input(0)?.clone().contiguous();
    let (_, gradient) = pass.output()?;
    let geometry = parameters.geometry(x.shape())?;
    let weight = conv.weight.clone().contiguous();
    let slices = (x.as_slice(), weight.as_slice(), gradient.as_slice());
    let (Some(values), Some(weights), Some(gradients)) = slices else {
        return Err(Error::Unsupported(format!("{name} on values in no order")));
    };
    let sums = over_videos(&geometry, values, weights, gradients)?;
    let mut parameters = vec![("weight", Tensor::from_vec(conv.weight.shape(), sums.weight)?)];
    if conv.bias.is_some() {
        let channels = geometry.out_channels;
        let pixels = geometry.output().iter().product();
        let mut bias = vec![0.0_f64; channels];
        for (row, values) in gradients.chunks_exact(pixels).enumerate() {
            bias[row % channels] += values.iter().copied().map(f64::from).sum::<f64>();
        }
        let bias = bias.into_iter().map(|sum| sum as f32).collect();
        parameters.push(("bias", Tensor::from_vec(&[channels], bias)?));
    }
    let input = Tensor::from_vec(x.shape(), sums.input)?;
    Ok(Gradients { inputs: vec![Some(input)], parameters })
}

/// The gradients of weight and input: those of the images of [`Conv3dGeometry`], each of which goes back to where it was
/// gathered from.
fn over_videos(
    geometry: &Conv3dGeometry,
    values: &[f32],
    weights: &[f32],
    gradients: &[f32],
) -> Result<Gradient> {
    let images = geometry.images();
    if !geometry.is_gathered_from_planes() {
        return Sums::new(images, weights)?.over_images(values, gradients);
    }
    let mut gathered = zeroed(images.input_len())?;
    gather_depths(geometry, values, &mut gathered).map_err(|e| Error::kernel("a gradient", e))?;
    let [depth, height, width] = geometry.output();
    // From `[N, O, OD, ..]` to `[N, OD, O, ..]`.
    let mut of_images = zeroed(gradients.len())?;
    let (plane, channels) = (height * width, geometry.out_channels);
    for (index, to) in of_images.chunks_exact_mut(plane).enumerate() {
        let (image, channel) = (index / channels, index % channels);
        let from = (image / depth * channels + channel) * depth + image % depth;
        to.copy_from_slice(&gradients[from * plane..][..plane]);
    }
    let sums = Sums::new(images, weights)?.over_images(&gathered, &of_images)?;
    let mut input = zeroed(values.len())?;
    let plane = geometry.size[1] * geometry.size[2];
    let (channels, taps) = (geometry.in_channels, geometry.kernel[0]);
    for (index, from) in sums.input.chunks_exact(plane).enumerate() {
        let (image, channel, tap) = (index / taps / channels, index / taps % channels, index % taps);
        if let Some(seen) = geometry.depth(image % depth, tap) {
            let to = (image / depth * channels + channel) * geometry.size[0] + seen;
            input[to * plane..][..plane].iter_mut().zip(from).for_each(|(sum, value)| *sum += value);
        }
    }
    Ok(Gradient { weight: sums.weight, input })
}

/// The gradients of a weight and an input.
struct Gradient {
    weight: Vec<f32>,
    input: Vec<f32>,
}

/// The gradients of some images.
struct Sums<'a> {
    geometry: &'a Conv2dGeometry,
    weights: &'a [f32],
    /// Of all images so far.
    weight: Vec<f32>,
    input: Vec<f32>,
}

impl<'a> Sums<'a> {
    fn new(geometry: &'a Conv2dGeometry, weights: &'a [f32]) -> Result<Self> {
        let weight = zeroed(weights.len())?;
        Ok(Self { geometry, weights, weight, input: Vec::new() })
    }

    /// Shares the images out over the threads, each of which adds up a weight's gradient of its own.
    fn over_images(mut self, values: &[f32], gradients: &[f32]) -> Result<Gradient> {
        let geometry = self.geometry;
        self.input = zeroed(values.len())?;
        if values.is_empty() || gradients.is_empty() {
            return Ok(Gradient { weight: self.weight, input: self.input });
        }
        let (image, output) = (values.len() / geometry.batch, gradients.len() / geometry.batch);
        let threads = qkernels::threads::num_threads().clamp(1, geometry.batch);
        let share = geometry.batch.div_ceil(threads);
        let weights = self.weights;
        let parts = std::thread::scope(|scope| {
            let shares = self
                .input
                .chunks_mut(share * image)
                .zip(values.chunks(share * image))
                .zip(gradients.chunks(share * output));
            let workers: Vec<_> = shares
                .map(|((input, values), gradients)| {
                    scope.spawn(move || images(geometry, weights, values, gradients, input))
                })
                .collect();
            let finished = workers.into_iter().map(|worker| {
                worker.join().unwrap_or_else(|_| Err(Error::Unsupported("a gradient that panicked".into())))
            });
            finished.collect::<Result<Vec<_>>>()
        })?;
        for part in parts {
            for (sum, part) in self.weight.iter_mut().zip(part) {
                *sum += part;
            }
        }
        Ok(Gradient { weight: self.weight, input: self.input })
    }
}

/// Sets the gradients of these images, and gives that of the weight.
fn images(
    geometry: &Conv2dGeometry,
    weights: &[f32],
    values: &[f32],
    gradients: &[f32],
    input: &mut [f32],
) -> Result<Vec<f32>> {
    let pixels = geometry.output_height() * geometry.output_width();
    let channels = geometry.in_channels / geometry.groups;
    let depth = channels * geometry.kernel[0] * geometry.kernel[1];
    let rows = geometry.out_channels / geometry.groups;
    let plane = geometry.height * geometry.width;
    let stride = geometry.stride[1];
    let mut weight = zeroed(weights.len())?;
    let mut patches = zeroed(depth * pixels)?;
    let groups = values.chunks_exact(channels * plane).zip(input.chunks_exact_mut(channels * plane));
    let groups = groups.zip(gradients.chunks_exact(rows * pixels));
    for (index, ((values, input), gradients)) in groups.enumerate() {
        let group = index % geometry.groups * rows * depth..;
        let (filters, sums) = (&weights[group.clone()][..rows * depth], &mut weight[group][..rows * depth]);
        let gradients = matrix(gradients, rows, pixels)?;
        each_run(geometry, |patch, seen, first| {
            let patch = &mut patches[patch..][..geometry.output_width()];
            patch[..seen.start].fill(0.0);
            patch[seen.end..].fill(0.0);
            let seen = patch[seen].iter_mut();
            seen.zip(values[first..].iter().step_by(stride)).for_each(|(patch, value)| *patch = *value);
        });
        let sums = ArrayViewMut2::from_shape((rows, depth), sums).map_err(misfit)?;
        general_mat_mul(1.0, &gradients, &matrix(&patches, depth, pixels)?.t(), 1.0, &mut { sums });
        let of_patches = ArrayViewMut2::from_shape((depth, pixels), &mut patches[..]).map_err(misfit)?;
        general_mat_mul(1.0, &matrix(filters, rows, depth)?.t(), &gradients, 0.0, &mut { of_patches });
        each_run(geometry, |patch, seen, first| {
            let seen = patches[patch..][seen].iter();
            let inputs = input[first..].iter_mut().step_by(stride);
            inputs.zip(seen).for_each(|(input, gradient)| *input += gradient);
        });
    }
    Ok(weight)
}

/// Calls `visit` for each row of output pixels of each tap: where the row begins in the patches `[depth, pixels]`, the
/// columns whose tap lies in the image, and the value of a group's image that it sees at the first of them. The following
/// ones are a stride apart.
fn each_run(geometry: &Conv2dGeometry, mut visit: impl FnMut(usize, Range<usize>, usize)) {
    let (height, width) = (geometry.height, geometry.width);
    let [kernel_height, kernel_width] = geometry.kernel;
    let [output_height, output_width] = [geometry.output_height(), geometry.output_width()];
    let (stride, padding) = (geometry.stride[1], geometry.padding[1]);
    let mut patch = 0;
    for channel in 0..geometry.in_channels / geometry.groups {
        for tap in 0..kernel_height * kernel_width {
            let row = tap / kernel_width * geometry.dilation[0];
            let column = tap % kernel_width * geometry.dilation[1];
            let start = padding.saturating_sub(column).div_ceil(stride).min(output_width);
            let end = match (width + padding).checked_sub(column + 1) {
                Some(last) => (last / stride + 1).min(output_width),
                None => 0,
            };
            for output_row in 0..output_height {
                let row = (output_row * geometry.stride[0] + row).checked_sub(geometry.padding[0]);
                match row.filter(|&row| row < height && start < end) {
                    Some(row) => {
                        let first = (channel * height + row) * width + start * stride + column - padding;
                        visit(patch, start..end, first);
                    }
                    None => visit(patch, 0..0, 0),
                }
                patch += output_width;
            }
        }
    }
}

fn matrix(values: &[f32], rows: usize, columns: usize) -> Result<ArrayView2<'_, f32>> {
    ArrayView2::from_shape((rows, columns), values).map_err(misfit)
}

fn misfit(error: ndarray::ShapeError) -> Error {
    Error::Unsupported(format!("a gradient of another shape: {error}"))
}

fn zeroed(len: usize) -> Result<Vec<f32>> {
    memory::zeroed(format_args!("a gradient of a convolution"), len)
        .map_err(|e| Error::kernel("a gradient", e))
}
