//! `PReLU`: negative values times a slope that was trained.

use std::sync::Arc;

use qkernels::elementwise;
use qkernels::quantize::ChannelExtents;
use serde::{Deserialize, Serialize};

use super::init::{constant, empty};
use super::inputs::{check_dtype, check_qparams, exactly, with_eight_bit};
use super::plain::plain_op;
use super::{
    Executable, Format, Lowering, Op, Planned, PlannedKernel, Precision, TensorSpec, per_tensor, unary,
};
use crate::model::{Parameters, join};
use crate::network::TensorWriter;
use crate::tensor::MemoryFormat;
use crate::train::{Backward, Gradients};
use crate::{Error, QParams, QTensor, Result, Tensor};

/// `x` where it is positive, else `x * weight`, with one weight or one for each channel: tensors `[N, C, ..]`.
///
/// In int8 the weight is quantized too, and 1 by its scale: positive values are exact where 1 is in its range
/// (NUMERICS section 7). Used with another number of channels it gives an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "PReLUConfig", into = "PReLUConfig")]
pub struct PReLU {
    num_parameters: usize,
    weight: Tensor,
}

/// The parameters of a PReLU in a file, besides its tensor.
#[derive(Clone, Serialize, Deserialize)]
struct PReLUConfig {
    num_parameters: usize,
}

impl From<PReLUConfig> for PReLU {
    fn from(PReLUConfig { num_parameters }: PReLUConfig) -> Self {
        Self { num_parameters, weight: empty() }
    }
}

impl From<PReLU> for PReLUConfig {
    fn from(layer: PReLU) -> Self {
        Self { num_parameters: layer.num_parameters }
    }
}

impl PReLU {
    /// With one slope for all channels, or as many as there are channels; each is 0.25.
    pub fn new(num_parameters: usize) -> Self {
        Self { num_parameters, weight: constant(&[num_parameters], 0.25) }
    }

    /// The same layer with this weight, `[num_parameters]`.
    ///
    /// # Errors
    /// When its shape is another.
    pub fn with_weight(self, weight: impl Into<Tensor>) -> Result<Self> {
        let weight = self.fitting(weight.into())?;
        Ok(Self { weight, ..self })
    }

    /// `[num_parameters]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    fn fitting(&self, weight: Tensor) -> Result<Tensor> {
        super::init::fitting(NAME, "weight", weight, &[self.num_parameters])
    }
}

const NAME: &str = "PReLU";

impl Op for PReLU {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        let x = pass.input(0)?.clone().contiguous();
        let (_, mut gradient) = pass.output()?;
        let ChannelExtents { inner, .. } = extents(
            self.num_parameters,
            &TensorSpec::in_format(x.shape(), MemoryFormat::Contiguous, Format::F32),
        )?;
        let slopes = self.weight.clone().contiguous();
        let slopes = slopes.as_slice().unwrap_or_default();
        let mut of_slopes = vec![0.0_f64; slopes.len()];
        let inner = inner.max(1);
        let dy = gradient.as_slice_mut().unwrap_or_default().chunks_mut(inner);
        for (row, (dy, x)) in dy.zip(x.as_slice().unwrap_or_default().chunks(inner)).enumerate() {
            let channel = row % slopes.len();
            for (dy, &x) in dy.iter_mut().zip(x).filter(|(_, x)| **x <= 0.0) {
                of_slopes[channel] += f64::from(*dy) * f64::from(x);
                *dy *= slopes[channel];
            }
        }
        let of_slopes = of_slopes.into_iter().map(|sum| sum as f32).collect();
        let parameters = vec![("weight", Tensor::from_vec(self.weight.shape(), of_slopes)?)];
        Ok(Gradients { inputs: vec![Some(gradient)], parameters })
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        if self.num_parameters == 0 {
            return Err(Error::parameter(NAME, "num_parameters is 0"));
        }
        match lowering.precision {
            Precision::Float => {
                let weight = self.fitting(lowering.tensor("weight", &self.weight)?)?;
                Ok(Arc::new(FloatPReLU { weight: weight.contiguous() }))
            }
            Precision::Static => {
                let weight = match lowering.stored() {
                    Some(stored) => stored.get_quantized("weight")?,
                    None => lowering.quantize_weight(&self.weight)?,
                };
                QuantizedPReLU::new(weight, self.num_parameters, lowering)
                    .map(|lowered| Arc::new(lowered) as _)
            }
            _ => Err(lowering.unsupported(NAME)),
        }
    }
}

impl crate::ObjectType for PReLU {
    const NAME: &'static str = NAME;
}

impl Parameters for PReLU {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        visit(join(path, "weight"), &self.weight);
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        visit(join(path, "weight"), &mut self.weight);
    }
}

/// The elements around the channels in the memory format of the buffer; all elements are of one channel if there is one
/// slope.
fn extents(slopes: usize, x: &TensorSpec) -> Result<ChannelExtents> {
    if slopes == 1 {
        return Ok(ChannelExtents { outer: 1, channels: 1, inner: x.len() });
    }
    let shape = x.shape();
    if shape.len() < 2 || shape[1] != slopes {
        return Err(Error::shape(NAME, format!("[N, {slopes}, ..]"), shape));
    }
    let inner: usize = match x.buffer() {
        MemoryFormat::ChannelsLast if shape.len() > 2 => 1,
        _ => shape[2..].iter().product(),
    };
    Ok(ChannelExtents { outer: x.len() / (slopes * inner).max(1), channels: slopes, inner })
}

#[derive(Debug)]
struct FloatPReLU {
    weight: Tensor,
}

impl Executable for FloatPReLU {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [x] = exactly(NAME, inputs)?;
        check_dtype(NAME, x, None)?;
        let ChannelExtents { inner, .. } = extents(self.weight.len(), x)?;
        let weight = self.weight.clone();
        let kernel = unary::<f32, f32>(NAME, move |x, y| {
            qkernels::float::prelu_into(weight.as_slice().unwrap_or_default(), inner, x, y)
        });
        let output = x.without_gaps().in_buffer(x.buffer());
        Ok(Planned::Kernel(PlannedKernel::new(kernel, vec![output])))
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        tensors.put("weight", &self.weight);
        Ok(())
    }
}

#[derive(Debug)]
struct QuantizedPReLU {
    weight: QTensor,
    slopes: Arc<[i32]>,
    one: i32,
    input: QParams,
    output: QParams,
}

impl QuantizedPReLU {
    fn new(weight: QTensor, num_parameters: usize, lowering: &Lowering<'_>) -> Result<Self> {
        if weight.shape() != [num_parameters] {
            return Err(Error::shape(NAME, format!("a weight of shape [{num_parameters}]"), weight.shape()));
        }
        per_tensor(NAME, weight.qparams())?;
        let slopes = steps(&weight)?;
        let one = steps(&QTensor::quantize(&constant(&[1], 1.0), weight.qparams())?)?;
        let one = one.first().copied().unwrap_or_default();
        let [input] = lowering.input_qparams(NAME)?;
        let output = lowering.output_qparams(NAME)?;
        per_tensor(NAME, input)?;
        per_tensor(NAME, output)?;
        Ok(Self { weight, slopes, one, input: input.clone(), output: output.clone() })
    }
}

/// The integers of a tensor less their zero point.
fn steps(tensor: &QTensor) -> Result<Arc<[i32]>> {
    let (integers, zero_point) = (tensor.int_repr(), tensor.qparams().tensor_zero_point());
    match (integers.as_u8(), integers.as_i8()) {
        (Some(integers), _) => Ok(integers.iter().map(|&integer| i32::from(integer) - zero_point).collect()),
        (_, Some(integers)) => Ok(integers.iter().map(|&integer| i32::from(integer) - zero_point).collect()),
        _ => Err(Error::Unsupported(format!("{NAME} with a weight of {}", tensor.dtype().name()))),
    }
}

impl Executable for QuantizedPReLU {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [x] = exactly(NAME, inputs)?;
        check_qparams(NAME, &self.input, x)?;
        let extents = extents(self.slopes.len(), x)?;
        let (slopes, one, slope_scale) =
            (Arc::clone(&self.slopes), self.one, per_tensor(NAME, self.weight.qparams())?.scale);
        let (input, output) = (per_tensor(NAME, &self.input)?, per_tensor(NAME, &self.output)?);
        let kernel = with_eight_bit!(NAME, self.output.dtype, T => {
            Ok(unary::<T, T>(NAME, move |x, y| {
                let prelu = elementwise::PReLU { slopes: &slopes, one, slope_scale, input, output };
                elementwise::prelu(&prelu, extents, x, y)
            }))
        })?;
        let spec = x.with_format(Format::of(Some(&self.output))).in_buffer(x.buffer());
        Ok(Planned::Kernel(PlannedKernel::new(kernel, vec![spec])))
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        tensors.put_quantized("weight", &self.weight)
    }

    fn weight(&self) -> Option<QTensor> {
        Some(self.weight.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{assert_values, float, tensor};

    #[test]
    fn each_channel_has_its_slope() {
        let x = tensor(&[1, 2, 2], &[-1.0, 2.0, -4.0, f32::NAN]);
        let layer = PReLU::new(2).with_weight(tensor(&[2], &[0.5, -2.0])).unwrap();
        let y = float(&layer, &[&x]).unwrap().map(|x| if x.is_nan() { 99.0 } else { x });
        assert_values(&y, &[-0.5, 2.0, 8.0, 99.0]);
        let x = tensor(&[3], &[-4.0, 0.0, 1.0]);
        assert_values(&float(&PReLU::new(1), &[&x]).unwrap(), &[-1.0, 0.0, 1.0]);
    }

    #[test]
    fn other_channels_are_an_error() {
        assert!(float(&PReLU::new(3), &[&tensor(&[1, 2], &[0.0; 2])]).is_err());
        assert!(float(&PReLU::new(0), &[&tensor(&[1, 2], &[0.0; 2])]).is_err());
        assert!(PReLU::new(3).with_weight(tensor(&[2], &[0.0; 2])).is_err());
    }
}
