//! `max_pool2d`: the largest value of each window.

use qkernels::geometry::{Pool2dGeometry, Pool2dParameters};
use qkernels::quantize::ImageShape;
use serde::{Deserialize, Serialize};

use super::inputs::{exactly, exactly_shared, image_extents, refused, take_one, zeros};
use super::kernel::pitched;
use super::layout::{
    Activation, Image, Integers, MemoryFormat, image_in_format, with_integers, with_qparams_of,
};
use super::plain::plain_record;
use super::{ActivationSpec, Lowering, Op, OutputRule, Pair, Planned, QuantizedOp};
use crate::{Backend, Error, QTensor, Result, Tensor};

/// The window of a pool and how it moves, with PyTorch's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    pub(super) kernel_size: Pair,
    pub(super) stride: Pair,
    pub(super) padding: Pair,
    pub(super) dilation: Pair,
    pub(super) ceil_mode: bool,
}

impl Window {
    /// What can be said before an image is there.
    pub(super) fn check(&self, operation: &'static str) -> Result<()> {
        let fail = |message: String| Err(Error::parameter(operation, message));
        for (what, pair) in
            [("kernel_size", self.kernel_size), ("stride", self.stride), ("dilation", self.dilation)]
        {
            if pair.height == 0 || pair.width == 0 {
                return fail(format!("{what} ({}, {}) must not be 0", pair.height, pair.width));
            }
        }
        let (padding, kernel) = (self.padding, self.kernel_size);
        if padding.height > kernel.height / 2 || padding.width > kernel.width / 2 {
            return fail(format!(
                "padding ({}, {}) is more than half of kernel_size ({}, {})",
                padding.height, padding.width, kernel.height, kernel.width
            ));
        }
        Ok(())
    }

    pub(super) fn geometry(&self, operation: &'static str, shape: &[usize]) -> Result<Pool2dGeometry> {
        let [batch, channels, height, width] = image_extents(operation, shape)?;
        Pool2dGeometry::new(Pool2dParameters {
            batch,
            channels,
            height,
            width,
            kernel: self.kernel_size.into(),
            stride: self.stride.into(),
            padding: self.padding.into(),
            dilation: self.dilation.into(),
            ceil_mode: self.ceil_mode,
        })
        .map_err(refused(operation, shape))
    }
}

/// The shape of a pool's result.
pub(super) fn output_shape(geometry: &Pool2dGeometry) -> ImageShape {
    ImageShape {
        batch: geometry.batch,
        channels: geometry.channels,
        height: geometry.output_height(),
        width: geometry.output_width(),
    }
}

/// `[N, C, H, W]` to `[N, C, OH, OW]`, the largest value of each window; padding never wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaxPool2d {
    window: Window,
}

/// The operation `max_pool2d(x, kernel_size, ..)`; `stride` is the kernel size if not given, `padding` 0,
/// `dilation` 1, and the output size is rounded down.
///
/// # Errors
/// When a size is 0, or the padding is more than half of the window.
pub fn max_pool2d(
    kernel_size: impl Into<Pair>,
    stride: Option<Pair>,
    padding: Option<Pair>,
    dilation: Option<Pair>,
    ceil_mode: Option<bool>,
) -> Result<MaxPool2d> {
    let kernel_size = kernel_size.into();
    let window = Window {
        kernel_size,
        stride: stride.unwrap_or(kernel_size),
        padding: padding.unwrap_or(Pair::from(0)),
        dilation: dilation.unwrap_or(Pair::from(1)),
        ceil_mode: ceil_mode.unwrap_or(false),
    };
    let operation = MaxPool2d { window };
    operation.check()?;
    Ok(operation)
}

const NAME: &str = "max_pool2d";

impl MaxPool2d {
    fn check(&self) -> Result<()> {
        self.window.check(NAME)
    }

    /// The integer form; qnnpack always returns channels-last images.
    pub fn quantized(&self, backend: Backend) -> QuantizedMaxPool2d {
        QuantizedMaxPool2d { pool: *self, backend }
    }
}

plain_record!(MaxPool2d, QuantizedMaxPool2d);

impl Op for MaxPool2d {
    type Quantized = QuantizedMaxPool2d;

    fn name(&self) -> &'static str {
        NAME
    }

    fn output_rule(&self) -> OutputRule {
        OutputRule::SameAsInput
    }

    fn forward(&self, inputs: &mut [Tensor]) -> Result<Tensor> {
        let x = take_one(NAME, inputs)?.contiguous();
        let geometry = self.window.geometry(NAME, x.shape())?;
        let mut output = zeros(NAME, geometry.output_len())?;
        qkernels::float::max_pool2d(&geometry, x.as_slice().unwrap_or_default(), &mut output)
            .map_err(refused(NAME, x.shape()))?;
        let shape = output_shape(&geometry);
        Tensor::from_vec(&[shape.batch, shape.channels, shape.height, shape.width], output)
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<QuantizedMaxPool2d> {
        Ok(self.quantized(lowering.backend))
    }
}

/// [`MaxPool2d`] on integers; the result lies in memory as the input does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuantizedMaxPool2d {
    pool: MaxPool2d,
    backend: Backend,
}

impl QuantizedMaxPool2d {
    fn check(&self) -> Result<()> {
        self.pool.check()
    }

    fn run<T: Activation>(&self, integers: &Integers<T>) -> Result<Integers<T>> {
        let image = Image::new(NAME, integers)?;
        let geometry = self.pool.window.geometry(NAME, integers.shape())?;
        let mut output = zeros(NAME, geometry.output_len())?;
        qkernels::pool::max_pool2d(&geometry, &image.pixels, &mut output)
            .map_err(refused(NAME, integers.shape()))?;
        let format = match self.backend {
            Backend::Qnnpack => MemoryFormat::ChannelsLast,
            _ => image.format,
        };
        image_in_format(NAME, output_shape(&geometry), output, format)
    }
}

impl QuantizedOp for QuantizedMaxPool2d {
    fn forward(&self, inputs: &mut [QTensor]) -> Result<QTensor> {
        let [x] = exactly(NAME, inputs)?;
        with_integers!(NAME, x, integers => with_qparams_of(x, self.run(integers)?))
    }

    fn plan(&self, inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
        let [x] = exactly_shared(NAME, inputs)?;
        let geometry = self.pool.window.geometry(NAME, x.shape())?;
        let format = match self.backend {
            Backend::Qnnpack => MemoryFormat::ChannelsLast,
            _ => x.format(),
        };
        let output = x.with_image(output_shape(&geometry), format);
        Ok(Some(pitched(output, move |input, output, pitch| {
            qkernels::pool::max_pool2d_into(&geometry, input, output, pitch)
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::tests::{assert_values, channels_last, counting, integers, qtensor, tensor};

    #[test]
    fn padding_never_wins_and_ceil_mode_rounds_up() {
        let x = tensor(&[1, 1, 1, 3], &[-1.0, -2.0, -3.0]);
        let pool = |padding, ceil_mode| {
            max_pool2d((1, 2), Some(Pair::from((1, 2))), padding, None, ceil_mode).unwrap()
        };
        assert_values(&Op::forward(&pool(None, None), &mut [x.clone()]).unwrap(), &[-1.0]);
        assert_values(&Op::forward(&pool(None, Some(true)), &mut [x.clone()]).unwrap(), &[-1.0, -3.0]);
        assert_values(&Op::forward(&pool(Some(Pair::from((0, 1))), None), &mut [x]).unwrap(), &[-1.0, -2.0]);
    }

    #[test]
    fn integers_stay_in_their_memory_order() {
        let x = qtensor(&[1, 2, 2, 2], &[1, 2, 3, 4, 8, 7, 6, 5], 1.0, 0);
        let pool = max_pool2d((2, 1), None, None, None, None).unwrap().quantized(Backend::Native);
        let y = pool.forward(&mut [x.clone()]).unwrap();
        assert_eq!(integers(&y), [3, 4, 8, 7]);
        assert_eq!(y.int_repr().as_u8().unwrap().strides(), [4, 2, 2, 1]);
        let z = pool.forward(&mut [channels_last(&x)]).unwrap();
        assert_eq!(z, y);
        assert_eq!(z.int_repr().as_u8().unwrap().strides()[1], 1);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(max_pool2d(0, None, None, None, None).is_err());
        assert!(max_pool2d(2, Some(Pair::from(0)), None, None, None).is_err());
        assert!(max_pool2d(3, None, Some(Pair::from(2)), None, None).is_err());
        let pool = max_pool2d(3, None, None, None, None).unwrap();
        assert!(Op::forward(&pool, &mut [counting(&[1, 1, 2, 5])]).is_err());
        assert!(Op::forward(&pool, &mut [counting(&[3, 3])]).is_err());
    }
}
