//! Transposed convolutions in float.

use std::sync::Arc;

use qkernels::elements;
use qkernels::float::{self, Epilogue, PackedWeight, Weight};
use qkernels::geometry::ConvTransposeGeometry;

use super::parameters::ConvTransposeParameters;
use crate::network::TensorWriter;
use crate::ops::conv::epilogue;
use crate::ops::inputs::{exactly, kernel_error, kernel_error_on};
use crate::ops::kernel::input;
use crate::ops::packed_weight::PackedWeightCache;
use crate::ops::weights::save_float;
use crate::ops::{
    Executable, Format, Kernel, KernelCost, Lowering, Output, Planned, PlannedKernel, TensorSpec,
};
use crate::tensor::MemoryFormat;
use crate::{Result, Tensor};

/// A transposed convolution in float.
#[derive(Debug)]
pub(super) struct FloatConvTranspose {
    parameters: ConvTransposeParameters,
    weight: Tensor,
    bias: Option<Tensor>,
    /// The weight of the convolution that makes all phases.
    of_phases: Arc<Vec<f32>>,
    packed_weight: PackedWeightCache,
    epilogue: Arc<Epilogue>,
}

impl FloatConvTranspose {
    /// For inputs of any size, of which `geometry` is one.
    pub(super) fn new<const D: usize>(
        parameters: ConvTransposeParameters,
        geometry: &ConvTransposeGeometry,
        weight: Tensor,
        bias: Option<Tensor>,
        lowering: &Lowering<'_>,
    ) -> Result<Self> {
        let weight = weight.contiguous();
        let of_phases = geometry
            .conv_weight(weight.as_slice().unwrap_or_default(), 0.0)
            .map_err(kernel_error(parameters.name))?;
        let of_channels = |affine: Vec<[f32; 2]>| geometry.for_phases(&affine);
        let epilogue = epilogue::<D>(geometry.out_channels, bias.as_ref(), lowering, of_channels)?;
        Ok(Self {
            parameters,
            weight,
            bias,
            of_phases: Arc::new(of_phases),
            packed_weight: PackedWeightCache::default(),
            epilogue: Arc::new(epilogue),
        })
    }
}

impl Executable for FloatConvTranspose {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [x] = exactly(self.parameters.name, inputs)?;
        let geometry = self.parameters.geometry(x.shape())?;
        let images = geometry.conv().images();
        let packed = self
            .packed_weight
            .get(images, &self.of_phases)
            .map_err(kernel_error_on(self.parameters.name, x.shape()))?;
        let output = TensorSpec::new(&self.parameters.output_shape(&geometry), Format::F32);
        let (weight, epilogue) = (Arc::clone(&self.of_phases), Arc::clone(&self.epilogue));
        let kernel = FloatConvTransposeKernel { geometry, weight, packed, epilogue };
        let scratch = images.output_len().saturating_add(gathered_len(&geometry));
        let planned = PlannedKernel::new(Box::new(kernel), vec![output]);
        let planned = planned.scratch(scratch.saturating_mul(size_of::<f32>()));
        Ok(Planned::Kernel(planned.inputs([MemoryFormat::Contiguous])))
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        save_float(tensors, &self.weight, self.bias.as_ref())
    }
}

fn gathered_len(geometry: &ConvTransposeGeometry) -> usize {
    let conv = geometry.conv();
    if conv.is_gathered_from_planes() { conv.images().input_len() } else { 0 }
}

#[derive(Clone, Debug)]
struct FloatConvTransposeKernel {
    geometry: ConvTransposeGeometry,
    weight: Arc<Vec<f32>>,
    packed: Option<Arc<PackedWeight>>,
    epilogue: Arc<Epilogue>,
}

impl Kernel for FloatConvTransposeKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], scratch: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, .. }] = outputs else { return Ok(()) };
        let weight = match &self.packed {
            Some(packed) => Weight::Packed(packed),
            None => Weight::Whole(&self.weight),
        };
        let conv = self.geometry.conv();
        let scratch = elements::view_mut(scratch)?;
        let (gathered, phases) = scratch.split_at_mut(gathered_len(&self.geometry).min(scratch.len()));
        let mut x = elements::view(input(inputs, 0))?;
        if conv.is_gathered_from_planes() {
            float::gather_depths(conv, x, gathered)?;
            x = gathered;
        }
        float::conv2d_into(conv.images(), x, weight, &self.epilogue, phases)?;
        float::place_phases(&self.geometry, phases, elements::view_mut(bytes)?)
    }

    fn cost(&self) -> KernelCost {
        KernelCost {
            multiply_accumulates: self.geometry.conv().images().multiply_accumulates(),
            weight_bytes: (size_of::<f32>() * self.weight.len()) as u64,
            kernel: String::new(),
        }
    }
}
