//! Linear layers on integers whose scale is found at every run.

use std::sync::Arc;

use qkernels::elements;
use qkernels::linear::PackedLinear;

use super::behind::{Apart, Record, check_matrix};
use super::quantized::packed_cost;
use super::{Features, NAME};
use crate::network::TensorWriter;
use crate::ops::inputs::{exactly, is_relu_fused};
use crate::ops::kernel::input;
use crate::ops::product::DynamicProduct;
use crate::ops::weights::{Names, WeightInfo};
use crate::ops::{Executable, Format, Kernel, KernelCost, Lowering, Output, Planned, TensorSpec};
use crate::{QTensor, Result};

/// A linear layer on integers, with floats in and out: the scale of the input follows from its range at every run
/// (NUMERICS section 11).
#[derive(Debug)]
pub(super) struct DynamicLinear {
    features: Features,
    /// Whether a batch norm is in its weight.
    is_folded: bool,
    product: Arc<DynamicProduct>,
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
        let relu = is_relu_fused(NAME, lowering)? && apart.is_none();
        let product = Arc::new(DynamicProduct::new(NAME, info, packed, relu, lowering.backend)?);
        Ok(Self { features, is_folded, product, apart })
    }
}

impl Executable for DynamicLinear {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [x] = exactly(NAME, inputs)?;
        if self.is_folded {
            check_matrix(self.features.inputs, x.shape())?;
        }
        let (rows, shape) = self.features.rows(x.shape())?;
        let (inner, values) = match &self.apart {
            Some(apart) => (apart.inner(&shape)?, rows.saturating_mul(self.features.outputs)),
            None => (0, 0),
        };
        let scratch = values.saturating_mul(size_of::<f32>()).saturating_add(self.product.scratch(rows));
        self.features.plan(x, Format::F32, scratch, |rows| {
            let (product, apart) = (Arc::clone(&self.product), self.apart.clone());
            Box::new(DynamicLinearKernel { rows, values, inner, product, apart })
        })
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        match &self.apart {
            Some(apart) => apart.save(tensors)?,
            None if self.is_folded => Record::save_folded(tensors)?,
            None => {}
        }
        self.product.info.save_matrix(NAME, Names::USUAL, tensors, &self.product.packed)
    }

    fn weight(&self) -> Option<QTensor> {
        self.product.weight()
    }
}

#[derive(Debug)]
struct DynamicLinearKernel {
    rows: usize,
    /// Values before the batch norm, if it is apart, at the start of the scratch.
    values: usize,
    /// Of a channel of the batch norm, how many follow each other.
    inner: usize,
    product: Arc<DynamicProduct>,
    apart: Option<Arc<Apart>>,
}

impl Kernel for DynamicLinearKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], scratch: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, .. }] = outputs else { return Ok(()) };
        let (x, output) = (elements::view::<f32>(input(inputs, 0))?, elements::view_mut(bytes)?);
        let values = size_of::<f32>() * self.values;
        let (values, scratch) = scratch.split_at_mut(values.min(scratch.len()));
        let Some(apart) = &self.apart else {
            return self.product.run(self.rows, x, scratch, output);
        };
        let values = elements::view_mut::<f32>(values)?;
        self.product.run(self.rows, x, scratch, values)?;
        apart.apply(self.inner, values, output)
    }

    fn cost(&self) -> KernelCost {
        packed_cost(self.rows, &self.product.packed)
    }
}
