//! `Embedding`: the row of a table for each id, in float or from rows of 8 or 4 bits.

mod table;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::init::{Generator, empty, fitting};
use super::inputs::{check_dtype, exactly};
use super::kernel::input;
use super::plain::plain_op;
use super::{
    Executable, Format, Kernel, KernelCost, Lowering, Op, Output, Planned, PlannedKernel, TensorSpec,
};
use crate::model::{Parameters, join};
use crate::network::TensorWriter;
use crate::tensor::MemoryFormat;
use crate::train::{Backward, Gradients};
use crate::{Result, Tensor};
use qkernels::elements;

pub(super) use table::{Table, scatter};

const NAME: &str = "Embedding";

/// The rows of a table by their ids: `[..]` to `[.., embedding_dim]`.
///
/// Ids are whole numbers in a float tensor, exact up to 2^24, from 0 to below `num_embeddings`; others are an
/// [`Error::Index`](crate::Error::Index) that names the layer and the id.
///
/// By [`QConfig::float_qparams_weight_only_qconfig`](crate::QConfig::float_qparams_weight_only_qconfig) each row has 8 bits
/// a value with a scale and a zero point of its own, by
/// [`float_qparams_weight_only_qconfig_4bit`](crate::QConfig::float_qparams_weight_only_qconfig_4bit) 4 bits (NUMERICS
/// section 10). The output is float in any case.
///
/// ```
/// use qcore::ops::Embedding;
/// use qcore::{Layer, Tensor};
///
/// let embedding = Embedding::new(10, 3);
/// let y = embedding.forward(Tensor::from_vec(&[1, 4], vec![0.0, 9.0, 2.0, 2.0])?)?;
/// assert_eq!(y.shape(), [1, 4, 3]);
/// assert!(embedding.forward(Tensor::from_vec(&[1], vec![10.0])?).is_err());
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "EmbeddingConfig", into = "EmbeddingConfig")]
pub struct Embedding {
    config: EmbeddingConfig,
    weight: Tensor,
}

/// The parameters of an embedding in a file, besides its tensor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct EmbeddingConfig {
    num_embeddings: usize,
    embedding_dim: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    padding_idx: Option<usize>,
}

impl From<EmbeddingConfig> for Embedding {
    fn from(config: EmbeddingConfig) -> Self {
        Self { config, weight: empty() }
    }
}

impl From<Embedding> for EmbeddingConfig {
    fn from(layer: Embedding) -> Self {
        layer.config
    }
}

impl Embedding {
    /// A table of `num_embeddings` rows of `embedding_dim` values.
    pub fn new(num_embeddings: usize, embedding_dim: usize) -> Self {
        let config = EmbeddingConfig { num_embeddings, embedding_dim, padding_idx: None };
        let shape = [num_embeddings, embedding_dim];
        Self { config, weight: Generator::for_layer(NAME, &shape).normal(&shape) }
    }

    /// The id whose row is zeros at first and is not trained; none if not set. Call it before a weight is set.
    #[must_use]
    pub fn padding_idx(mut self, padding_idx: usize) -> Self {
        self.config.padding_idx = Some(padding_idx);
        let width = self.config.embedding_dim;
        let first = padding_idx.saturating_mul(width);
        let row =
            self.weight.as_slice_mut().and_then(|values| values.get_mut(first..first.checked_add(width)?));
        row.unwrap_or_default().fill(0.0);
        self
    }

    /// The same layer with this weight, `[num_embeddings, embedding_dim]`.
    ///
    /// # Errors
    /// When its shape is another.
    pub fn with_weight(self, weight: impl Into<Tensor>) -> Result<Self> {
        let weight = fitting(NAME, "weight", weight.into(), &self.shape())?;
        Ok(Self { weight, ..self })
    }

    /// `[num_embeddings, embedding_dim]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    fn shape(&self) -> [usize; 2] {
        [self.config.num_embeddings, self.config.embedding_dim]
    }
}

impl Op for Embedding {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        Ok(Arc::new(LoweredEmbedding { table: Table::lower(NAME, &self.weight, self.shape(), lowering)? }))
    }

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        let ids = pass.input(0)?.clone().contiguous();
        let (_, gradient) = pass.output()?;
        let ids = ids.as_slice().unwrap_or_default().iter().map(|&id| id as usize).enumerate();
        let trained = ids.filter(|(_, id)| Some(*id) != self.config.padding_idx);
        let (places, rows): (Vec<usize>, Vec<usize>) = trained.unzip();
        let rows = rows.into_iter().map(|row| (row, 1.0));
        let weight = scatter(self.shape(), rows, places.into_iter(), &gradient)?;
        Ok(Gradients { inputs: vec![None], parameters: vec![("weight", weight)] })
    }
}

impl crate::ObjectType for Embedding {
    const NAME: &'static str = NAME;
}

impl Parameters for Embedding {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        visit(join(path, "weight"), &self.weight);
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        visit(join(path, "weight"), &mut self.weight);
    }
}

#[derive(Debug)]
struct LoweredEmbedding {
    table: Table,
}

impl Executable for LoweredEmbedding {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [ids] = exactly(NAME, inputs)?;
        check_dtype(NAME, ids, None)?;
        let shape = [ids.shape(), &[self.table.width()]].concat();
        let output = TensorSpec::new(&shape, Format::F32).in_buffer(MemoryFormat::Contiguous);
        let kernel = EmbeddingKernel { table: self.table.clone(), ids: ids.len() };
        let planned = PlannedKernel::new(Box::new(kernel), vec![output]);
        Ok(Planned::Kernel(planned.inputs([MemoryFormat::Contiguous])))
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        self.table.save(tensors)
    }
}

#[derive(Debug)]
struct EmbeddingKernel {
    table: Table,
    ids: usize,
}

impl Kernel for EmbeddingKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], _: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, .. }] = outputs else { return Ok(()) };
        let ids = elements::view(input(inputs, 0))?;
        qkernels::embedding::lookup(self.table.view(), ids, elements::view_mut(bytes)?)
    }

    fn cost(&self) -> KernelCost {
        let weight_bytes = (self.ids as u64).saturating_mul(self.table.row_bytes() as u64);
        KernelCost { weight_bytes, ..KernelCost::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{assert_values, float, tensor};

    #[test]
    fn the_gradient_of_a_row_is_the_sum_of_its_ids_but_not_of_the_padding() {
        let layer = Embedding::new(3, 2).padding_idx(1);
        assert_eq!(layer.weight().as_slice().map(|values| &values[2..4]), Some(&[0.0, 0.0][..]));
        let ids = tensor(&[2, 2], &[2.0, 1.0, 2.0, 0.0]);
        let y = float(&layer, &[&ids]).unwrap();
        let gradient = tensor(&[2, 2, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let pass = Backward { inputs: &[ids], outputs: &[y], gradients: &[gradient] };
        let gradients = layer.backward(&pass).unwrap();
        assert_values(&gradients.parameters[0].1, &[7.0, 8.0, 0.0, 0.0, 6.0, 8.0]);
    }

    #[test]
    fn a_new_table_has_mean_0_and_variance_1() {
        let table = Embedding::new(100, 101);
        let values = table.weight().view();
        let mean = values.mean().unwrap();
        let variance = values.mapv(|value| (value - mean).powi(2)).mean().unwrap();
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        assert!(float(&Embedding::new(0, 3), &[&Tensor::zeros(&[1])]).is_err());
        assert!(float(&Embedding::new(1 << 25, 0), &[&Tensor::zeros(&[1])]).is_err());
    }
}
