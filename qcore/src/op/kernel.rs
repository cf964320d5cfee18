//! `Kernel`: an integer operation made ready for inputs of one shape.
//!
//! An activation between kernels is a plain buffer of bytes: images `[N, C, H, W]` lie as `[N, H, W, C]`, all else
//! in row-major order of its shape.

use std::fmt::Debug;
use std::sync::Arc;

use qkernels::elementwise::{self, BinaryQParams};
use qkernels::quantize::ImageShape;

use super::arrangement::Arrangement;
use super::layout::MemoryFormat;
use super::rearrange::Rearrangement;
use crate::{DType, QParams};

/// What is known of a `quint8` activation with one scale before there is data.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationSpec {
    /// How PyTorch would have it: that decides the rounding of means.
    arrangement: Arrangement,
    qparams: Arc<QParams>,
}

impl ActivationSpec {
    /// `None` for another type than `quint8`, and for scales per channel.
    pub(crate) fn new(shape: &[usize], format: MemoryFormat, qparams: Arc<QParams>) -> Option<Self> {
        let is_plain = qparams.dtype == DType::QUInt8 && !qparams.is_per_channel();
        is_plain.then(|| Self { arrangement: Arrangement::in_format(shape, format), qparams })
    }

    /// The extents, outermost first; `[N, C, H, W]` of images.
    pub fn shape(&self) -> &[usize] {
        self.arrangement.shape()
    }

    /// Scale and zero point.
    pub fn qparams(&self) -> &Arc<QParams> {
        &self.qparams
    }

    /// In which of its memory formats PyTorch would have an image, or would bring it to before it looks at it;
    /// kernels always have it channels-last.
    pub(crate) fn format(&self) -> MemoryFormat {
        match self.image() {
            Some(_) if self.arrangement.lies_as(&Arrangement::of_buffer(self.shape())) => {
                MemoryFormat::ChannelsLast
            }
            _ => MemoryFormat::Contiguous,
        }
    }

    /// Whether PyTorch would have it in row-major order of its shape.
    pub(crate) fn is_row_major(&self) -> bool {
        self.arrangement.lies_as(&Arrangement::row_major(self.shape()))
    }

    /// Scale and zero point, as kernels take them.
    pub(crate) fn kernel_qparams(&self) -> qkernels::QParams {
        qkernels::QParams::new(self.qparams.tensor_scale(), self.qparams.tensor_zero_point())
    }

    /// The number of bytes.
    pub fn byte_len(&self) -> usize {
        self.shape().iter().product()
    }

    /// The extents, if this is an image.
    pub(crate) fn image(&self) -> Option<ImageShape> {
        let &[batch, channels, height, width] = self.shape() else { return None };
        Some(ImageShape { batch, channels, height, width })
    }

    /// Bytes from one pixel to the next; of what is not an image, those of its last axis.
    pub(crate) fn pitch(&self) -> usize {
        self.image().map_or_else(|| self.shape().last().copied().unwrap_or(1), |image| image.channels)
    }

    /// The same values in another shape, in row-major order.
    pub(crate) fn with_shape(&self, shape: &[usize]) -> Self {
        Self { arrangement: Arrangement::row_major(shape), qparams: Arc::clone(&self.qparams) }
    }

    /// An image of other extents with the same scale.
    pub(crate) fn with_image(&self, image: ImageShape, format: MemoryFormat) -> Self {
        let shape = [image.batch, image.channels, image.height, image.width];
        Self { arrangement: Arrangement::in_format(&shape, format), qparams: Arc::clone(&self.qparams) }
    }

    /// The same extents with other parameters, which are of a `quint8` with one scale too.
    pub(crate) fn with_qparams(&self, qparams: &QParams) -> Self {
        Self { qparams: Arc::new(qparams.clone()), ..self.clone() }.settled()
    }

    /// What an operation makes of it: the same extents without gaps.
    pub(crate) fn settled(&self) -> Self {
        let format = self.arrangement.suggested_format();
        Self { arrangement: Arrangement::in_format(self.shape(), format), qparams: Arc::clone(&self.qparams) }
    }

    /// The same values rearranged. As PyTorch does, they are copied to row-major order where a new shape asks for it.
    pub(crate) fn rearranged(&self, rearrangement: &Rearrangement) -> Self {
        let copied = || Arrangement::row_major(&rearrangement.shape(self.shape()));
        let arrangement = self.arrangement.rearranged(rearrangement).unwrap_or_else(copied);
        Self { arrangement, qparams: Arc::clone(&self.qparams) }
    }
}

/// How an operation runs on buffers.
#[derive(Debug)]
pub enum Planned {
    /// One kernel makes the output.
    Kernel(Box<dyn Kernel>, ActivationSpec),
    /// One kernel for each input writes its part of the output; these parts make it up.
    Pieces(Vec<Piece>, ActivationSpec),
    /// The output is the first input as it is.
    View(ActivationSpec),
    /// The output is the first input, or a part of it, in another order.
    Rearranged(Rearrangement),
    /// As `planned`, of inputs that are rearranged before; the output is rearranged after.
    Around {
        /// What to do with each input, one after the other.
        inputs: Vec<Vec<Rearrangement>>,
        /// What to do then.
        planned: Box<Planned>,
        /// What to do with the output, one after the other.
        output: Vec<Rearrangement>,
        /// What the output then is.
        spec: ActivationSpec,
    },
}

/// One of the parts that make up an output.
#[derive(Debug)]
pub struct Piece {
    /// Writes it.
    pub kernel: Box<dyn Kernel>,
    /// Where it begins within the output.
    pub offset: usize,
    /// From one pixel that it writes to the next.
    pub pitch: usize,
}

/// An integer operation for inputs of one shape.
pub trait Kernel: Debug + Send + Sync {
    /// Writes `output`, which begins at the first pixel and has `pitch` bytes from one pixel to the next.
    ///
    /// # Errors
    /// When a buffer has another length than was planned.
    fn run(&self, inputs: &[&[u8]], output: &mut [u8], pitch: usize) -> qkernels::Result<()>;

    /// Whether `pitch` may be larger than a pixel of the output. Without it the output is dense.
    fn takes_pitch(&self) -> bool {
        false
    }

    /// What it costs, for reports.
    fn cost(&self) -> KernelCost {
        KernelCost::default()
    }

    /// The parameters, if this adds its two inputs value by value.
    fn as_addition(&self) -> Option<BinaryQParams> {
        None
    }

    /// The smallest and largest output, if this limits its input to them and does nothing else.
    fn as_clamp(&self) -> Option<[u8; 2]> {
        None
    }

    /// The kernel that does this and then limits its output.
    fn with_clamp(&self, _limits: [u8; 2]) -> Option<Box<dyn Kernel>> {
        None
    }

    /// Bytes of a pixel, if this only copies pixels to where they belong.
    fn as_copy(&self) -> Option<usize> {
        None
    }

    /// The kernel that does this and then `addition`, whose second operand becomes its last input; bit for bit
    /// what the two would do.
    fn with_residual(&self, _addition: BinaryQParams) -> Option<Box<dyn Kernel>> {
        None
    }
}

/// A kernel that can leave room between the pixels of its output.
pub(super) struct PitchedKernel<F>(F);

impl<F> Debug for PitchedKernel<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PitchedKernel")
    }
}

impl<F> Kernel for PitchedKernel<F>
where
    F: Fn(&[u8], &mut [u8], usize) -> qkernels::Result<()> + Send + Sync,
{
    fn run(&self, inputs: &[&[u8]], output: &mut [u8], pitch: usize) -> qkernels::Result<()> {
        (self.0)(inputs.first().copied().unwrap_or_default(), output, pitch)
    }

    fn takes_pitch(&self) -> bool {
        true
    }
}

/// A kernel of `f`, which takes input, output and pitch.
pub(super) fn pitched<F>(output: ActivationSpec, f: F) -> Planned
where
    F: Fn(&[u8], &mut [u8], usize) -> qkernels::Result<()> + Send + Sync + 'static,
{
    Planned::Kernel(Box::new(PitchedKernel(f)), output)
}

/// Limits every byte.
#[derive(Debug)]
pub(super) struct ClampKernel {
    pub(super) limits: [u8; 2],
}

impl Kernel for ClampKernel {
    fn run(&self, inputs: &[&[u8]], output: &mut [u8], _pitch: usize) -> qkernels::Result<()> {
        let input = inputs.first().copied().unwrap_or_default();
        let [low, high] = self.limits.map(f32::from);
        // In units of one step, the limits are the bytes themselves.
        elementwise::clamp(input, qkernels::QParams::new(1.0, 0), low, high, output)
    }

    fn as_clamp(&self) -> Option<[u8; 2]> {
        Some(self.limits)
    }
}

/// What one run of a kernel costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelCost {
    /// Products that are added up.
    pub multiply_accumulates: u64,
    /// Bytes of weights that are read.
    pub weight_bytes: u64,
    /// Which of several kernels runs, where there is a choice.
    pub kernel: String,
}

/// A kernel that treats every byte alike.
pub(super) struct BytewiseKernel<F>(pub(super) F);

impl<F> Debug for BytewiseKernel<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BytewiseKernel")
    }
}

impl<F> Kernel for BytewiseKernel<F>
where
    F: Fn(&[u8], &mut [u8]) -> qkernels::Result<()> + Send + Sync,
{
    fn run(&self, inputs: &[&[u8]], output: &mut [u8], _pitch: usize) -> qkernels::Result<()> {
        (self.0)(inputs.first().copied().unwrap_or_default(), output)
    }
}

/// A dense kernel of `f`, whose output is like its input.
pub(super) fn bytewise<F>(input: &ActivationSpec, f: F) -> Planned
where
    F: Fn(&[u8], &mut [u8]) -> qkernels::Result<()> + Send + Sync + 'static,
{
    Planned::Kernel(Box::new(BytewiseKernel(f)), input.clone())
}
