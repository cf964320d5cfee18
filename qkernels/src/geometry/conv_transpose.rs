//! The sizes of a transposed convolution, which is a convolution of stride 1 to the outputs of every phase at once.

use std::ops::Deref;

use super::conv2d;
use super::conv3d::{Conv3dGeometry, Conv3dParameters};
use crate::error::{Error, Result};
use crate::length::product;

/// The sizes of a transposed convolution in three dimensions, in PyTorch's terms; triples are `[depth, height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvTransposeParameters {
    /// Videos, N.
    pub batch: usize,
    /// Channels of the input, C.
    pub in_channels: usize,
    /// Extents of the input, `[D, H, W]`.
    pub size: [usize; 3],
    /// Channels of the output, O.
    pub out_channels: usize,
    /// Filter size.
    pub kernel: [usize; 3],
    /// Distance between what two neighbours of the input are scattered to.
    pub stride: [usize; 3],
    /// What is cut off each side of the output.
    pub padding: [usize; 3],
    /// What the output is longer at its end.
    pub output_padding: [usize; 3],
    /// Distance between two filter taps.
    pub dilation: [usize; 3],
    /// Blocked connections: each group maps `C / groups` to `O / groups` channels.
    pub groups: usize,
}

/// A transposed convolution whose sizes fit together; dereferences to its [`ConvTransposeParameters`].
///
/// Before the padding is cut off, output `Y` gets `input[i] * weight[k]` where `Y = i * stride + k * dilation`. With `Y =
/// stride * q + r`, the taps of phase `r` are those `k` with `k * dilation = r + stride * t`, and see `input[q - t]`: each
/// phase is a convolution of stride 1, over `q`. All of them are one convolution, [`conv`](Self::conv), with so many
/// channels more, whose filters have zeros where a phase has no tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvTransposeGeometry {
    parameters: ConvTransposeParameters,
    conv: Conv3dGeometry,
    axes: [Phases; 3],
    weight_len: usize,
    output_len: usize,
}

/// How the phases make up the output along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Phases {
    stride: usize,
    dilation: usize,
    /// Taps of the phase that has most.
    taps: usize,
    /// Zeros on each side of the input.
    conv_padding: usize,
    /// What is cut off the output's start.
    padding: usize,
    output: usize,
}

impl Phases {
    fn new(p: &ConvTransposeParameters, axis: usize) -> Result<Self> {
        let name = ["depth", "height", "width"][axis];
        let (size, kernel, stride) = (p.size[axis], p.kernel[axis], p.stride[axis]);
        let (padding, more, dilation) = (p.padding[axis], p.output_padding[axis], p.dilation[axis]);
        if size == 0 || kernel == 0 || stride == 0 || dilation == 0 {
            return Err(Error::geometry(format!(
                "{name} {size}, kernel {kernel}, stride {stride} and dilation {dilation} must not be zero"
            )));
        }
        if more >= stride.max(dilation) {
            return Err(Error::geometry(format!(
                "output_padding {more} of the {name} must be less than stride {stride} or dilation {dilation}"
            )));
        }
        let too_large = || Error::geometry(format!("kernel, stride or padding of the {name} is too large"));
        let extent = (kernel - 1).checked_mul(dilation).and_then(|last| last.checked_add(1));
        let extent = extent.ok_or_else(too_large)?;
        let whole = (size - 1).checked_mul(stride).and_then(|first| first.checked_add(extent));
        let whole = whole.and_then(|whole| whole.checked_add(more)).ok_or_else(too_large)?;
        let cut = padding.checked_mul(2).ok_or_else(too_large)?;
        let Some(output @ 1..) = whole.checked_sub(cut) else {
            return Err(Error::geometry(format!(
                "the output would have no pixel: {whole} of the {name}, of which padding {padding} is cut off each side"
            )));
        };
        let taps = extent.div_ceil(stride);
        let (first, last) = (padding / stride, (padding + output - 1) / stride);
        let conv_padding = (taps - 1).saturating_sub(first).max(last.saturating_sub(size - 1));
        Ok(Self { stride, dilation, taps, conv_padding, padding, output })
    }

    /// The convolution's output, and the phase, of an output.
    fn source(&self, output: usize) -> (usize, usize) {
        let whole = output + self.padding;
        (whole / self.stride + self.conv_padding - (self.taps - 1), whole % self.stride)
    }

    /// The phase and the convolution's tap that a tap of the filter becomes.
    fn place(&self, tap: usize) -> (usize, usize) {
        let offset = tap * self.dilation;
        (offset % self.stride, self.taps - 1 - offset / self.stride)
    }
}

impl ConvTransposeGeometry {
    /// Checks the sizes and computes those of the output.
    ///
    /// # Errors
    /// If a size other than the batch is zero, the groups do not divide the channels, the output padding is not less than
    /// the stride or the dilation, the output would have no pixel, or a tensor is too large to address.
    pub fn new(parameters: ConvTransposeParameters) -> Result<Self> {
        let p = &parameters;
        conv2d::check_channels(p.in_channels, p.out_channels, p.groups)?;
        let axes = [Phases::new(p, 0)?, Phases::new(p, 1)?, Phases::new(p, 2)?];
        let [depth, height, width] = axes.map(|axis| axis.output);
        let conv = Conv3dGeometry::new(Conv3dParameters {
            batch: p.batch,
            in_channels: p.in_channels,
            size: p.size,
            out_channels: product("channels", &[p.out_channels, p.stride[0], p.stride[1], p.stride[2]])?,
            kernel: axes.map(|axis| axis.taps),
            stride: [1; 3],
            padding: axes.map(|axis| axis.conv_padding),
            dilation: [1; 3],
            groups: p.groups,
        })?;
        let [kernel_depth, kernel_height, kernel_width] = p.kernel;
        let weight = [p.in_channels, p.out_channels / p.groups, kernel_depth, kernel_height, kernel_width];
        Ok(Self {
            weight_len: product("weight", &weight)?,
            output_len: product("output", &[p.batch, depth, height, width, p.out_channels])?,
            axes,
            conv,
            parameters,
        })
    }

    /// The convolution that makes all phases. Its channels are in the order of group, phase, channel of the group.
    pub fn conv(&self) -> &Conv3dGeometry {
        &self.conv
    }

    /// Extents of the output, `[OD, OH, OW]`.
    pub fn output(&self) -> [usize; 3] {
        self.axes.map(|axis| axis.output)
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.output_len
    }

    /// Elements of the weight, `C * (O / groups) * KD * KH * KW`.
    pub fn weight_len(&self) -> usize {
        self.weight_len
    }

    /// The number of phases.
    pub(crate) fn phases(&self) -> usize {
        self.stride.iter().product()
    }

    /// One value for each channel as one for each channel of [`conv`](Self::conv).
    pub fn for_phases<T: Copy>(&self, of_channels: &[T]) -> Vec<T> {
        let group = (self.out_channels / self.groups).max(1);
        of_channels.chunks(group).flat_map(|group| group.repeat(self.phases())).collect()
    }

    /// Along an axis, the place in the convolution's output and the phase of an output.
    pub(crate) fn source(&self, axis: usize, output: usize) -> (usize, usize) {
        self.axes[axis].source(output)
    }

    /// For each element of the weight `[C, O / groups, KD, KH, KW]`, where it is in that of [`conv`](Self::conv),
    /// `[O * phases, C / groups, TD, TH, TW]`.
    pub(crate) fn weight_places(&self) -> impl Iterator<Item = usize> + '_ {
        let [inputs, outputs] = [self.in_channels, self.out_channels].map(|channels| channels / self.groups);
        let taps = self.axes.map(|axis| axis.taps);
        let filter: usize = self.kernel.iter().product();
        (0..self.weight_len).map(move |index| {
            let (channels, tap) = (index / filter, index % filter);
            let (input, output) = (channels / outputs, channels % outputs);
            let tap = [
                tap / self.kernel[2] / self.kernel[1],
                tap / self.kernel[2] % self.kernel[1],
                tap % self.kernel[2],
            ];
            let places = [0, 1, 2].map(|axis| self.axes[axis].place(tap[axis]));
            let fold = |extents: [usize; 3], [a, b, c]: [usize; 3]| (a * extents[1] + b) * extents[2] + c;
            let phase = fold(self.stride, places.map(|(phase, _)| phase));
            let channel = (input / inputs * self.phases() + phase) * outputs + output;
            let filter: usize = taps.iter().product();
            (channel * inputs + input % inputs) * filter + fold(taps, places.map(|(_, tap)| tap))
        })
    }

    /// The weight of [`conv`](Self::conv), `[O * phases, C / groups, TD, TH, TW]`, from `[C, O / groups, KD, KH, KW]`: a
    /// tap that a phase has not is `absent`.
    ///
    /// # Errors
    /// If the weight has another length.
    pub fn conv_weight<T: Copy>(&self, weight: &[T], absent: T) -> Result<Vec<T>> {
        crate::length::check("weight", weight, self.weight_len)?;
        let len = self.conv.images().weight_len();
        crate::memory::check_free("a weight for every phase", len.saturating_mul(size_of::<T>()))?;
        let mut placed = vec![absent; len];
        self.weight_places().zip(weight).for_each(|(place, &weight)| placed[place] = weight);
        Ok(placed)
    }
}

impl Deref for ConvTransposeGeometry {
    type Target = ConvTransposeParameters;

    fn deref(&self) -> &ConvTransposeParameters {
        &self.parameters
    }
}
