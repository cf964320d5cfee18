//! Convolutions in float.

use std::sync::Arc;

use qkernels::elements;
use qkernels::float::{Epilogue, PackedWeight, Weight};
use qkernels::geometry::Conv3dGeometry;

use super::parameters::ConvParameters;
use crate::network::TensorWriter;
use crate::ops::inputs::{exactly, kernel_error_on};
use crate::ops::kernel::input;
use crate::ops::packed_weight::PackedWeightCache;
use crate::ops::weights::save_float;
use crate::ops::{
    Activation, BatchNorm, Executable, Format, Kernel, KernelCost, Lowering, Output, Planned, PlannedKernel,
    Post, TensorSpec,
};
use crate::tensor::{MemoryFormat, Rearrangement};
use crate::{ObjectType, Result, Tensor};

/// Bias, batch norm and activation, in the registers of the kernel, whose channels are made of those of the layer by
/// `of_channels`.
pub(in crate::ops) fn epilogue<const D: usize>(
    channels: usize,
    bias: Option<&Tensor>,
    lowering: &Lowering<'_>,
    of_channels: impl FnOnce(Vec<[f32; 2]>) -> Vec<[f32; 2]>,
) -> Result<Epilogue> {
    let mut affine: Vec<[f32; 2]> = match bias {
        Some(bias) => bias.view().iter().map(|&bias| [1.0, bias]).collect(),
        None => vec![[1.0, 0.0]; channels],
    };
    if let Some(batch_norm) = lowering.batch_norm {
        batch_norm.apply_to(<BatchNorm<D> as ObjectType>::NAME, &mut affine)?;
    }
    let [low, high] = Activation::limits_of(lowering.activation);
    Ok(Epilogue::affine(of_channels(affine)).clamped(low, high))
}

/// A convolution in float.
#[derive(Debug)]
pub(super) struct FloatConv {
    pub(super) parameters: ConvParameters,
    pub(super) weight: Tensor,
    pub(super) bias: Option<Tensor>,
    pub(super) packed_weight: PackedWeightCache,
    pub(super) epilogue: Arc<Epilogue>,
}

impl Executable for FloatConv {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [x] = exactly(self.parameters.name, inputs)?;
        let geometry = self.parameters.geometry(x.shape())?;
        let weight = self.weight.as_slice().unwrap_or_default();
        let packed = self
            .packed_weight
            .get(geometry.images(), weight)
            .map_err(kernel_error_on(self.parameters.name, x.shape()))?;
        let shape = self.parameters.output_shape(&geometry);
        let epilogue = Arc::clone(&self.epilogue);
        let kernel = FloatConvKernel { geometry, weight: self.weight.clone(), packed, epilogue };
        let gathered = if geometry.is_gathered_from_planes() { geometry.images().input_len() } else { 0 };
        let planned = |shape: &[usize]| {
            let output = TensorSpec::new(shape, Format::F32);
            let planned =
                PlannedKernel::new(Box::new(kernel), vec![output]).inputs([MemoryFormat::Contiguous]);
            Planned::Kernel(planned.scratch(gathered.saturating_mul(size_of::<f32>())))
        };
        let [depth, height, width] = geometry.output();
        let (batch, channels) = (geometry.batch, geometry.out_channels);
        if depth == 1 {
            return Ok(planned(&shape));
        }
        // The kernel makes images, one for each depth.
        Ok(Planned::Around {
            inputs: vec![Vec::new()],
            planned: Box::new(planned(&[batch * depth, channels, height, width])),
            output: vec![
                Rearrangement::Reshape(vec![batch, depth, channels, height, width]),
                Rearrangement::Permute(vec![0, 2, 1, 3, 4]),
            ],
            spec: TensorSpec::new(&shape, Format::F32),
        })
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        save_float(tensors, &self.weight, self.bias.as_ref())
    }
}

#[derive(Clone, Debug)]
struct FloatConvKernel {
    geometry: Conv3dGeometry,
    weight: Tensor,
    packed: Option<Arc<PackedWeight>>,
    epilogue: Arc<Epilogue>,
}

impl Kernel for FloatConvKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], scratch: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, .. }] = outputs else { return Ok(()) };
        let weight = match &self.packed {
            Some(packed) => Weight::Packed(packed),
            None => Weight::Whole(self.weight.as_slice().unwrap_or_default()),
        };
        let (mut x, output) = (elements::view(input(inputs, 0))?, elements::view_mut(bytes)?);
        if self.geometry.is_gathered_from_planes() {
            let gathered = elements::view_mut(scratch)?;
            qkernels::float::gather_depths(&self.geometry, x, gathered)?;
            x = gathered;
        }
        qkernels::float::conv2d_into(self.geometry.images(), x, weight, &self.epilogue, output)
    }

    fn cost(&self) -> KernelCost {
        KernelCost {
            multiply_accumulates: self.geometry.images().multiply_accumulates(),
            weight_bytes: (size_of::<f32>() * self.weight.len()) as u64,
            kernel: String::new(),
        }
    }

    fn with_post(&self, post: &Post) -> Option<Box<dyn Kernel>> {
        let Post::ClampFloat([low, high]) = *post else { return None };
        // A ReLU before would be lost.
        let is_unlimited = self.epilogue.limits() == [f32::NEG_INFINITY, f32::INFINITY];
        let epilogue = Arc::new(is_unlimited.then(|| (*self.epilogue).clone())?.clamped(low, high));
        Some(Box::new(Self { epilogue, ..self.clone() }))
    }
}
