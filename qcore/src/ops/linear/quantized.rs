//! Linear layers on integers with calibrated scales.

use std::sync::Arc;

use qkernels::elements;
use qkernels::linear::{Dequantization, PackedLinear};
use qkernels::quantize::quantize_per_tensor;
use qkernels::requantize::Requantization;

use super::behind::{Apart, Record, check_matrix};
use super::{Features, NAME};
use crate::network::TensorWriter;
use crate::ops::inputs::{check_qparams, exactly};
use crate::ops::kernel::input;
use crate::ops::weights::{Names, WeightInfo};
use crate::ops::{Executable, Format, Kernel, KernelCost, Output, Planned, Post, TensorSpec};
use crate::{Error, QParams, QTensor, Result};

/// A linear layer on integers between calibrated scales: `quint8` rows, `qint8` weight.
#[derive(Debug)]
pub(super) struct StaticLinear {
    pub(super) features: Features,
    /// Whether a batch norm is in its weight.
    pub(super) is_folded: bool,
    pub(super) info: WeightInfo,
    pub(super) packed: Arc<PackedLinear>,
    pub(super) input: QParams,
    pub(super) output: Format,
    pub(super) requantization: Arc<Requantization>,
}

impl Executable for StaticLinear {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [x] = exactly(NAME, inputs)?;
        check_qparams(NAME, &self.input, x)?;
        if self.is_folded {
            check_matrix(self.features.inputs, x.shape())?;
        }
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
        if self.is_folded {
            Record::save_folded(tensors)?;
        }
        self.info.save_matrix(NAME, Names::USUAL, tensors, &self.packed)
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

/// As [`StaticLinear`], with a batch norm in float between the exact sums and the output.
#[derive(Debug)]
pub(super) struct StaticLinearApart {
    features: Features,
    apart: Arc<Apart>,
    info: WeightInfo,
    packed: Arc<PackedLinear>,
    input: QParams,
    output: Format,
    /// The scale of the input times that of the weight: one, or one a feature.
    multipliers: Arc<[f32]>,
    bias: Option<Arc<[f32]>>,
}

impl StaticLinearApart {
    pub(super) fn new(
        features: Features,
        apart: Arc<Apart>,
        info: WeightInfo,
        packed: Arc<PackedLinear>,
        input: QParams,
        output: Format,
    ) -> Result<Self> {
        let multipliers = info.qparams.scale.iter().map(|scale| scale * input.tensor_scale()).collect();
        let bias = info.bias.as_ref().map(|bias| bias.view().iter().copied().collect());
        Ok(Self { features, apart, info, packed, input, output, multipliers, bias })
    }
}

impl Executable for StaticLinearApart {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [x] = exactly(NAME, inputs)?;
        check_qparams(NAME, &self.input, x)?;
        let (rows, shape) = self.features.rows(x.shape())?;
        let (inner, values) = (self.apart.inner(&shape)?, rows.saturating_mul(self.features.outputs));
        let Format::Quantized(output) = &self.output else {
            return Err(Error::Unsupported(format!("{NAME} on integers with a float output")));
        };
        self.features.plan(x, self.output.clone(), values.saturating_mul(2 * size_of::<f32>()), |rows| {
            Box::new(StaticLinearApartKernel {
                rows,
                packed: Arc::clone(&self.packed),
                zero_point: self.input.tensor_zero_point(),
                multipliers: Arc::clone(&self.multipliers),
                bias: self.bias.clone(),
                apart: Arc::clone(&self.apart),
                inner,
                output: Arc::clone(output),
            })
        })
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        self.apart.save(tensors)?;
        self.info.save_matrix(NAME, Names::USUAL, tensors, &self.packed)
    }

    fn weight(&self) -> Option<QTensor> {
        self.info.weight(self.packed.unpack())
    }
}

#[derive(Debug)]
struct StaticLinearApartKernel {
    rows: usize,
    packed: Arc<PackedLinear>,
    zero_point: i32,
    multipliers: Arc<[f32]>,
    bias: Option<Arc<[f32]>>,
    apart: Arc<Apart>,
    inner: usize,
    output: Arc<QParams>,
}

impl Kernel for StaticLinearApartKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], scratch: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, .. }] = outputs else { return Ok(()) };
        let (sums, values) = elements::view_mut::<f32>(scratch)?.split_at_mut(bytes.len());
        let values = &mut values[..bytes.len()];
        let dequantization = Dequantization {
            multipliers: &self.multipliers,
            bias: self.bias.as_deref(),
            relu: false,
            fused: true,
        };
        self.packed.run_float(self.rows, input(inputs, 0), self.zero_point, &dequantization, sums)?;
        self.apart.apply(self.inner, sums, values)?;
        let qparams = qkernels::QParams::new(self.output.tensor_scale(), self.output.tensor_zero_point());
        quantize_per_tensor::<u8>(values, qparams, 0..=255, bytes)?;
        Ok(())
    }

    fn cost(&self) -> KernelCost {
        packed_cost(self.rows, &self.packed)
    }
}

pub(super) fn packed_cost(rows: usize, packed: &PackedLinear) -> KernelCost {
    KernelCost {
        multiply_accumulates: [packed.in_features(), packed.out_features()]
            .iter()
            .fold(rows as u64, |product, &features| product.saturating_mul(features as u64)),
        weight_bytes: packed.byte_len() as u64,
        kernel: packed.kernel(),
    }
}
