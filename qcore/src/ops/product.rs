//! `Product`: `x` times a transposed weight plus a bias, from floats to floats, in the precision of a lowering.

use std::sync::Arc;

use qkernels::elements;
use qkernels::float::Epilogue;
use qkernels::linear::{Dequantization, PackedLinear};
use qkernels::quantize::{quantize_per_tensor, range};

use super::init::fitting;
use super::inputs::kernel_error;
use super::weights::{Names, WeightInfo, check_bias, packed_matrix, rounded_to_half};
use super::{Lowering, Precision};
use crate::network::TensorWriter;
use crate::tensor::choose_qparams;
use crate::{Backend, QTensor, Result, Tensor};

/// A product with a weight of `[outputs, inputs]`.
#[derive(Debug)]
pub(super) enum Product {
    /// In f32.
    Float(FloatProduct),
    /// On integers.
    Dynamic(DynamicProduct),
}

impl Product {
    /// The product with `weight` and `bias`, or with those that a file has under `names`.
    pub(super) fn lower(
        names: Names<'_>,
        operation: &'static str,
        weight: &Tensor,
        bias: Option<&Tensor>,
        shape: [usize; 2],
        lowering: &Lowering<'_>,
    ) -> Result<Self> {
        if let Precision::Float | Precision::Half = lowering.precision {
            let weight = lowering.tensor(names.weight, weight)?;
            let weight = if lowering.precision == Precision::Half { rounded_to_half(weight) } else { weight };
            let bias = match lowering.stored() {
                Some(stored) => stored.find(names.bias)?,
                None => bias.cloned(),
            };
            return FloatProduct::new(operation, weight, bias, shape).map(Self::Float);
        }
        let (info, integers) = WeightInfo::quantized_as(names, operation, weight, bias, &shape, lowering)?;
        let packed = packed_matrix(operation, shape, &info, integers)?;
        DynamicProduct::new(operation, info, packed, false, lowering.backend).map(Self::Dynamic)
    }

    /// Bytes of memory for a run with this many rows.
    pub(super) fn scratch(&self, rows: usize) -> usize {
        match self {
            Self::Float(_) => 0,
            Self::Dynamic(product) => product.scratch(rows),
        }
    }

    /// `x` `[rows, inputs]` to `output` `[rows, outputs]`.
    pub(super) fn run(
        &self,
        rows: usize,
        x: &[f32],
        scratch: &mut [u8],
        output: &mut [f32],
    ) -> qkernels::Result<()> {
        match self {
            Self::Float(product) => {
                let weight = product.weight.as_slice().unwrap_or_default();
                qkernels::float::linear(rows, x, weight, &product.epilogue, output)
            }
            Self::Dynamic(product) => product.run(rows, x, scratch, output),
        }
    }

    pub(super) fn save(
        &self,
        operation: &'static str,
        names: Names<'_>,
        tensors: &mut TensorWriter<'_>,
    ) -> Result<()> {
        match self {
            Self::Float(FloatProduct { weight, bias, .. }) => {
                tensors.put(names.weight, weight);
                if let Some(bias) = bias {
                    tensors.put(names.bias, bias);
                }
                Ok(())
            }
            Self::Dynamic(product) => product.info.save_matrix(operation, names, tensors, &product.packed),
        }
    }

    /// The quantized weight, if it is one.
    pub(super) fn weight(&self) -> Option<QTensor> {
        match self {
            Self::Float(_) => None,
            Self::Dynamic(product) => product.weight(),
        }
    }
}

/// A product in f32.
#[derive(Debug)]
pub(super) struct FloatProduct {
    weight: Tensor,
    bias: Option<Tensor>,
    epilogue: Epilogue,
}

impl FloatProduct {
    fn new(operation: &'static str, weight: Tensor, bias: Option<Tensor>, shape: [usize; 2]) -> Result<Self> {
        let weight = fitting(operation, "weight", weight, &shape)?.contiguous();
        check_bias(operation, bias.as_ref(), shape[0])?;
        let bias = bias.map(Tensor::contiguous);
        let epilogue = Epilogue::bias(shape[0], bias.as_ref().and_then(Tensor::as_slice))
            .map_err(kernel_error(operation))?;
        Ok(Self { weight, bias, epilogue })
    }
}

/// A product on integers, whose input has its scale from its range at every run (NUMERICS section 11).
#[derive(Debug)]
pub(super) struct DynamicProduct {
    pub(super) info: WeightInfo,
    pub(super) packed: Arc<PackedLinear>,
    bias: Option<Vec<f32>>,
    relu: bool,
    backend: Backend,
}

impl DynamicProduct {
    pub(super) fn new(
        operation: &'static str,
        info: WeightInfo,
        packed: Arc<PackedLinear>,
        relu: bool,
        backend: Backend,
    ) -> Result<Self> {
        check_bias(operation, info.bias.as_ref(), packed.out_features())?;
        let bias = info.bias.as_ref().map(|bias| bias.view().iter().copied().collect());
        Ok(Self { info, packed, bias, relu, backend })
    }

    pub(super) fn weight(&self) -> Option<QTensor> {
        self.info.weight(self.packed.unpack())
    }

    /// Multipliers of `size_of::<f32>()`, and the integers of the input.
    pub(super) fn scratch(&self, rows: usize) -> usize {
        let multipliers = self.info.qparams.scale.len().saturating_mul(size_of::<f32>());
        rows.saturating_mul(self.packed.in_features()).saturating_add(multipliers)
    }

    pub(super) fn run(
        &self,
        rows: usize,
        x: &[f32],
        scratch: &mut [u8],
        output: &mut [f32],
    ) -> qkernels::Result<()> {
        let Some((min, max)) = range(x) else { return Ok(()) };
        let (low, high) = quant_range(self.backend);
        let (scale, zero_point) = choose_qparams(min, max, (low, high), false);
        let scales = &self.info.qparams.scale;
        let (multipliers, integers) = scratch.split_at_mut(size_of::<f32>() * scales.len());
        let multipliers = elements::view_mut::<f32>(multipliers)?;
        for (multiplier, weight_scale) in multipliers.iter_mut().zip(scales) {
            *multiplier = scale * weight_scale;
        }
        let integers = &mut integers[..x.len()];
        quantize_per_tensor::<u8>(x, qkernels::QParams::new(scale, zero_point), low..=high, integers)?;
        let dequantization = Dequantization {
            multipliers,
            bias: self.bias.as_deref(),
            relu: self.relu,
            fused: self.backend != Backend::Qnnpack,
        };
        self.packed.run_float(rows, integers, zero_point, &dequantization, output)
    }
}

/// PyTorch's linear and recurrent modules reduce the range on the engines whose kernels may saturate; qnnpack ignores
/// that, and so do the native kernels, which never saturate.
pub(super) fn quant_range(backend: Backend) -> (i32, i32) {
    match backend {
        Backend::Fbgemm | Backend::X86 | Backend::Onednn => (0, 127),
        Backend::Qnnpack | Backend::Native => (0, 255),
    }
}
