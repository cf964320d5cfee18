//! `Linear`: in float, on integers with calibrated scales, on integers whose input's scale is found at every run, and in
//! float with weights of integers.

mod backward;
mod behind;
mod dynamic;
mod float;
mod quantized;
mod weight_only;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::defaults;
use super::init::{Generator, empty, fitting};
use super::plain::plain_op;
use super::weights::{WeightInfo, float_weights, is_zero, packed_matrix, rounded_to_half};
use super::{
    BatchNormParameters, Executable, Format, Kernel, Lowering, Op, Planned, PlannedKernel, Precision,
    TensorSpec, Weighted,
};
use crate::model::{Parameters, join};
use crate::tensor::{MemoryFormat, Rearrangement};
use crate::train::{Backward, Gradients};
use crate::{Error, Result, Tensor};

use behind::{Apart, Record, Unfolded};
use dynamic::DynamicLinear;
use float::FloatLinear;
use quantized::{StaticLinear, StaticLinearApart};
use weight_only::GroupedLinear;

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
    /// What a batch norm was folded into.
    unfolded: Option<Arc<Unfolded>>,
}

/// The parameters of a linear layer in a file, besides its tensors.
#[derive(Clone, Serialize, Deserialize)]
struct LinearConfig {
    in_features: usize,
    out_features: usize,
    #[serde(default = "defaults::yes", skip_serializing_if = "defaults::is_yes")]
    bias: bool,
}

impl From<LinearConfig> for Linear {
    fn from(LinearConfig { in_features, out_features, bias }: LinearConfig) -> Self {
        Self { in_features, out_features, weight: empty(), bias: bias.then(empty), unfolded: None }
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
        let shape = [out_features, in_features];
        let (weight, bias) = generator.weight_and_bias(&shape, out_features, in_features);
        Self { in_features, out_features, weight, bias: Some(bias), unfolded: None }
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

    /// `[outputs, inputs]`.
    fn weight_shape(self) -> [usize; 2] {
        [self.outputs, self.inputs]
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
        let record = lowering.stored().map(Record::of_file).transpose()?.flatten();
        match lowering.precision {
            Precision::Float => return self.float(features, record, lowering),
            Precision::Half | Precision::WeightOnly if self.unfolded.is_some() && lowering.is_apart => {
                return Err(Error::Unsupported(format!(
                    "{NAME} in the precision `{}` with a batch norm behind it on inputs of other than two dimensions",
                    lowering.precision
                )));
            }
            Precision::Half => {
                let (weight, bias) = float_weights(&self.weight, self.bias.as_ref(), lowering)?;
                let weight = rounded_to_half(weight).contiguous();
                return Ok(Arc::new(FloatLinear::new(features, weight, bias, lowering.activation)?));
            }
            Precision::WeightOnly => {
                let is_folded = self.unfolded.is_some() || matches!(record, Some(Record::Folded));
                let (weight, bias) = (&self.weight, self.bias.as_ref());
                return Ok(Arc::new(GroupedLinear::new(features, is_folded, weight, bias, lowering)?));
            }
            _ => {}
        }
        let (batch_norm, is_folded, weights) = match (record, &self.unfolded) {
            (Some(Record::Apart { eps, is_affine }), _) => {
                let stored = lowering.stored().map(|stored| Apart::stored(stored, eps, is_affine));
                (stored.transpose()?, false, None)
            }
            (Some(Record::Folded), _) => (None, true, None),
            (None, Some(unfolded)) if lowering.is_apart => {
                let batch_norm = Some(unfolded.batch_norm.clone());
                (batch_norm, false, Some((&unfolded.weight, unfolded.bias.as_ref())))
            }
            (None, unfolded) => (None, unfolded.is_some(), None),
        };
        let apart = batch_norm.map(|batch_norm| Apart::new(batch_norm, lowering.activation)).transpose()?;
        let (weight, bias) = weights.unwrap_or((&self.weight, self.bias.as_ref()));
        let shape = features.weight_shape();
        let (info, integers) = WeightInfo::quantized(NAME, weight, bias, &shape, lowering)?;
        let packed = packed_matrix(NAME, shape, &info, integers)?;
        match lowering.precision {
            Precision::Static => {
                let requantization = Arc::new(info.requantization(NAME, features.outputs, lowering)?);
                let [input] = lowering.input_qparams(NAME)?;
                let output = Format::of(Some(lowering.output_qparams(NAME)?));
                let input = input.clone();
                Ok(match apart {
                    None => Arc::new(StaticLinear {
                        features,
                        is_folded,
                        info,
                        packed,
                        input,
                        output,
                        requantization,
                    }),
                    Some(apart) => {
                        Arc::new(StaticLinearApart::new(features, apart, info, packed, input, output)?)
                    }
                })
            }
            Precision::Dynamic => {
                let lowered = DynamicLinear::new(features, is_folded, apart, info, packed, lowering)?;
                Ok(Arc::new(lowered))
            }
            _ => Err(lowering.unsupported(NAME)),
        }
    }

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        backward::backward(self, pass)
    }

    fn ignores_input(&self) -> bool {
        is_zero(&self.weight)
    }

    fn fold_batch_norm(&self, batch_norm: &BatchNormParameters) -> Option<Result<Arc<dyn Op>>> {
        let folded = batch_norm.fold_into_linear(NAME, &self.weight, self.bias.as_ref());
        Some(folded.map(|(weight, bias)| {
            let (unfolded_weight, unfolded_bias) = (self.weight.clone(), self.bias.clone());
            let batch_norm = batch_norm.clone();
            let unfolded = Unfolded { weight: unfolded_weight, bias: unfolded_bias, batch_norm };
            Arc::new(Self { weight, bias: Some(bias), unfolded: Some(Arc::new(unfolded)), ..self.clone() })
                as Arc<dyn Op>
        }))
    }

    fn as_weighted(&self) -> Option<Weighted<'_>> {
        Some(Weighted { weight: &self.weight, bias: self.bias.as_ref(), groups: 1 })
    }

    fn with_weights(&self, weight: Tensor, bias: Option<Tensor>) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { weight, bias, ..self.clone() }))
    }

    fn folds_matrices(&self) -> bool {
        true
    }
}

impl Linear {
    /// In float a batch norm is folded or apart as the shape of the input says; a file has it unfolded.
    fn float(
        &self,
        features: Features,
        record: Option<Record>,
        lowering: &Lowering<'_>,
    ) -> Result<Arc<dyn Executable>> {
        let (mut weight, mut bias) = float_weights(&self.weight, self.bias.as_ref(), lowering)?;
        let mut unfolded = self.unfolded.clone();
        if let (Some(stored), Some(Record::Apart { eps, is_affine })) = (lowering.stored(), record) {
            let batch_norm = Apart::stored(stored, eps, is_affine)?;
            let folded = batch_norm.fold_into_linear(NAME, &weight, bias.as_ref())?;
            unfolded = Some(Arc::new(Unfolded { weight, bias, batch_norm }));
            (weight, bias) = (folded.0, Some(folded.1));
        }
        let apart = unfolded.map(|unfolded| {
            let Unfolded { weight, bias, batch_norm } = &*unfolded;
            let linear = FloatLinear::new(features, weight.clone().contiguous(), bias.clone(), None)?;
            Ok::<_, Error>((Box::new(linear), Apart::new(batch_norm.clone(), lowering.activation)?))
        });
        let lowered = FloatLinear::new(features, weight.contiguous(), bias, lowering.activation)?;
        Ok(Arc::new(FloatLinear { apart: apart.transpose()?, ..lowered }))
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
