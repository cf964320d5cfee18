//! `adaptive_avg_pool2d`: means over windows that follow from the output size.

use qkernels::geometry::AdaptivePool2dGeometry;
use qkernels::pool::TieRule;
use qkernels::quantize::ImageShape;
use serde::{Deserialize, Serialize};

use super::avg_pool2d::native_tie_rule;
use super::inputs::{exactly, exactly_shared, image_extents, refused, take_one, zeros};
use super::kernel::bytewise;
use super::layout::{
    Activation, Image, Integers, MemoryFormat, image_in_format, per_tensor, with_integers, with_qparams_of,
};
use super::plain::plain_record;
use super::{ActivationSpec, Lowering, Op, OutputRule, Pair, Planned, QuantizedOp};
use crate::{Backend, DType, Error, QTensor, Result, Tensor};

/// `[N, C, H, W]` to `[N, C, OH, OW]`; output `i` is the mean over `floor(i * H / OH) .. ceil((i + 1) * H / OH)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdaptiveAvgPool2d {
    output_size: Pair,
}

/// The operation `adaptive_avg_pool2d(x, output_size)`.
///
/// # Errors
/// When the output size is 0.
pub fn adaptive_avg_pool2d(output_size: impl Into<Pair>) -> Result<AdaptiveAvgPool2d> {
    let operation = AdaptiveAvgPool2d { output_size: output_size.into() };
    operation.check()?;
    Ok(operation)
}

const NAME: &str = "adaptive_avg_pool2d";

impl AdaptiveAvgPool2d {
    fn check(&self) -> Result<()> {
        let Pair { height, width } = self.output_size;
        if height == 0 || width == 0 {
            return Err(Error::parameter(NAME, format!("output_size ({height}, {width}) must not be 0")));
        }
        Ok(())
    }

    fn geometry(&self, shape: &[usize]) -> Result<AdaptivePool2dGeometry> {
        let [batch, channels, height, width] = image_extents(NAME, shape)?;
        AdaptivePool2dGeometry::new(batch, channels, [height, width], self.output_size.into())
            .map_err(refused(NAME, shape))
    }

    /// The integer form; the backend decides how ties are rounded.
    pub fn quantized(&self, backend: Backend) -> QuantizedAdaptiveAvgPool2d {
        QuantizedAdaptiveAvgPool2d { pool: *self, backend }
    }
}

plain_record!(AdaptiveAvgPool2d, QuantizedAdaptiveAvgPool2d);

impl Op for AdaptiveAvgPool2d {
    type Quantized = QuantizedAdaptiveAvgPool2d;

    fn name(&self) -> &'static str {
        NAME
    }

    fn output_rule(&self) -> OutputRule {
        OutputRule::SameAsInput
    }

    fn forward(&self, inputs: &mut [Tensor]) -> Result<Tensor> {
        let x = take_one(NAME, inputs)?.contiguous();
        let geometry = self.geometry(x.shape())?;
        let mut output = zeros(NAME, geometry.output_len())?;
        qkernels::float::adaptive_avg_pool2d(&geometry, x.as_slice().unwrap_or_default(), &mut output)
            .map_err(refused(NAME, x.shape()))?;
        let [height, width] = geometry.output();
        Tensor::from_vec(&[geometry.batch(), geometry.channels(), height, width], output)
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<QuantizedAdaptiveAvgPool2d> {
        Ok(self.quantized(lowering.backend))
    }
}

/// [`AdaptiveAvgPool2d`] on integers; the result lies in memory as the input does, which also decides how ties
/// are rounded (NUMERICS section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuantizedAdaptiveAvgPool2d {
    pool: AdaptiveAvgPool2d,
    backend: Backend,
}

impl QuantizedAdaptiveAvgPool2d {
    fn check(&self) -> Result<()> {
        self.pool.check()
    }

    /// How ties are rounded, and the format of the result, for an image of this format.
    fn tie_rule(
        &self,
        geometry: &AdaptivePool2dGeometry,
        dtype: DType,
        format: MemoryFormat,
    ) -> (TieRule, MemoryFormat) {
        let is_qnnpack = self.backend == Backend::Qnnpack && dtype == DType::QUInt8;
        if is_qnnpack && geometry.divides() {
            (TieRule::CenteredPrime, MemoryFormat::ChannelsLast)
        } else {
            (native_tie_rule(format), format)
        }
    }

    fn run<T: Activation>(&self, x: &QTensor, integers: &Integers<T>) -> Result<QTensor> {
        let image = Image::new(NAME, integers)?;
        let geometry = self.pool.geometry(integers.shape())?;
        let (tie_rule, format) = self.tie_rule(&geometry, x.dtype(), image.format);
        let qparams = per_tensor(NAME, x.qparams())?;
        let mut output = zeros(NAME, geometry.output_len())?;
        qkernels::pool::adaptive_avg_pool2d(&geometry, qparams, tie_rule, &image.pixels, &mut output)
            .map_err(refused(NAME, x.shape()))?;
        let [height, width] = geometry.output();
        let shape = ImageShape { height, width, ..image.shape };
        with_qparams_of(x, image_in_format(NAME, shape, output, format)?)
    }
}

impl QuantizedOp for QuantizedAdaptiveAvgPool2d {
    fn forward(&self, inputs: &mut [QTensor]) -> Result<QTensor> {
        let [x] = exactly(NAME, inputs)?;
        with_integers!(NAME, x, integers => self.run(x, integers))
    }

    fn plan(&self, inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
        let [x] = exactly_shared(NAME, inputs)?;
        let geometry = self.pool.geometry(x.shape())?;
        let (tie_rule, format) = self.tie_rule(&geometry, DType::QUInt8, x.format());
        let (qparams, [height, width]) = (x.kernel_qparams(), geometry.output());
        let (batch, channels) = (geometry.batch(), geometry.channels());
        let output = x.with_image(ImageShape { batch, channels, height, width }, format);
        Ok(Some(bytewise(&output, move |input, output| {
            qkernels::pool::adaptive_avg_pool2d(&geometry, qparams, tie_rule, input, output)
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::tests::{assert_values, counting};

    #[test]
    fn windows_overlap_when_sizes_do_not_divide() {
        let x = counting(&[1, 1, 1, 5]);
        let y = Op::forward(&adaptive_avg_pool2d((1, 2)).unwrap(), &mut [x.clone()]).unwrap();
        assert_values(&y, &[1.0, 3.0]);
        assert_values(&Op::forward(&adaptive_avg_pool2d(1).unwrap(), &mut [x]).unwrap(), &[2.0]);
        assert!(adaptive_avg_pool2d((1, 0)).is_err());
    }
}
