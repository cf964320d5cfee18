//! Linear layers in float.

use std::sync::Arc;

use qkernels::elements;
use qkernels::float::Epilogue;

use super::behind::Apart;
use super::{Features, NAME};
use crate::network::TensorWriter;
use crate::ops::init::fitting;
use crate::ops::inputs::{exactly, kernel_error};
use crate::ops::kernel::input;
use crate::ops::weights::{check_bias, save_float};
use crate::ops::{Activation, Executable, Format, Kernel, KernelCost, Output, Planned, TensorSpec};
use crate::{Result, Tensor};

/// A linear layer in float.
#[derive(Debug)]
pub(super) struct FloatLinear {
    pub(super) features: Features,
    pub(super) weight: Tensor,
    pub(super) bias: Option<Tensor>,
    pub(super) epilogue: Arc<Epilogue>,
    /// The layer and the batch norm for inputs of other than two dimensions.
    pub(super) apart: Option<(Box<FloatLinear>, Arc<Apart>)>,
}

impl FloatLinear {
    pub(super) fn new(
        features: Features,
        weight: Tensor,
        bias: Option<Tensor>,
        activation: Option<Activation>,
    ) -> Result<Self> {
        let weight = fitting(NAME, "weight", weight, &features.weight_shape())?;
        check_bias(NAME, bias.as_ref(), features.outputs)?;
        let bias = bias.map(Tensor::contiguous);
        let epilogue = Epilogue::bias(features.outputs, bias.as_ref().and_then(Tensor::as_slice))
            .map_err(kernel_error(NAME))?;
        let [low, high] = Activation::limits_of(activation);
        let epilogue = Arc::new(epilogue.clamped(low, high));
        Ok(Self { features, weight, bias, epilogue, apart: None })
    }
}

impl FloatLinear {
    fn kernel(&self, rows: usize) -> FloatLinearKernel {
        FloatLinearKernel { rows, weight: self.weight.clone(), epilogue: Arc::clone(&self.epilogue) }
    }
}

impl Executable for FloatLinear {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [x] = exactly(NAME, inputs)?;
        match &self.apart {
            Some((linear, apart)) if x.shape().len() != 2 => {
                let (rows, shape) = self.features.rows(x.shape())?;
                let (inner, values) = (apart.inner(&shape)?, rows.saturating_mul(self.features.outputs));
                self.features.plan(x, Format::F32, values.saturating_mul(size_of::<f32>()), |rows| {
                    let (linear, apart) = (linear.kernel(rows), Arc::clone(apart));
                    Box::new(FloatLinearApartKernel { linear, apart, inner })
                })
            }
            _ => self.features.plan(x, Format::F32, 0, |rows| Box::new(self.kernel(rows))),
        }
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        match &self.apart {
            Some((linear, apart)) => {
                linear.save(tensors)?;
                apart.save(tensors)
            }
            None => save_float(tensors, &self.weight, self.bias.as_ref()),
        }
    }
}

/// A linear layer in float into scratch memory, and the batch norm from there.
#[derive(Debug)]
struct FloatLinearApartKernel {
    linear: FloatLinearKernel,
    apart: Arc<Apart>,
    inner: usize,
}

impl Kernel for FloatLinearApartKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], scratch: &mut [u8]) -> qkernels::Result<()> {
        let [output] = outputs else { return Ok(()) };
        let values = &mut scratch[..output.bytes.len()];
        self.linear.run(
            inputs,
            &mut [Output { bytes: values, pixel_stride: output.pixel_stride }],
            &mut [],
        )?;
        self.apart.apply(self.inner, elements::view(values)?, elements::view_mut(output.bytes)?)
    }

    fn cost(&self) -> KernelCost {
        self.linear.cost()
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
            multiply_accumulates: (self.rows as u64).saturating_mul(self.weight.len() as u64),
            weight_bytes: (size_of::<f32>() * self.weight.len()) as u64,
            kernel: String::new(),
        }
    }
}
