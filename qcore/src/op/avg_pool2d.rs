//! `avg_pool2d`: the mean of each window.

use qkernels::pool::{AveragePool2d, TieRule};
use serde::{Deserialize, Serialize};

use super::inputs::{exactly, exactly_shared, refused, take_one, zeros};
use super::kernel::pitched;
use super::layout::{
    Activation, Image, Integers, MemoryFormat, image_in_format, per_tensor, with_integers, with_qparams_of,
};
use super::max_pool2d::{Window, output_shape};
use super::plain::plain_record;
use super::{ActivationSpec, Lowering, Op, OutputRule, Pair, Planned, QuantizedOp};
use crate::{Backend, DType, QTensor, Result, Tensor};

/// `[N, C, H, W]` to `[N, C, OH, OW]`, the mean of each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvgPool2d {
    window: Window,
    count_include_pad: bool,
}

/// The operation `avg_pool2d(x, kernel_size, ..)`; `stride` is the kernel size if not given, `padding` 0, the
/// output size is rounded down, and padding counts as zeros.
///
/// # Errors
/// When a size is 0, or the padding is more than half of the window.
pub fn avg_pool2d(
    kernel_size: impl Into<Pair>,
    stride: Option<Pair>,
    padding: Option<Pair>,
    ceil_mode: Option<bool>,
    count_include_pad: Option<bool>,
) -> Result<AvgPool2d> {
    let kernel_size = kernel_size.into();
    let window = Window {
        kernel_size,
        stride: stride.unwrap_or(kernel_size),
        padding: padding.unwrap_or(Pair::from(0)),
        dilation: Pair::from(1),
        ceil_mode: ceil_mode.unwrap_or(false),
    };
    let operation = AvgPool2d { window, count_include_pad: count_include_pad.unwrap_or(true) };
    operation.check()?;
    Ok(operation)
}

const NAME: &str = "avg_pool2d";

impl AvgPool2d {
    fn check(&self) -> Result<()> {
        self.window.check(NAME)
    }

    /// The integer form; the backend decides how ties are rounded.
    pub fn quantized(&self, backend: Backend) -> QuantizedAvgPool2d {
        QuantizedAvgPool2d { pool: *self, backend }
    }
}

plain_record!(AvgPool2d, QuantizedAvgPool2d);

impl Op for AvgPool2d {
    type Quantized = QuantizedAvgPool2d;

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
        let values = x.as_slice().unwrap_or_default();
        qkernels::float::avg_pool2d(&geometry, self.count_include_pad, values, &mut output)
            .map_err(refused(NAME, x.shape()))?;
        let shape = output_shape(&geometry);
        Tensor::from_vec(&[shape.batch, shape.channels, shape.height, shape.width], output)
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<QuantizedAvgPool2d> {
        Ok(self.quantized(lowering.backend))
    }
}

/// [`AvgPool2d`] on integers; the result lies in memory as the input does, which also decides how ties are
/// rounded (NUMERICS section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuantizedAvgPool2d {
    pool: AvgPool2d,
    backend: Backend,
}

/// PyTorch's rule for an image in this memory format, where no other engine steps in.
pub(super) fn native_tie_rule(format: MemoryFormat) -> TieRule {
    match format {
        MemoryFormat::ChannelsLast => TieRule::Centered,
        MemoryFormat::Contiguous => TieRule::Raw,
    }
}

impl QuantizedAvgPool2d {
    fn check(&self) -> Result<()> {
        self.pool.check()
    }

    /// How ties are rounded, and the format of the result, for an image of this format.
    fn tie_rule(&self, dtype: DType, format: MemoryFormat) -> (TieRule, MemoryFormat) {
        if self.backend == Backend::Qnnpack && dtype == DType::QUInt8 {
            (TieRule::CenteredPrime, MemoryFormat::ChannelsLast)
        } else {
            (native_tie_rule(format), format)
        }
    }

    fn run<T: Activation>(&self, x: &QTensor, integers: &Integers<T>) -> Result<QTensor> {
        let image = Image::new(NAME, integers)?;
        let geometry = self.pool.window.geometry(NAME, integers.shape())?;
        let (tie_rule, format) = self.tie_rule(x.dtype(), image.format);
        let qparams = per_tensor(NAME, x.qparams())?;
        let pool = AveragePool2d { qparams, tie_rule, count_include_pad: self.pool.count_include_pad };
        let mut output = zeros(NAME, geometry.output_len())?;
        qkernels::pool::avg_pool2d(&geometry, &pool, &image.pixels, &mut output)
            .map_err(refused(NAME, x.shape()))?;
        with_qparams_of(x, image_in_format(NAME, output_shape(&geometry), output, format)?)
    }
}

impl QuantizedOp for QuantizedAvgPool2d {
    fn forward(&self, inputs: &mut [QTensor]) -> Result<QTensor> {
        let [x] = exactly(NAME, inputs)?;
        with_integers!(NAME, x, integers => self.run(x, integers))
    }

    fn plan(&self, inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
        let [x] = exactly_shared(NAME, inputs)?;
        let geometry = self.pool.window.geometry(NAME, x.shape())?;
        let (tie_rule, format) = self.tie_rule(DType::QUInt8, x.format());
        let qparams = x.kernel_qparams();
        let pool = AveragePool2d { qparams, tie_rule, count_include_pad: self.pool.count_include_pad };
        let output = x.with_image(output_shape(&geometry), format);
        Ok(Some(pitched(output, move |input, output, pitch| {
            qkernels::pool::avg_pool2d_into(&geometry, &pool, input, output, pitch)
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::tests::{assert_values, channels_last, integers, qtensor, tensor};

    #[test]
    fn padding_counts_unless_told_otherwise() {
        let x = tensor(&[1, 1, 1, 2], &[2.0, 4.0]);
        let pool = |count| {
            let (stride, padding) = (Some(Pair::from(2)), Some(Pair::from((0, 1))));
            avg_pool2d((1, 2), stride, padding, None, Some(count)).unwrap()
        };
        assert_values(&Op::forward(&pool(true), &mut [x.clone()]).unwrap(), &[1.0, 2.0]);
        assert_values(&Op::forward(&pool(false), &mut [x]).unwrap(), &[2.0, 4.0]);
    }

    #[test]
    fn ties_are_rounded_by_memory_order_and_backend() {
        // The mean of 2 and 3 is a tie: to the even 2 by itself, to 3 as 1.5 -> 2 steps from a zero point of 1.
        let x = qtensor(&[1, 2, 1, 2], &[2, 3, 2, 3], 1.0, 1);
        let pool = |backend| avg_pool2d((1, 2), None, None, None, None).unwrap().quantized(backend);
        assert_eq!(integers(&pool(Backend::Native).forward(&mut [x.clone()]).unwrap()), [2, 2]);
        assert_eq!(integers(&pool(Backend::Fbgemm).forward(&mut [channels_last(&x)]).unwrap()), [3, 3]);
        assert_eq!(integers(&pool(Backend::Qnnpack).forward(&mut [x]).unwrap()), [3, 3]);
    }
}
