//! Transposed convolutions on integers with calibrated scales.

use std::sync::Arc;

use qkernels::conv::PackedConvTranspose;
use qkernels::geometry::ConvTransposeGeometry;
use qkernels::requantize::Requantization;

use super::parameters::ConvTransposeParameters;
use crate::network::TensorWriter;
use crate::ops::inputs::{check_qparams, exactly, kernel_error};
use crate::ops::kernel::input;
use crate::ops::weights::{WeightInfo, WeightIntegers, check_bias, row_major_integers};
use crate::ops::{
    Executable, Format, Kernel, KernelCost, Lowering, Output, Planned, PlannedKernel, Post, TensorSpec,
};
use crate::tensor::MemoryFormat;
use crate::{Error, QParams, QTensor, Result, Tensor};

/// A transposed convolution on integers: `quint8` inputs, `qint8` weight of one scale.
#[derive(Debug)]
pub(super) struct QuantizedConvTranspose {
    parameters: ConvTransposeParameters,
    geometry: ConvTransposeGeometry,
    info: WeightInfo,
    packed: Arc<PackedConvTranspose>,
    /// The weight in PyTorch's order, if the packed one does not give it back.
    plain: Option<QTensor>,
    input: QParams,
    output: Format,
    requantization: Arc<Requantization>,
}

impl QuantizedConvTranspose {
    /// For inputs of any size, of which `geometry` is one.
    pub(super) fn new(
        parameters: ConvTransposeParameters,
        geometry: &ConvTransposeGeometry,
        info: WeightInfo,
        integers: WeightIntegers,
        lowering: &Lowering<'_>,
    ) -> Result<Self> {
        let name = parameters.name;
        if info.qparams.is_per_channel() {
            return Err(Error::Unsupported(format!("{name} with a scale for each channel of its weight")));
        }
        let zero_point = info.qparams.tensor_zero_point();
        let (packed, plain) = match integers {
            WeightIntegers::Packed(packed) => {
                (PackedConvTranspose::from_packed(packed, zero_point, geometry), None)
            }
            WeightIntegers::Plain(weight) => {
                let packed =
                    PackedConvTranspose::new(&row_major_integers(name, &weight)?, zero_point, geometry);
                (packed, Some(weight))
            }
        };
        let packed = packed.map_err(kernel_error(name))?;
        let plain = plain.filter(|_| packed.packed().is_none());
        check_bias(name, info.bias.as_ref(), geometry.out_channels)?;
        let channels = geometry.conv().out_channels;
        let for_phases = |bias: &Tensor| {
            let bias: Vec<f32> = bias.view().iter().copied().collect();
            Tensor::from_vec(&[channels], geometry.for_phases(&bias))
        };
        let bias = info.bias.as_ref().map(for_phases).transpose()?;
        let requantization = WeightInfo { bias, ..info.clone() }.requantization(name, channels, lowering)?;
        let [input] = lowering.input_qparams(name)?;
        Ok(Self {
            parameters,
            geometry: *geometry,
            info,
            packed: Arc::new(packed),
            plain,
            input: input.clone(),
            output: Format::of(Some(lowering.output_qparams(name)?)),
            requantization: Arc::new(requantization),
        })
    }
}

impl Executable for QuantizedConvTranspose {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let name = self.parameters.name;
        let [x] = exactly(name, inputs)?;
        check_qparams(name, &self.input, x)?;
        let geometry = self.parameters.geometry(x.shape())?;
        let shape = self.parameters.output_shape(&geometry);
        let output = TensorSpec::in_format(&shape, MemoryFormat::ChannelsLast, self.output.clone());
        let kernel = QuantizedConvTransposeKernel {
            geometry,
            packed: Arc::clone(&self.packed),
            zero_point: self.input.tensor_zero_point(),
            requantization: Arc::clone(&self.requantization),
        };
        let output = output.in_buffer(MemoryFormat::ChannelsLast);
        let planned = PlannedKernel::new(Box::new(kernel), vec![output]);
        let planned = planned.scratch(PackedConvTranspose::scratch_len(&geometry));
        Ok(Planned::Kernel(planned.inputs([MemoryFormat::ChannelsLast])))
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        match (&self.plain, self.packed.packed()) {
            (None, Some(parts)) => self.info.save_packed(tensors, parts),
            (Some(plain), _) => self.info.save_plain(tensors, plain),
            (None, None) => {
                Err(Error::Unsupported(format!("a weight of {} that is not there", self.parameters.name)))
            }
        }
    }

    fn weight(&self) -> Option<QTensor> {
        self.plain.clone().or_else(|| self.info.weight(self.packed.unpack(&self.geometry)?))
    }
}

/// A transposed convolution of inputs of one size.
#[derive(Clone, Debug)]
struct QuantizedConvTransposeKernel {
    geometry: ConvTransposeGeometry,
    packed: Arc<PackedConvTranspose>,
    zero_point: i32,
    requantization: Arc<Requantization>,
}

impl Kernel for QuantizedConvTransposeKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], scratch: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, pixel_stride }] = outputs else { return Ok(()) };
        let (geometry, requantization) = (&self.geometry, &self.requantization);
        let (x, packed) = (input(inputs, 0), &self.packed);
        packed.run_into(geometry, x, self.zero_point, requantization, bytes, *pixel_stride, scratch)
    }

    fn takes_pixel_stride(&self) -> bool {
        true
    }

    fn cost(&self) -> KernelCost {
        KernelCost {
            multiply_accumulates: self.geometry.conv().images().multiply_accumulates(),
            weight_bytes: self.packed.byte_len() as u64,
            kernel: self.packed.kernel(&self.geometry),
        }
    }

    fn with_post(&self, post: &Post) -> Option<Box<dyn Kernel>> {
        let Post::Clamp([low, high]) = *post else { return None };
        let requantization = Arc::new(self.requantization.clamped(low, high).ok()?);
        Some(Box::new(Self { requantization, ..self.clone() }))
    }
}
