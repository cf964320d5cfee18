//! `Linear`, perhaps with a batch norm folded in and a ReLU fused.

use std::sync::Arc;

use ndarray::IxDyn;
use qkernels::float::Epilogue;
use qkernels::linear::PackedLinear;
use qkernels::requantize::Requantization;
use serde::{Deserialize, Serialize};

use super::inputs::{exactly, exactly_shared, refused, take_one, unusable};
use super::layout::{Integers, row_major};
use super::weights::{QuantizedWeights, StoredWeight, WeightsInfo, check_bias, load_bias, save_bias};
use super::{
    ActivationSpec, FoldBatchNorm, FuseReLU, Kernel, KernelCost, Lowering, Op, OutputRule, Planned,
    QuantizedOp, Rearrangement,
};
use crate::archive::{Archive, ArchiveWriter, Record};
use crate::layers::BatchNorm1d;
use crate::parameters::join;
use crate::{Error, QTensor, Result, Tensor};

const NAME: &str = "Linear";

/// `x` times the transposed weight, plus the bias: `[.., in_features]` to `[.., out_features]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    relu: bool,
}

/// `(out_features, in_features)` of a weight.
fn features(weight: &[usize]) -> Result<(usize, usize)> {
    match *weight {
        [out_features, in_features] if out_features > 0 && in_features > 0 => Ok((out_features, in_features)),
        _ => Err(Error::shape(NAME, "a weight [out_features, in_features], neither 0", weight)),
    }
}

/// How many rows of `in_features` the input has, and the shape of the output.
fn rows(weight: &[usize], input: &[usize]) -> Result<(usize, Vec<usize>)> {
    let (out_features, in_features) = features(weight)?;
    match input.split_last() {
        Some((&found, leading)) if found == in_features => {
            Ok((leading.iter().product(), [leading, &[out_features]].concat()))
        }
        _ => Err(Error::shape(NAME, format!("[.., {in_features}]"), input)),
    }
}

impl Linear {
    /// A linear layer with a weight `[out_features, in_features]` and perhaps a bias `[out_features]`.
    ///
    /// # Errors
    /// When the shapes do not fit together, or there are no features.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Result<Self> {
        let (out_features, _) = features(weight.shape())?;
        check_bias(NAME, bias.as_ref(), out_features)?;
        Ok(Self { weight: weight.contiguous(), bias, relu: false })
    }

    /// `[out_features, in_features]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `[out_features]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }
}

impl Op for Linear {
    type Quantized = QuantizedLinear;

    fn name(&self) -> &'static str {
        if self.relu { "LinearReLU" } else { NAME }
    }

    fn output_rule(&self) -> OutputRule {
        OutputRule::Observed
    }

    fn forward(&self, inputs: &mut [Tensor]) -> Result<Tensor> {
        let x = take_one(NAME, inputs)?.contiguous();
        let (rows, shape) = rows(self.weight.shape(), x.shape())?;
        if rows == 0 {
            return Ok(Tensor::zeros(&shape));
        }
        let bias = self.bias.clone().map(Tensor::contiguous);
        let epilogue = Epilogue::bias(shape[shape.len() - 1], bias.as_ref().and_then(Tensor::as_slice))
            .map_err(refused(NAME, x.shape()))?;
        let epilogue = if self.relu { epilogue.clamped(0.0, f32::INFINITY) } else { epilogue };
        let mut output = vec![0.0; shape.iter().product()];
        qkernels::float::linear(
            rows,
            x.as_slice().unwrap_or_default(),
            self.weight.as_slice().unwrap_or_default(),
            &epilogue,
            &mut output,
        )
        .map_err(refused(NAME, x.shape()))?;
        Tensor::from_vec(&shape, output)
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<QuantizedLinear> {
        QuantizedLinear::new(QuantizedWeights::lower(&self.weight, self.bias.as_ref(), self.relu, lowering)?)
    }
}

impl FuseReLU for Linear {
    fn fuse_relu(self) -> Self {
        Self { relu: true, ..self }
    }
}

impl FoldBatchNorm<BatchNorm1d> for Linear {
    fn fold_batch_norm(self, batch_norm: &BatchNorm1d) -> Result<Self> {
        if self.relu {
            return Err(Error::parameter(NAME, "a batch norm behind a ReLU cannot be folded"));
        }
        let statistics = batch_norm.statistics();
        let (weight, bias) = statistics.fold_into_linear(NAME, &self.weight, self.bias.as_ref())?;
        Ok(Self { weight, bias: Some(bias), ..self })
    }
}

#[derive(Serialize, Deserialize)]
struct FloatRecord {
    relu: bool,
    bias: bool,
}

impl Record for Linear {
    fn save(&self, archive: &mut ArchiveWriter, path: &str) -> Result<()> {
        archive.put(path, &FloatRecord { relu: self.relu, bias: self.bias.is_some() })?;
        archive.put_tensor(&join(path, "weight"), &self.weight);
        save_bias(archive, path, self.bias.as_ref());
        Ok(())
    }

    fn load(archive: &Archive, path: &str) -> Result<Self> {
        let FloatRecord { relu, bias } = archive.get(path)?;
        let weight = archive.tensor(&join(path, "weight"))?;
        let operation = Self::new(weight, load_bias(archive, path, bias)?)
            .map_err(|error| archive.error(format!("record `{path}`: {error}")))?;
        Ok(Self { relu, ..operation })
    }
}

/// [`Linear`] on integers: `quint8` rows, `qint8` weight.
#[derive(Clone, Debug)]
pub struct QuantizedLinear {
    info: WeightsInfo,
    packed: Arc<PackedLinear>,
    requantization: Arc<Requantization>,
}

impl QuantizedLinear {
    /// Packs the weight for the kernels. Its shape is `[out_features, in_features]`.
    ///
    /// # Errors
    /// When the shapes do not fit together, a type is not one that the kernels take, the bias is not finite, or
    /// the quotients of the scales are not.
    pub fn new(weights: QuantizedWeights) -> Result<Self> {
        let (out_features, in_features) = features(weights.weight.shape())?;
        let zero_points = &weights.weight.qparams().zero_point;
        let packed = PackedLinear::new(&weights.integers(NAME)?, zero_points, out_features, in_features)
            .map_err(unusable(NAME))?;
        Self::of_packed(weights.info(), packed)
    }

    fn of_packed(info: WeightsInfo, packed: PackedLinear) -> Result<Self> {
        let requantization = Arc::new(info.requantization(NAME, packed.out_features())?);
        Ok(Self { info, packed: Arc::new(packed), requantization })
    }
}

impl QuantizedOp for QuantizedLinear {
    fn forward(&self, inputs: &mut [QTensor]) -> Result<QTensor> {
        let [x] = exactly(NAME, inputs)?;
        let (rows, shape) = rows(&self.info.shape, x.shape())?;
        let integers = row_major(self.info.input(NAME, x)?);
        let mut output = vec![0; shape.iter().product()];
        let values = integers.as_slice().unwrap_or_default();
        self.packed
            .run(rows, values, self.info.input_zero_point(), &self.requantization, &mut output)
            .map_err(refused(NAME, x.shape()))?;
        let output = Integers::from_shape_vec(IxDyn(&shape), output)
            .map_err(|_| Error::shape(NAME, format!("an output of shape {shape:?}"), x.shape()))?;
        self.info.output(output)
    }

    fn plan(&self, inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
        let [x] = exactly_shared(NAME, inputs)?;
        self.info.check_input(NAME, x.qparams())?;
        let (rows, shape) = rows(&self.info.shape, x.shape())?;
        let kernel = LinearKernel {
            rows,
            packed: Arc::clone(&self.packed),
            zero_point: self.info.input_zero_point(),
            requantization: Arc::clone(&self.requantization),
        };
        let output = |shape: &[usize]| x.with_shape(shape).with_qparams(&self.info.output);
        if x.image().is_none() {
            return Ok(Some(Planned::Kernel(Box::new(kernel), output(&shape))));
        }
        // The rows of an image do not lie one after the other.
        let (out_features, in_features) = features(&self.info.shape)?;
        Ok(Some(Planned::Around {
            inputs: vec![vec![Rearrangement::Reshape(vec![rows, in_features])]],
            planned: Box::new(Planned::Kernel(Box::new(kernel), output(&[rows, out_features]))),
            spec: output(&shape),
            output: vec![Rearrangement::Reshape(shape)],
        }))
    }

    fn weight(&self) -> Option<QTensor> {
        self.info.weight(self.packed.unpack())
    }
}

/// The product of a number of rows.
#[derive(Clone, Debug)]
struct LinearKernel {
    rows: usize,
    packed: Arc<PackedLinear>,
    zero_point: i32,
    requantization: Arc<Requantization>,
}

impl Kernel for LinearKernel {
    fn run(&self, inputs: &[&[u8]], output: &mut [u8], _pitch: usize) -> qkernels::Result<()> {
        let x = inputs.first().copied().unwrap_or_default();
        self.packed.run(self.rows, x, self.zero_point, &self.requantization, output)
    }

    fn with_clamp(&self, [low, high]: [u8; 2]) -> Option<Box<dyn Kernel>> {
        let requantization = Arc::new(self.requantization.clamped(low, high).ok()?);
        Some(Box::new(Self { requantization, ..self.clone() }))
    }

    fn cost(&self) -> KernelCost {
        let (inputs, outputs) = (self.packed.in_features() as u64, self.packed.out_features() as u64);
        KernelCost {
            multiply_accumulates: self.rows as u64 * inputs * outputs,
            weight_bytes: self.packed.byte_len() as u64,
            kernel: self.packed.kernel().to_string(),
        }
    }
}

impl Record for QuantizedLinear {
    fn save(&self, archive: &mut ArchiveWriter, path: &str) -> Result<()> {
        let record = self.info.save_packed(archive, path, std::iter::once(self.packed.packed()))?;
        archive.put(path, &record)
    }

    fn load(archive: &Archive, path: &str) -> Result<Self> {
        let (info, weight) = WeightsInfo::load(archive, path, archive.get(path)?)?;
        let operation = match weight {
            StoredWeight::Plain(weight) => Self::new(info.with_weight(weight)),
            StoredWeight::Packed(packed) => features(&info.shape).and_then(|(out_features, in_features)| {
                let zero_points = &info.qparams.zero_point;
                let packed = PackedLinear::from_packed(packed, zero_points, out_features, in_features);
                Self::of_packed(info, packed.map_err(unusable(NAME))?)
            }),
        };
        operation.map_err(|error| archive.error(format!("record `{path}`: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::tests::{assert_values, qtensor, reloaded, tensor, u8_qparams};
    use crate::{Backend, DType, QParams};

    fn weights(relu: bool) -> QuantizedWeights {
        let weight = ndarray::arr2(&[[1_i8, 2], [-3, 4]]);
        let scales = QParams::per_channel(vec![0.5, 0.25], vec![0, 0], 0, DType::QInt8).unwrap();
        QuantizedWeights {
            weight: QTensor::from_int_repr(weight, scales).unwrap(),
            bias: Some(tensor(&[2], &[1.0, -1.0])),
            input: u8_qparams(1.0, 10),
            output: u8_qparams(0.5, 100),
            backend: Backend::Native,
            relu,
        }
    }

    #[test]
    fn the_weight_is_transposed_and_leading_axes_stay() {
        let weight = tensor(&[2, 3], &[1.0, 0.0, 0.0, 0.0, 1.0, -1.0]);
        let linear = Linear::new(weight, Some(tensor(&[2], &[10.0, 0.0]))).unwrap();
        let x = tensor(&[1, 2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 9.0]);
        let y = Op::forward(&linear, &mut [x.clone()]).unwrap();
        assert_eq!(y.shape(), [1, 2, 2]);
        assert_values(&y, &[11.0, -1.0, 14.0, -4.0]);
        assert_values(&Op::forward(&linear.fuse_relu(), &mut [x]).unwrap(), &[11.0, 0.0, 14.0, 0.0]);
    }

    #[test]
    fn integers_follow_by_hand_and_survive_a_file() {
        // Real input (2, -1): rows 1*2*0.5 - 2*0.5 + 1 = 1 and -3*2*0.25 - 4*0.25 - 1 = -3.5.
        let x = qtensor(&[1, 2], &[12, 9], 1.0, 10);
        let linear = QuantizedLinear::new(weights(false)).unwrap();
        let y = linear.forward(&mut [x.clone()]).unwrap();
        assert_eq!(y.int_repr().to_i32().into_raw_vec_and_offset().0, [102, 93]);
        assert_eq!(reloaded(&linear).forward(&mut [x.clone()]).unwrap(), y);
        let y = QuantizedLinear::new(weights(true)).unwrap().forward(&mut [x]).unwrap();
        assert_eq!(y.int_repr().to_i32().into_raw_vec_and_offset().0, [102, 100]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(Linear::new(Tensor::zeros(&[2, 0]), None).is_err());
        assert!(Linear::new(Tensor::zeros(&[2, 3]), Some(Tensor::zeros(&[3]))).is_err());
        let linear = Linear::new(Tensor::zeros(&[2, 3]), None).unwrap();
        let message = Op::forward(&linear, &mut [Tensor::zeros(&[4, 2])]).unwrap_err().to_string();
        assert_eq!(message, "Linear expected [.., 3], found shape [4, 2]");
        let other_scale = qtensor(&[1, 2], &[12, 9], 2.0, 10);
        assert!(QuantizedLinear::new(weights(false)).unwrap().forward(&mut [other_scale]).is_err());
        let narrow = QuantizedWeights { bias: Some(Tensor::zeros(&[3])), ..weights(false) };
        assert!(QuantizedLinear::new(narrow).is_err());
        let infinite = QuantizedWeights { bias: Some(tensor(&[2], &[1.0, f32::NAN])), ..weights(false) };
        assert!(QuantizedLinear::new(infinite).is_err());
    }

    #[test]
    fn a_folded_batch_norm_gives_what_both_give() {
        let linear = Linear::new(tensor(&[2, 1], &[2.0, 3.0]), None).unwrap();
        let batch_norm = BatchNorm1d::new(2)
            .eps(0.0)
            .with_affine(tensor(&[2], &[1.0, 2.0]), tensor(&[2], &[0.0, 5.0]))
            .and_then(|layer| layer.with_statistics(tensor(&[2], &[1.0, 0.0]), tensor(&[2], &[4.0, 1.0])))
            .unwrap();
        let folded = linear.clone().fold_batch_norm(&batch_norm).unwrap();
        let y = Op::forward(&folded, &mut [tensor(&[1, 1], &[4.0])]).unwrap();
        assert_values(&y, &[3.5, 29.0]);
        assert!(linear.clone().fold_batch_norm(&BatchNorm1d::new(3)).is_err());
        assert!(linear.fuse_relu().fold_batch_norm(&batch_norm).is_err());
    }
}
