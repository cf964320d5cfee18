//! Convolutions on integers with calibrated scales.

use std::sync::Arc;

use qkernels::Residual;
use qkernels::conv::PackedConv3d;
use qkernels::elementwise::BinaryQParams;
use qkernels::geometry::Conv3dGeometry;
use qkernels::requantize::Requantization;

use super::parameters::ConvParameters;
use crate::network::TensorWriter;
use crate::ops::inputs::{check_qparams, exactly, kernel_error};
use crate::ops::kernel::input;
use crate::ops::weights::{WeightInfo, WeightIntegers, row_major_integers};
use crate::ops::{
    Executable, Format, Kernel, KernelCost, Lowering, Output, Planned, PlannedKernel, Post, TensorSpec,
};
use crate::tensor::MemoryFormat;
use crate::{Error, QParams, QTensor, Result};

/// A convolution on integers: `quint8` inputs, `qint8` weight.
#[derive(Debug)]
pub(super) struct QuantizedConv {
    parameters: ConvParameters,
    info: WeightInfo,
    packed: Arc<PackedConv3d>,
    /// The weight in PyTorch's order, if the packed one does not give it back.
    plain: Option<QTensor>,
    input: QParams,
    output: Format,
    requantization: Arc<Requantization>,
}

impl QuantizedConv {
    pub(super) fn new(
        parameters: ConvParameters,
        geometry: &Conv3dGeometry,
        info: WeightInfo,
        integers: WeightIntegers,
        lowering: &Lowering<'_>,
    ) -> Result<Self> {
        let (name, zero_points) = (parameters.name, &info.qparams.zero_point);
        let (packed, plain) = match integers {
            WeightIntegers::Packed(packed) => {
                (PackedConv3d::from_packed(packed, zero_points, geometry), None)
            }
            WeightIntegers::Plain(weight) => {
                let packed = PackedConv3d::new(&row_major_integers(name, &weight)?, zero_points, geometry);
                (packed, Some(weight))
            }
        };
        let packed = packed.map_err(kernel_error(name))?;
        let plain = plain.filter(|_| packed.packed().is_none());
        let requantization = Arc::new(info.requantization(name, geometry.out_channels, lowering)?);
        let [input] = lowering.input_qparams(name)?;
        let output = Format::of(Some(lowering.output_qparams(name)?));
        let packed = Arc::new(packed);
        Ok(Self { parameters, info, packed, plain, input: input.clone(), output, requantization })
    }
}

impl Executable for QuantizedConv {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let name = self.parameters.name;
        let [x] = exactly(name, inputs)?;
        check_qparams(name, &self.input, x)?;
        let geometry = self.parameters.geometry(x.shape())?;
        let shape = self.parameters.output_shape(&geometry);
        let output = TensorSpec::in_format(&shape, MemoryFormat::ChannelsLast, self.output.clone());
        let kernel = QuantizedConvKernel {
            geometry,
            packed: Arc::clone(&self.packed),
            zero_point: self.input.tensor_zero_point(),
            requantization: Arc::clone(&self.requantization),
            addition: None,
        };
        let output = output.in_buffer(MemoryFormat::ChannelsLast);
        let planned = PlannedKernel::new(Box::new(kernel), vec![output]).scratch(geometry.gathered_len());
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
        self.plain.clone().or_else(|| self.info.weight(self.packed.unpack()?))
    }
}

/// A convolution of inputs of one size, perhaps followed by an addition.
#[derive(Clone, Debug)]
struct QuantizedConvKernel {
    geometry: Conv3dGeometry,
    packed: Arc<PackedConv3d>,
    zero_point: i32,
    requantization: Arc<Requantization>,
    addition: Option<BinaryQParams>,
}

impl Kernel for QuantizedConvKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], scratch: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, pixel_stride }] = outputs else { return Ok(()) };
        let residual = self.addition.map(|qparams| Residual { values: input(inputs, 1), qparams });
        let (zero_point, requantization) = (self.zero_point, &self.requantization);
        let (geometry, x) = (&self.geometry, input(inputs, 0));
        let packed = &self.packed;
        packed.run_into(geometry, x, zero_point, requantization, residual, bytes, *pixel_stride, scratch)
    }

    fn takes_pixel_stride(&self) -> bool {
        true
    }

    fn cost(&self) -> KernelCost {
        KernelCost {
            multiply_accumulates: self.geometry.images().multiply_accumulates(),
            weight_bytes: self.packed.byte_len() as u64,
            kernel: self.packed.kernel(&self.geometry),
        }
    }

    fn with_post(&self, post: &Post) -> Option<Box<dyn Kernel>> {
        if self.addition.is_some() {
            return None;
        }
        match *post {
            Post::Clamp([low, high]) => {
                let requantization = Arc::new(self.requantization.clamped(low, high).ok()?);
                Some(Box::new(Self { requantization, ..self.clone() }))
            }
            Post::Add(qparams) => Some(Box::new(Self { addition: Some(qparams), ..self.clone() })),
            Post::ClampFloat(_) => None,
        }
    }
}
