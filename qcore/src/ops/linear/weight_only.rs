//! Linear layers whose weights alone are integers: floats in and out.

use std::sync::Arc;

use qkernels::elements;
use qkernels::weight_only::{WeightBits, WeightOnlyLinear};
use serde::{Deserialize, Serialize};

use super::behind::{Record, check_matrix};
use super::{Features, NAME};
use crate::network::TensorWriter;
use crate::ops::init::fitting;
use crate::ops::inputs::{exactly, kernel_error};
use crate::ops::kernel::input;
use crate::ops::weights::{check_bias, row_major_integers};
use crate::ops::{Activation, Executable, Format, Kernel, KernelCost, Lowering, Output, Planned, TensorSpec};
use crate::tensor::Rearrangement;
use crate::{Error, QParams, QTensor, Result, Tensor};

/// A linear layer with a scale for each group of neighbouring weights in a row.
#[derive(Debug)]
pub(super) struct GroupedLinear {
    features: Features,
    /// Whether a batch norm is in its weight.
    is_folded: bool,
    weight: Arc<WeightOnlyLinear>,
    /// `[outputs, groups]`
    scales: Tensor,
    bias: Option<Tensor>,
    limits: [f32; 2],
}

/// What a file says of a packed weight.
#[derive(Serialize, Deserialize)]
struct Packing {
    bits: u32,
    group_size: usize,
}

impl GroupedLinear {
    pub(super) fn new(
        features: Features,
        is_folded: bool,
        weight: &Tensor,
        bias: Option<&Tensor>,
        lowering: &Lowering<'_>,
    ) -> Result<Self> {
        let limits = Activation::limits_of(lowering.activation);
        let (weight, scales, bias) = match lowering.stored() {
            None => {
                if let Some((index, value)) = bias.and_then(Tensor::first_non_finite) {
                    return Err(Error::NotFinite { what: "the bias".into(), value, index });
                }
                let weight = fitting(NAME, "weight", weight.clone(), &features.weight_shape())?;
                let (weight, scales) = quantized(features, weight, lowering)?;
                (weight, scales, bias.cloned())
            }
            Some(stored) => {
                let Packing { bits, group_size } = stored.record("weight")?;
                let (_, bytes) = stored.get_bytes("weight")?;
                let scales = stored.get("weight_scale")?.contiguous();
                let (bits, values) = (width(bits), scales.as_slice().unwrap_or_default());
                let shape = features.weight_shape();
                let weight = WeightOnlyLinear::from_packed(bits, bytes, values, shape, group_size);
                let weight = weight.map_err(|error| stored.error("weight", &error.to_string()))?;
                (weight, scales, stored.find("bias")?)
            }
        };
        check_bias(NAME, bias.as_ref(), features.outputs)?;
        let bias = bias.map(Tensor::contiguous);
        Ok(Self { features, is_folded, weight: Arc::new(weight), scales, bias, limits })
    }
}

/// The kernel's width for weights of so many bits.
fn width(bits: u32) -> WeightBits {
    if bits <= 4 { WeightBits::Four } else { WeightBits::Eight }
}

/// The weight in integers, with the scales `[outputs, groups]`.
fn quantized(
    features: Features,
    weight: Tensor,
    lowering: &Lowering<'_>,
) -> Result<(WeightOnlyLinear, Tensor)> {
    let Features { outputs, inputs } = features;
    let qparams = lowering.weight_qparams(&weight)?;
    if qparams.zero_point.iter().any(|&zero_point| zero_point != 0) {
        let message = format!("weight-only {NAME} with zero points: its weight observer must be symmetric");
        return Err(Error::Unsupported(message));
    }
    let scales = match qparams.axis {
        None => vec![qparams.tensor_scale(); outputs],
        Some(0) if qparams.scale.len().is_multiple_of(outputs) => qparams.scale.clone(),
        Some(_) => {
            let message = format!("weight-only {NAME} with weight scales along another axis than 0");
            return Err(Error::Unsupported(message));
        }
    };
    let groups = scales.len() / outputs;
    let group_size = inputs / groups.max(1);
    let rows = Rearrangement::Reshape(vec![outputs * groups, group_size]);
    let rows = Tensor::from(rows.apply(NAME, weight.contiguous().into_shared())?);
    let integers = QTensor::quantize(
        &rows,
        &QParams {
            axis: Some(0),
            scale: scales.clone(),
            zero_point: vec![0; scales.len()],
            ..qparams.clone()
        },
    )?;
    let bits =
        if qparams.quant_min >= -8 && qparams.quant_max <= 7 { WeightBits::Four } else { WeightBits::Eight };
    let integers = row_major_integers(NAME, &integers)?;
    let packed = WeightOnlyLinear::new(bits, &integers, &scales, features.weight_shape(), group_size);
    Ok((packed.map_err(kernel_error(NAME))?, Tensor::from_vec(&[outputs, groups], scales)?))
}

impl Executable for GroupedLinear {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [x] = exactly(NAME, inputs)?;
        if self.is_folded {
            check_matrix(self.features.inputs, x.shape())?;
        }
        let (rows, _) = self.features.rows(x.shape())?;
        self.features.plan(x, Format::F32, self.weight.scratch(rows), |rows| {
            let (weight, bias) = (Arc::clone(&self.weight), self.bias.clone());
            Box::new(GroupedLinearKernel { rows, weight, bias, limits: self.limits })
        })
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        if self.is_folded {
            Record::save_folded(tensors)?;
        }
        let bits = match self.weight.bits() {
            WeightBits::Four => 4,
            WeightBits::Eight => 8,
        };
        tensors.put_record("weight", &Packing { bits, group_size: self.weight.group_size() })?;
        let bytes = self.weight.as_bytes();
        tensors.put_bytes("weight", &[bytes.len()], bytes);
        tensors.put("weight_scale", &self.scales);
        if let Some(bias) = &self.bias {
            tensors.put("bias", bias);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct GroupedLinearKernel {
    rows: usize,
    weight: Arc<WeightOnlyLinear>,
    bias: Option<Tensor>,
    limits: [f32; 2],
}

impl Kernel for GroupedLinearKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], scratch: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, .. }] = outputs else { return Ok(()) };
        let (x, output) = (elements::view::<f32>(input(inputs, 0))?, elements::view_mut(bytes)?);
        let bias = self.bias.as_ref().and_then(Tensor::as_slice);
        self.weight.run(self.rows, x, bias, self.limits, scratch, output)
    }

    fn cost(&self) -> KernelCost {
        let products = self.weight.in_features().saturating_mul(self.weight.out_features());
        KernelCost {
            multiply_accumulates: (self.rows as u64).saturating_mul(products as u64),
            weight_bytes: self.weight.as_bytes().len() as u64,
            kernel: String::new(),
        }
    }
}
