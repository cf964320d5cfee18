//! Folding a batch norm into the weights before it (NUMERICS section 13).

use ndarray::Axis;

use super::batch_norm::{Channel, Statistics};
use crate::{Error, Result, Tensor};

impl Statistics {
    /// Weight and bias of the convolution that does both: with `r = 1 / sqrt(variance + eps)`,
    /// `W' = W * (gamma * r)` and `b' = ((b - mean) * r) * gamma + beta`.
    ///
    /// # Errors
    /// When the channel counts differ.
    pub(super) fn fold_into_conv(
        &self,
        operation: &'static str,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        self.fold(operation, weight, bias, |bias, channel| {
            (bias - channel.mean) * channel.inverse_deviation * channel.gamma + channel.beta
        })
    }

    /// As [`Statistics::fold_into_conv`], with PyTorch's other order of products for linear layers:
    /// `b' = (b - mean) * (gamma * r) + beta`.
    ///
    /// # Errors
    /// When the channel counts differ.
    pub(super) fn fold_into_linear(
        &self,
        operation: &'static str,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        self.fold(operation, weight, bias, |bias, channel| {
            (bias - channel.mean) * (channel.gamma * channel.inverse_deviation) + channel.beta
        })
    }

    fn fold(
        &self,
        operation: &'static str,
        weight: &Tensor,
        bias: Option<&Tensor>,
        folded_bias: impl Fn(f32, Channel) -> f32,
    ) -> Result<(Tensor, Tensor)> {
        self.check(operation)?;
        let channels = self.channels();
        if weight.shape().first() != Some(&channels) {
            let message = format!(
                "a batch norm of {channels} channels behind {operation} with a weight of shape {:?}",
                weight.shape()
            );
            return Err(Error::parameter(operation, message));
        }
        super::weights::check_bias(operation, bias, channels)?;
        let mut values =
            bias.map_or_else(|| vec![0.0; channels], |bias| bias.view().iter().copied().collect());
        let channels = self.for_each_channel(|channel| channel);
        let mut weight = weight.clone().into_array();
        for ((mut filter, value), channel) in weight.axis_iter_mut(Axis(0)).zip(&mut values).zip(channels) {
            let factor = channel.gamma * channel.inverse_deviation;
            filter.mapv_inplace(|weight| weight * factor);
            *value = folded_bias(*value, channel);
        }
        Ok((Tensor::from(weight), Tensor::from_vec(&[values.len()], values)?))
    }
}

#[cfg(test)]
mod tests {
    use crate::layers::BatchNorm2d;
    use crate::op::tests::{assert_values, tensor};
    use crate::op::{Conv2d, Conv2dOptions, FoldBatchNorm, FuseReLU, Op};

    #[test]
    fn a_folded_convolution_gives_what_both_give() {
        let weight = tensor(&[2, 1, 1, 1], &[2.0, 3.0]);
        let conv = Conv2d::new(weight, Some(tensor(&[2], &[1.0, 0.0])), Conv2dOptions::default()).unwrap();
        let batch_norm = BatchNorm2d::new(2)
            .eps(0.0)
            .with_affine(tensor(&[2], &[1.0, 2.0]), tensor(&[2], &[0.0, 5.0]))
            .and_then(|layer| layer.with_statistics(tensor(&[2], &[1.0, 0.0]), tensor(&[2], &[4.0, 1.0])))
            .unwrap();
        let folded = conv.clone().fold_batch_norm(&batch_norm).unwrap();
        assert_values(folded.weight(), &[1.0, 6.0]);
        assert_values(&Op::forward(&folded, &mut [tensor(&[1, 1, 1, 1], &[4.0])]).unwrap(), &[4.0, 29.0]);
        // The layer's own weight, which is shared, is as it was.
        assert_values(conv.weight(), &[2.0, 3.0]);
        assert_values(
            conv.clone().fold_batch_norm(&BatchNorm2d::new(2).affine(false).eps(0.0)).unwrap().weight(),
            &[2.0, 3.0],
        );
        let message = conv.clone().fold_batch_norm(&BatchNorm2d::new(3)).unwrap_err().to_string();
        assert!(message.contains("a batch norm of 3 channels"), "{message}");
        assert!(conv.fuse_relu().fold_batch_norm(&batch_norm).is_err());
    }
}
