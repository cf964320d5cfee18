//! The batch norm behind a linear layer.
//!
//! The features of a linear layer are the last axis, a batch norm is of axis 1: in `[N, C]` that is the same axis and the
//! two are one layer, in `[N, C, L]` it is another one, and the batch norm runs apart, in float, before the output is
//! quantized.

use std::sync::Arc;

use qkernels::float::affine_into;
use serde::{Deserialize, Serialize};

use crate::network::{StoredTensors, TensorWriter};
use crate::ops::batch_norm::extents;
use crate::ops::{Activation, BatchNormParameters, Format, TensorSpec};
use crate::{Error, Result, Tensor};

const NAME: &str = "BatchNorm1d";

/// A linear layer as it was before a batch norm was folded into it, and that batch norm.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unfolded {
    pub(super) weight: Tensor,
    pub(super) bias: Option<Tensor>,
    pub(super) batch_norm: BatchNormParameters,
}

/// What became of the batch norm behind a linear layer, in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    Folded,
    Apart { eps: f64, is_affine: bool },
}

impl Record {
    const NAME: &str = "batch_norm";

    /// The record of a layer; `None` of one without a batch norm.
    pub(super) fn of_file(stored: &StoredTensors<'_>) -> Result<Option<Self>> {
        stored.find_record(Self::NAME)
    }

    /// Writes the record of a layer whose weights have the batch norm in them.
    pub(super) fn save_folded(tensors: &mut TensorWriter<'_>) -> Result<()> {
        tensors.put_record(Self::NAME, &Self::Folded)
    }
}

/// A batch norm that runs apart, and the activation behind it.
#[derive(Debug)]
pub(super) struct Apart {
    parameters: BatchNormParameters,
    affine: Vec<[f32; 2]>,
    limits: [f32; 2],
}

impl Apart {
    pub(super) fn new(parameters: BatchNormParameters, activation: Option<Activation>) -> Result<Arc<Self>> {
        parameters.check(NAME)?;
        let (affine, limits) = (parameters.affine(), Activation::limits_of(activation));
        Ok(Arc::new(Self { parameters, affine, limits }))
    }

    /// The batch norm that [`Apart::save`] wrote.
    pub(super) fn stored(
        stored: &StoredTensors<'_>,
        eps: f64,
        is_affine: bool,
    ) -> Result<BatchNormParameters> {
        let tensor = |name: &str| stored.get(&format!("{}.{name}", Record::NAME));
        let affine = |name: &str| is_affine.then(|| tensor(name)).transpose();
        Ok(BatchNormParameters {
            weight: affine("weight")?,
            bias: affine("bias")?,
            running_mean: tensor("running_mean")?,
            running_var: tensor("running_var")?,
            eps,
        })
    }

    pub(super) fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        let BatchNormParameters { weight, eps, .. } = &self.parameters;
        let record = Record::Apart { eps: *eps, is_affine: weight.is_some() };
        tensors.put_record(Record::NAME, &record)?;
        self.parameters
            .tensors()
            .for_each(|(name, tensor)| tensors.put(&format!("{}.{name}", Record::NAME), tensor));
        Ok(())
    }

    /// How many values of an output of this shape follow each other in a channel.
    ///
    /// # Errors
    /// When axis 1 has another length than the batch norm has channels.
    pub(super) fn inner(&self, output: &[usize]) -> Result<usize> {
        Ok(extents(NAME, 1, self.affine.len(), &TensorSpec::new(output, Format::F32))?.inner)
    }

    /// Normalizes the output of the layer.
    pub(super) fn apply(&self, inner: usize, values: &[f32], output: &mut [f32]) -> qkernels::Result<()> {
        affine_into(&self.affine, inner, self.limits, values, output)
    }
}

/// The error of a layer with its batch norm folded in, for an input of other than two dimensions.
///
/// # Errors
/// Always, but for a matrix.
pub(super) fn check_matrix(in_features: usize, input: &[usize]) -> Result<()> {
    if input.len() == 2 {
        return Ok(());
    }
    let expected = format!(
        "[N, {in_features}], as its BatchNorm1d is folded into it (to keep the two apart, calibrate with such an input)"
    );
    Err(Error::shape("Linear", expected, input))
}
