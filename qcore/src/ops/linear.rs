//! `Linear`: in float, on integers with calibrated scales, and on integers whose input's scale is found at every run.

use std::sync::Arc;

use qkernels::elements;
use qkernels::float::Epilogue;
use qkernels::linear::{Dequantization, PackedLinear};
use qkernels::quantize::{quantize_per_tensor, range};
use qkernels::requantize::Requantization;
use serde::{Deserialize, Serialize};

use super::init::{Generator, empty, fitting};
use super::inputs::{check_qparams, exactly, is_relu_fused, kernel_error};
use super::kernel::input;
use super::plain::plain_op;
use super::weights::{WeightInfo, WeightIntegers, check_bias, float_weights, row_major_integers, save_float};
use super::{
    Activation, BatchNormParameters, Executable, Format, Kernel, KernelCost, Lowering, Op, Output, Planned,
    PlannedKernel, Post, Precision, TensorSpec,
};
use crate::model::{Parameters, join};
use crate::network::TensorWriter;
use crate::tensor::{MemoryFormat, Rearrangement, choose_qparams};
use crate::{Backend, Error, QParams, QTensor, Result, Tensor};

const NAME: &str = "Linear";

/// `x` times the transposed weight, plus the bias: `[.., in_features]` to `[.., out_features]`.
///
/// Used without features it gives an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "LinearConfig", into = "LinearConfig")]
pub struct Linear {
    in_features: usize,
    out_features: usize,
    weight: Tensor,
    bias: Option<Tensor>,
}

/// The parameters of a linear layer in a file, besides its tensors.
#[derive(Clone, Serialize, Deserialize)]
struct LinearConfig {
    in_features: usize,
    out_features: usize,
    bias: bool,
}

impl From<LinearConfig> for Linear {
    fn from(LinearConfig { in_features, out_features, bias }: LinearConfig) -> Self {
        Self { in_features, out_features, weight: empty(), bias: bias.then(empty) }
    }
}

impl From<Linear> for LinearConfig {
    fn from(Linear { in_features, out_features, bias, .. }: Linear) -> Self {
        Self { in_features, out_features, bias: bias.is_some() }
    }
}

impl Linear {
    /// A linear layer with a bias.
    pub fn new(in_features: usize, out_features: usize) -> Self {
        let mut generator = Generator::for_layer(NAME, &[in_features, out_features]);
        let weight = generator.uniform(&[out_features, in_features], in_features);
        let bias = generator.uniform(&[out_features], in_features);
        Self { in_features, out_features, weight, bias: Some(bias) }
    }

    /// Whether there is a bias; true if not set.
    #[must_use]
    pub fn bias(self, bias: bool) -> Self {
        let bias = match (bias, self.bias) {
            (false, _) => None,
            (true, Some(bias)) => Some(bias),
            (true, None) => Self::new(self.in_features, self.out_features).bias,
        };
        Self { bias, ..self }
    }

    /// The same layer with this weight, `[out_features, in_features]`.
    ///
    /// # Errors
    /// When its shape is another.
    pub fn with_weight(self, weight: impl Into<Tensor>) -> Result<Self> {
        let weight = fitting(NAME, "weight", weight.into(), &[self.out_features, self.in_features])?;
        Ok(Self { weight, ..self })
    }

    /// The same layer with this bias, `[out_features]`.
    ///
    /// # Errors
    /// When its shape is another.
    pub fn with_bias(self, bias: impl Into<Tensor>) -> Result<Self> {
        let bias = fitting(NAME, "bias", bias.into(), &[self.out_features])?;
        Ok(Self { bias: Some(bias), ..self })
    }

    /// `[out_features, in_features]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `[out_features]`, if there is one. ([`Linear::bias`] is the builder.)
    pub fn bias_tensor(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// `[out_features, in_features]`.
    ///
    /// # Errors
    /// When one of them is 0.
    fn features(&self) -> Result<Features> {
        match [self.out_features, self.in_features] {
            shape @ ([0, _] | [_, 0]) => {
                Err(Error::shape(NAME, "a weight [out_features, in_features], neither 0", &shape))
            }
            [outputs, inputs] => Ok(Features { outputs, inputs }),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Features {
    outputs: usize,
    inputs: usize,
}

impl Features {
    /// How many rows an input has, and the shape of the output.
    fn rows(self, input: &[usize]) -> Result<(usize, Vec<usize>)> {
        match input.split_last() {
            Some((&found, leading)) if found == self.inputs => {
                Ok((leading.iter().product(), [leading, &[self.outputs]].concat()))
            }
            _ => Err(Error::shape(NAME, format!("[.., {}]", self.inputs), input)),
        }
    }

    fn check(self, shape: &[usize]) -> Result<()> {
        let expected = [self.outputs, self.inputs];
        if shape == expected {
            return Ok(());
        }
        Err(Error::shape(NAME, format!("a weight of shape {expected:?}"), shape))
    }

    /// The plan of a kernel that reads rows one after the other, for an input in any memory format.
    fn plan(
        self,
        x: &TensorSpec,
        format: Format,
        scratch: usize,
        kernel: impl FnOnce(usize) -> Box<dyn Kernel>,
    ) -> Result<Planned> {
        let (rows, shape) = self.rows(x.shape())?;
        let output =
            |shape: &[usize]| TensorSpec::new(shape, format.clone()).in_buffer(MemoryFormat::Contiguous);
        let plan = |shape: &[usize]| {
            let planned = PlannedKernel::new(kernel(rows), vec![output(shape)]);
            Planned::Kernel(planned.inputs([MemoryFormat::Contiguous]).scratch(scratch))
        };
        if x.buffer() == MemoryFormat::Contiguous || x.shape().len() < 3 {
            return Ok(plan(&shape));
        }
        // The rows of an image are not contiguous.
        Ok(Planned::Around {
            inputs: vec![vec![Rearrangement::Reshape(vec![rows, self.inputs])]],
            planned: Box::new(plan(&[rows, self.outputs])),
            spec: TensorSpec::new(&shape, format.clone()),
            output: vec![Rearrangement::Reshape(shape)],
        })
    }
}

impl Op for Linear {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let features = self.features()?;
        if lowering.precision == Precision::Float {
            let (weight, bias) = float_weights(&self.weight, self.bias.as_ref(), lowering)?;
            let lowered = FloatLinear::new(features, weight.contiguous(), bias, lowering.activation)?;
            return Ok(Arc::new(lowered));
        }
        let (info, integers) = WeightInfo::quantized(NAME, &self.weight, self.bias.as_ref(), lowering)?;
        features.check(&info.shape)?;
        let (outputs, inputs, zero_points) = (features.outputs, features.inputs, &info.qparams.zero_point);
        let packed = match integers {
            WeightIntegers::Packed(packed) => PackedLinear::from_packed(packed, zero_points, outputs, inputs),
            WeightIntegers::Plain(weight) => {
                PackedLinear::new(&row_major_integers(NAME, &weight)?, zero_points, outputs, inputs)
            }
        };
        let packed = Arc::new(packed.map_err(kernel_error(NAME))?);
        match lowering.precision {
            Precision::Static => {
                let requantization = Arc::new(info.requantization(NAME, outputs, lowering)?);
                let [input] = lowering.input_qparams(NAME)?;
                let output = Format::of(Some(lowering.output_qparams(NAME)?));
                Ok(Arc::new(StaticLinear {
                    features,
                    info,
                    packed,
                    input: input.clone(),
                    output,
                    requantization,
                }))
            }
            Precision::Dynamic => Ok(Arc::new(DynamicLinear::new(features, info, packed, lowering)?)),
            _ => Err(lowering.unsupported(NAME)),
        }
    }

    fn fold_batch_norm(&self, batch_norm: &BatchNormParameters) -> Option<Result<Arc<dyn Op>>> {
        let folded = batch_norm.fold_into_linear(NAME, &self.weight, self.bias.as_ref());
        Some(
            folded.map(|(weight, bias)| {
                Arc::new(Self { weight, bias: Some(bias), ..self.clone() }) as Arc<dyn Op>
            }),
        )
    }
}

impl crate::ObjectType for Linear {
    const NAME: &'static str = NAME;
}

impl Parameters for Linear {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        visit(join(path, "weight"), &self.weight);
        if let Some(bias) = &self.bias {
            visit(join(path, "bias"), bias);
        }
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        visit(join(path, "weight"), &mut self.weight);
        if let Some(bias) = &mut self.bias {
            visit(join(path, "bias"), bias);
        }
    }
}

/// A linear layer in float.
#[derive(Debug)]
struct FloatLinear {
    features: Features,
    weight: Tensor,
    bias: Option<Tensor>,
    epilogue: Arc<Epilogue>,
}

impl FloatLinear {
    fn new(
        features: Features,
        weight: Tensor,
        bias: Option<Tensor>,
        activation: Option<Activation>,
    ) -> Result<Self> {
        features.check(weight.shape())?;
        check_bias(NAME, bias.as_ref(), features.outputs)?;
        let bias = bias.map(Tensor::contiguous);
        let epilogue = Epilogue::bias(features.outputs, bias.as_ref().and_then(Tensor::as_slice))
            .map_err(kernel_error(NAME))?;
        let [low, high] = Activation::limits_of(activation);
        Ok(Self { features, weight, bias, epilogue: Arc::new(epilogue.clamped(low, high)) })
    }
}

impl Executable for FloatLinear {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [x] = exactly(NAME, inputs)?;
        self.features.plan(x, Format::F32, 0, |rows| {
            let (weight, epilogue) = (self.weight.clone(), Arc::clone(&self.epilogue));
            Box::new(FloatLinearKernel { rows, weight, epilogue })
        })
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        save_float(tensors, &self.weight, self.bias.as_ref())
    }
}

#[derive(Debug)]
struct FloatLinearKernel {
    rows: usize,
    weight: Tensor,
    epilogue: Arc<Epilogue>,
}

impl Kernel for FloatLinearKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], _: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, .. }] = outputs else { return Ok(()) };
        if self.rows == 0 {
            return Ok(());
        }
        let (x, output) = (elements::view(input(inputs, 0))?, elements::view_mut(bytes)?);
        let weight = self.weight.as_slice().unwrap_or_default();
        qkernels::float::linear(self.rows, x, weight, &self.epilogue, output)
    }

    fn cost(&self) -> KernelCost {
        KernelCost {
            multiply_accumulates: (self.rows * self.weight.len()) as u64,
            weight_bytes: (size_of::<f32>() * self.weight.len()) as u64,
            kernel: String::new(),
        }
    }
}

/// A linear layer on integers between calibrated scales: `quint8` rows, `qint8` weight.
#[derive(Debug)]
struct StaticLinear {
    features: Features,
    info: WeightInfo,
    packed: Arc<PackedLinear>,
    input: QParams,
    output: Format,
    requantization: Arc<Requantization>,
}

impl Executable for StaticLinear {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [x] = exactly(NAME, inputs)?;
        check_qparams(NAME, &self.input, x)?;
        self.features.plan(x, self.output.clone(), 0, |rows| {
            Box::new(StaticLinearKernel {
                rows,
                packed: Arc::clone(&self.packed),
                zero_point: self.input.tensor_zero_point(),
                requantization: Arc::clone(&self.requantization),
            })
        })
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        self.info.save_packed(tensors, std::iter::once(self.packed.packed()))
    }

    fn weight(&self) -> Option<QTensor> {
        self.info.weight(self.packed.unpack())
    }
}

#[derive(Clone, Debug)]
struct StaticLinearKernel {
    rows: usize,
    packed: Arc<PackedLinear>,
    zero_point: i32,
    requantization: Arc<Requantization>,
}

impl Kernel for StaticLinearKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], _: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, .. }] = outputs else { return Ok(()) };
        self.packed.run(self.rows, input(inputs, 0), self.zero_point, &self.requantization, bytes)
    }

    fn with_post(&self, post: &Post) -> Option<Box<dyn Kernel>> {
        let Post::Clamp([low, high]) = *post else { return None };
        let requantization = Arc::new(self.requantization.clamped(low, high).ok()?);
        Some(Box::new(Self { requantization, ..self.clone() }))
    }

    fn cost(&self) -> KernelCost {
        packed_cost(self.rows, &self.packed)
    }
}

fn packed_cost(rows: usize, packed: &PackedLinear) -> KernelCost {
    KernelCost {
        multiply_accumulates: rows as u64 * packed.in_features() as u64 * packed.out_features() as u64,
        weight_bytes: packed.byte_len() as u64,
        kernel: packed.kernel(),
    }
}

/// A linear layer on integers, with floats in and out: the scale of the input follows from its range at every run
/// (NUMERICS section 11).
#[derive(Debug)]
struct DynamicLinear {
    features: Features,
    info: WeightInfo,
    shared: Arc<DynamicWeights>,
}

/// The weights that a run reads.
#[derive(Debug)]
struct DynamicWeights {
    packed: Arc<PackedLinear>,
    /// One, or one a feature.
    scales: Vec<f32>,
    bias: Option<Vec<f32>>,
    relu: bool,
    backend: Backend,
}

impl DynamicLinear {
    fn new(
        features: Features,
        info: WeightInfo,
        packed: Arc<PackedLinear>,
        lowering: &Lowering<'_>,
    ) -> Result<Self> {
        check_bias(NAME, info.bias.as_ref(), features.outputs)?;
        let shared = Arc::new(DynamicWeights {
            packed,
            scales: info.qparams.scale.clone(),
            bias: info.bias.as_ref().map(|bias| bias.view().iter().copied().collect()),
            relu: is_relu_fused(NAME, lowering)?,
            backend: lowering.backend,
        });
        Ok(Self { features, info, shared })
    }
}

impl Executable for DynamicLinear {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [x] = exactly(NAME, inputs)?;
        let integers = x.len();
        let multipliers = size_of::<f32>() * self.shared.scales.len();
        let scratch = multipliers + integers;
        self.features.plan(x, Format::F32, scratch, |rows| {
            Box::new(DynamicLinearKernel { rows, multipliers, weights: Arc::clone(&self.shared) })
        })
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        self.info.save_packed(tensors, std::iter::once(self.shared.packed.packed()))
    }

    fn weight(&self) -> Option<QTensor> {
        self.info.weight(self.shared.packed.unpack())
    }
}

#[derive(Debug)]
struct DynamicLinearKernel {
    rows: usize,
    /// Bytes of the multipliers at the start of the scratch; the integers of the input follow.
    multipliers: usize,
    weights: Arc<DynamicWeights>,
}

impl DynamicWeights {
    /// PyTorch's linear modules reduce the range on the engines whose kernels may saturate; qnnpack ignores that, and
    /// so do the native kernels, which never saturate.
    fn quant_range(&self) -> (i32, i32) {
        match self.backend {
            Backend::Fbgemm | Backend::X86 | Backend::Onednn => (0, 127),
            Backend::Qnnpack | Backend::Native => (0, 255),
        }
    }
}

impl Kernel for DynamicLinearKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], scratch: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, .. }] = outputs else { return Ok(()) };
        let (x, output) = (elements::view::<f32>(input(inputs, 0))?, elements::view_mut(bytes)?);
        let Some((min, max)) = range(x) else { return Ok(()) };
        let weights = &*self.weights;
        let (scale, zero_point) = choose_qparams(min, max, weights.quant_range(), false);
        let (multipliers, integers) = scratch.split_at_mut(self.multipliers.min(scratch.len()));
        let multipliers = elements::view_mut::<f32>(multipliers)?;
        for (multiplier, weight_scale) in multipliers.iter_mut().zip(&weights.scales) {
            *multiplier = scale * weight_scale;
        }
        let integers = &mut integers[..x.len()];
        let (low, high) = weights.quant_range();
        quantize_per_tensor::<u8>(x, qkernels::QParams::new(scale, zero_point), low..=high, integers)?;
        let dequantization = Dequantization {
            multipliers,
            bias: weights.bias.as_deref(),
            relu: weights.relu,
            fused: weights.backend != Backend::Qnnpack,
        };
        weights.packed.run_float(self.rows, integers, zero_point, &dequantization, output)
    }

    fn cost(&self) -> KernelCost {
        packed_cost(self.rows, &self.weights.packed)
    }
}
