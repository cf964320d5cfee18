//! A convolution in float together with what follows it, in one pass over memory.

use qkernels::float::{Epilogue, Weight};

use super::inputs::refused;
use super::{Conv2d, Op as _};
use crate::layers::BatchNorm2d;
use crate::{Error, Result, Tensor};

/// A convolution, perhaps a batch norm in evaluation mode, and perhaps a ReLU.
///
/// The weights stay as they are, so that making one costs nothing: each sum is scaled and shifted before it is written.
#[derive(Clone, Debug)]
pub struct FloatConv2d {
    convolution: Conv2d,
    /// Of each output channel.
    scale_and_offset: Vec<[f32; 2]>,
    limits: [f32; 2],
}

impl From<Conv2d> for FloatConv2d {
    fn from(convolution: Conv2d) -> Self {
        let channels = convolution.weight().shape().first().copied().unwrap_or_default();
        let scale_and_offset = match convolution.bias() {
            Some(bias) => bias.view().iter().map(|&bias| [1.0, bias]).collect(),
            None => vec![[1.0, 0.0]; channels],
        };
        Self { convolution, scale_and_offset, limits: [f32::NEG_INFINITY, f32::INFINITY] }
    }
}

impl FloatConv2d {
    /// With a batch norm behind it.
    ///
    /// # Errors
    /// When the channel counts differ.
    pub fn batch_norm(mut self, batch_norm: &BatchNorm2d) -> Result<Self> {
        let statistics = batch_norm.statistics();
        statistics.check("BatchNorm2d")?;
        let (expected, found) = (statistics.channels(), self.scale_and_offset.len());
        if expected != found {
            let message = format!("takes {expected} channels, the convolution before it gives {found}");
            return Err(Error::parameter("BatchNorm2d", message));
        }
        let channels = statistics.for_each_channel(|channel| channel);
        for ([scale, offset], channel) in self.scale_and_offset.iter_mut().zip(channels) {
            let factor = channel.gamma * channel.inverse_deviation;
            *scale *= factor;
            *offset = (*offset - channel.mean) * factor + channel.beta;
        }
        Ok(self)
    }

    /// With a ReLU behind it.
    #[must_use]
    pub fn relu(self) -> Self {
        Self { limits: [0.0, f32::INFINITY], ..self }
    }

    /// With a ReLU6 behind it.
    #[must_use]
    pub fn relu6(self) -> Self {
        Self { limits: [0.0, 6.0], ..self }
    }

    /// `[N, C, H, W]` to `[N, O, OH, OW]`.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn forward(self, x: Tensor) -> Result<Tensor> {
        let name = self.convolution.name();
        let x = x.contiguous();
        let geometry = self.convolution.geometry(x.shape())?;
        let [low, high] = self.limits;
        let epilogue = Epilogue::affine(self.scale_and_offset).clamped(low, high);
        let weight = self.convolution.weight().as_slice().unwrap_or_default();
        let fitted =
            self.convolution.fitted_weight().get(&geometry, weight).map_err(refused(name, x.shape()))?;
        let weight = fitted.as_deref().map_or(Weight::Whole(weight), Weight::Fitted);
        let values = x.as_slice().unwrap_or_default();
        let output = qkernels::float::conv2d(&geometry, values, weight, &epilogue)
            .map_err(refused(name, x.shape()))?;
        let shape =
            [geometry.batch, geometry.out_channels, geometry.output_height(), geometry.output_width()];
        Tensor::from_vec(&shape, output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layer as _;
    use crate::layers::{self, ReLU6};
    use crate::op::tests::tensor;

    /// Equal to rounding.
    fn assert_close(found: &Tensor, expected: &Tensor) {
        assert_eq!(found.shape(), expected.shape());
        for (found, expected) in found.view().iter().zip(expected.view()) {
            assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{found} {expected}");
        }
    }

    #[test]
    fn one_pass_gives_what_the_layers_give() {
        let conv = layers::Conv2d::new(2, 3, 3).padding(1);
        let batch_norm = BatchNorm2d::new(3)
            .with_affine(tensor(&[3], &[9.0, -4.0, 2.0]), tensor(&[3], &[0.5, 0.0, 5.0]))
            .and_then(|layer| {
                layer.with_statistics(tensor(&[3], &[0.1, 0.0, -1.0]), tensor(&[3], &[0.4, 1.0, 2.0]))
            })
            .unwrap();
        let values: Vec<f32> = (0..60).map(|i| (i * 7 % 13) as f32 - 6.0).collect();
        let x = tensor(&[1, 2, 5, 6], &values);
        let expected = conv.forward(x.clone()).and_then(|x| batch_norm.forward(x)).unwrap();
        let one = FloatConv2d::from(conv.op().unwrap()).batch_norm(&batch_norm).unwrap();
        assert_close(&one.clone().forward(x.clone()).unwrap(), &expected);
        let expected = ReLU6.forward(expected).unwrap();
        assert_close(&one.relu6().forward(x).unwrap(), &expected);
    }

    #[test]
    fn a_batch_norm_of_other_channels_is_refused() {
        let conv = FloatConv2d::from(layers::Conv2d::new(2, 3, 3).op().unwrap());
        let message = conv.batch_norm(&BatchNorm2d::new(4)).unwrap_err().to_string();
        assert_eq!(message, "BatchNorm2d: takes 4 channels, the convolution before it gives 3");
    }
}
