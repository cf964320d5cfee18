//! Linear layers on integers whose scale is found at every run.

use std::sync::Arc;

use qkernels::elements;
use qkernels::linear::{Dequantization, PackedLinear};
use qkernels::quantize::{quantize_per_tensor, range};

use super::behind::{Apart, Record, check_matrix};
use super::quantized::{packed_cost, save_weight};
use super::{Features, NAME};
use crate::network::TensorWriter;
use crate::ops::inputs::{exactly, is_relu_fused};
use crate::ops::kernel::input;
use crate::ops::weights::{WeightInfo, check_bias};
use crate::ops::{Executable, Format, Kernel, KernelCost, Lowering, Output, Planned, TensorSpec};
use crate::tensor::choose_qparams;
use crate::{Backend, QTensor, Result};

/// A linear layer on integers, with floats in and out: the scale of the input follows from its range at every run
/// (NUMERICS section 11).
#[derive(Debug)]
pub(super) struct DynamicLinear {
    features: Features,
    /// Whether a batch norm is in its weight.
    is_folded: bool,
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
    apart: Option<Arc<Apart>>,
}

impl DynamicLinear {
    pub(super) fn new(
        features: Features,
        is_folded: bool,
        apart: Option<Arc<Apart>>,
        info: WeightInfo,
        packed: Arc<PackedLinear>,
        lowering: &Lowering<'_>,
    ) -> Result<Self> {
        check_bias(NAME, info.bias.as_ref(), features.outputs)?;
        let shared = Arc::new(DynamicWeights {
            packed,
            scales: info.qparams.scale.clone(),
            bias: info.bias.as_ref().map(|bias| bias.view().iter().copied().collect()),
            relu: is_relu_fused(NAME, lowering)? && apart.is_none(),
            backend: lowering.backend,
            apart,
        });
        Ok(Self { features, is_folded, info, shared })
    }
}

impl Executable for DynamicLinear {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [x] = exactly(NAME, inputs)?;
        if self.is_folded {
            check_matrix(self.features.inputs, x.shape())?;
        }
        let (rows, shape) = self.features.rows(x.shape())?;
        let (inner, values) = match &self.shared.apart {
            Some(apart) => (apart.inner(&shape)?, rows.saturating_mul(self.features.outputs)),
            None => (0, 0),
        };
        let multipliers = self.shared.scales.len();
        let floats = multipliers.saturating_add(values).saturating_mul(size_of::<f32>());
        let scratch = floats.saturating_add(x.len());
        self.features.plan(x, Format::F32, scratch, |rows| {
            Box::new(DynamicLinearKernel {
                rows,
                multipliers,
                values,
                inner,
                weights: Arc::clone(&self.shared),
            })
        })
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        match &self.shared.apart {
            Some(apart) => apart.save(tensors)?,
            None if self.is_folded => Record::save_folded(tensors)?,
            None => {}
        }
        save_weight(tensors, &self.info, &self.shared.packed)
    }

    fn weight(&self) -> Option<QTensor> {
        self.info.weight(self.shared.packed.unpack())
    }
}

#[derive(Debug)]
struct DynamicLinearKernel {
    rows: usize,
    /// Multipliers at the start of the scratch.
    multipliers: usize,
    /// Values before the batch norm, if it is apart; they follow, and after them the integers of the input.
    values: usize,
    /// Of a channel of the batch norm, how many follow each other.
    inner: usize,
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
        let floats = size_of::<f32>() * (self.multipliers + self.values);
        let (floats, integers) = scratch.split_at_mut(floats.min(scratch.len()));
        let (multipliers, values) = elements::view_mut::<f32>(floats)?.split_at_mut(self.multipliers);
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
        let Some(apart) = &weights.apart else {
            return weights.packed.run_float(self.rows, integers, zero_point, &dequantization, output);
        };
        weights.packed.run_float(self.rows, integers, zero_point, &dequantization, values)?;
        apart.apply(self.inner, values, output)
    }

    fn cost(&self) -> KernelCost {
        packed_cost(self.rows, &self.weights.packed)
    }
}
