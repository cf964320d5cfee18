//! `TensorSpec`: shape, element format and memory format of a value before there is data.

use std::sync::Arc;

use qkernels::quantize::ImageShape;

use crate::tensor::{Layout, MemoryFormat, Rearrangement, is_image};
use crate::{DType, Error, QParams, Result};

/// The format of a value's elements.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Single precision.
    F32,
    /// Integers with a scale and a zero point.
    Quantized(Arc<QParams>),
}

impl Format {
    /// Integers with these parameters, or floats where there are none.
    pub fn of(qparams: Option<&QParams>) -> Self {
        qparams.map_or(Self::F32, |qparams| Self::Quantized(Arc::new(qparams.clone())))
    }

    /// Scale and zero point, of integers.
    pub fn qparams(&self) -> Option<&Arc<QParams>> {
        match self {
            Self::F32 => None,
            Self::Quantized(qparams) => Some(qparams),
        }
    }

    /// Bytes of one value.
    pub fn element_size(&self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::Quantized(qparams) if qparams.dtype == DType::QInt32 => size_of::<i32>(),
            Self::Quantized(_) => 1,
        }
    }
}

/// Shape, element format and memory format of a value, before there is data.
///
/// ```
/// use qcore::ops::{Format, TensorSpec};
///
/// let images = TensorSpec::new(&[1, 3, 8, 8], Format::F32);
/// assert_eq!((images.len(), images.byte_len()), (192, 768));
/// let logits = images.with_shape(&[1, 10]);
/// assert_eq!(logits.shape(), [1, 10]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    format: Format,
    /// The strides that PyTorch gives it: they decide the rounding of means (NUMERICS section 9).
    strides: Layout,
    /// The memory format of its buffer here.
    buffer: MemoryFormat,
}

/// The memory format where no kernel asks for another: integer images and videos channels-last, all else row-major.
fn usual_buffer(format: &Format, rank: usize) -> MemoryFormat {
    match format {
        Format::Quantized(_) if is_image(rank) => MemoryFormat::ChannelsLast,
        _ => MemoryFormat::Contiguous,
    }
}

impl TensorSpec {
    /// A contiguous tensor.
    pub fn new(shape: &[usize], format: Format) -> Self {
        Self::in_format(shape, MemoryFormat::Contiguous, format)
    }

    /// A tensor that PyTorch has in this memory format.
    pub(crate) fn in_format(shape: &[usize], memory_format: MemoryFormat, format: Format) -> Self {
        let buffer = usual_buffer(&format, shape.len());
        Self { format, strides: Layout::in_format(shape, memory_format), buffer }
    }

    /// The extents, outermost first; `[N, C, H, W]` of images, whatever their memory format.
    pub fn shape(&self) -> &[usize] {
        self.strides.shape()
    }

    /// The format of its elements.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// The memory format of its buffer.
    pub fn buffer(&self) -> MemoryFormat {
        self.buffer
    }

    /// The number of elements; `usize::MAX` if there are more.
    pub fn len(&self) -> usize {
        self.shape().iter().fold(1, |len: usize, &extent| len.saturating_mul(extent))
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.shape().contains(&0)
    }

    /// The bytes of its buffer; `usize::MAX` if there are more.
    pub fn byte_len(&self) -> usize {
        self.len().saturating_mul(self.format.element_size())
    }

    /// Scale and zero point of integers, as kernels take them.
    ///
    /// # Errors
    /// When the elements are floats, or have a scale for each channel.
    pub fn qparams(&self, operation: &'static str) -> Result<qkernels::QParams> {
        match self.format.qparams() {
            Some(qparams) => per_tensor(operation, qparams),
            None => Err(Error::Unsupported(format!("{operation} on floats where integers are needed"))),
        }
    }

    /// The type of the integers; `None` of floats.
    pub fn dtype(&self) -> Option<DType> {
        self.format.qparams().map(|qparams| qparams.dtype)
    }

    /// In which memory format PyTorch has an image or a video, or brings it to before it looks at it.
    pub(crate) fn memory_format(&self) -> MemoryFormat {
        let channels_last = Layout::in_format(self.shape(), MemoryFormat::ChannelsLast);
        match self.shape().len() {
            rank if is_image(rank) && self.strides.has_strides_of(&channels_last) => {
                MemoryFormat::ChannelsLast
            }
            _ => MemoryFormat::Contiguous,
        }
    }

    /// Whether PyTorch has it in row-major order of its shape.
    pub(crate) fn is_row_major(&self) -> bool {
        self.strides.has_strides_of(&Layout::row_major(self.shape()))
    }

    /// Whether PyTorch has the columns of its matrices, the last two axes, in one piece each.
    pub(crate) fn is_transposed(&self) -> bool {
        matches!(self.strides.strides(), [.., row, column] if row < column)
    }

    /// Where each element is in the buffer.
    pub(crate) fn layout(&self) -> Layout {
        Layout::in_format(self.shape(), self.buffer)
    }

    /// The extents, if this has channels: those of images; the rows of a video are one below the other.
    pub(crate) fn image(&self) -> Option<ImageShape> {
        let &[batch, channels, ref rows @ .., width] = self.shape() else { return None };
        let height = rows.iter().fold(1_usize, |height, &extent| height.saturating_mul(extent));
        Some(ImageShape { batch, channels, height, width })
    }

    /// Elements from one pixel to the next: the channels where they are innermost, else the last axis.
    pub(crate) fn pixel_stride(&self) -> usize {
        let axis = match self.buffer {
            MemoryFormat::ChannelsLast if self.shape().len() > 2 => self.shape().get(1),
            _ => self.shape().last(),
        };
        axis.copied().unwrap_or(1)
    }

    /// The same values in a buffer of this memory format.
    #[must_use]
    pub fn in_buffer(self, buffer: MemoryFormat) -> Self {
        Self { buffer, ..self }
    }

    /// Elements of the same kind in another shape, contiguous.
    #[must_use]
    pub fn with_shape(&self, shape: &[usize]) -> Self {
        Self::new(shape, self.format.clone())
    }

    /// Elements of the same kind in another shape, which PyTorch has in this memory format.
    pub(crate) fn with_image(&self, shape: &[usize], memory_format: MemoryFormat) -> Self {
        Self::in_format(shape, memory_format, self.format.clone())
    }

    /// The same extents with other elements, without gaps.
    #[must_use]
    pub fn with_format(&self, format: Format) -> Self {
        let same = Self { format, ..self.clone() };
        same.without_gaps()
    }

    /// An operation's output of the same extents, without gaps.
    pub(crate) fn without_gaps(&self) -> Self {
        let memory_format = self.strides.suggested_format();
        Self { strides: Layout::in_format(self.shape(), memory_format), ..self.clone() }
    }

    /// The same values rearranged. As in PyTorch, they are copied to row-major order where a new shape asks for it.
    pub(crate) fn rearranged(&self, rearrangement: &Rearrangement) -> Self {
        let copied = || Layout::row_major(&rearrangement.shape(self.shape()));
        let strides = self.strides.rearranged(rearrangement).unwrap_or_else(copied);
        let buffer = usual_buffer(&self.format, strides.shape().len());
        Self { format: self.format.clone(), strides, buffer }
    }
}

/// Scale and zero point of an activation, as the kernels take them.
pub(crate) fn per_tensor(operation: &'static str, qparams: &QParams) -> Result<qkernels::QParams> {
    if qparams.is_per_channel() {
        return Err(Error::Unsupported(format!("{operation} on an activation with per-channel scales")));
    }
    Ok(qkernels::QParams::new(qparams.tensor_scale(), qparams.tensor_zero_point()))
}
