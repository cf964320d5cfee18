//! `EmbeddingBag`: sums, means and maxima of the rows of bags of ids.

use std::sync::Arc;

use qkernels::elements;
use qkernels::embedding::{Bags, Offsets, Reduction};
use serde::{Deserialize, Serialize};

use super::embedding::{Table, scatter};
use super::init::{Generator, empty, fitting};
use super::inputs::check_dtype;
use super::kernel::input;
use super::plain::plain_op;
use super::{
    Executable, Format, Kernel, KernelCost, Lowering, Op, Output, Planned, PlannedKernel, Precision,
    TensorSpec,
};
use crate::model::{Parameters, join};
use crate::network::TensorWriter;
use crate::tensor::MemoryFormat;
use crate::train::{Backward, Gradients};
use crate::{Error, Result, Tensor};

const NAME: &str = "EmbeddingBag";

/// What an [`EmbeddingBag`] makes of the rows of a bag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BagMode {
    /// Their sum.
    Sum,
    /// Their mean.
    #[default]
    Mean,
    /// The largest value of each column.
    Max,
}

/// The sum, mean or maximum of the rows of a table, by bags of ids: `[bags, ids]` to `[bags, embedding_dim]`, or `[ids]`
/// with the places where bags begin, `self.bag(ids, offsets)`. Weights of the rows, of the shape of the ids, come last:
/// `self.bag(ids, offsets, weights)`, or `self.bag(ids, weights)` of `[bags, ids]`.
///
/// Ids and offsets are whole numbers in float tensors; those that fit nothing are errors, see
/// [`Embedding`](super::Embedding). An empty bag gives zeros. Weights of rows are for sums, tables of 8 and 4 bits for sums
/// and means.
///
/// ```
/// use qcore::ops::{BagMode, EmbeddingBag};
/// use qcore::{Layer, Tensor};
///
/// let bag = EmbeddingBag::new(10, 3).mode(BagMode::Sum);
/// let y = bag.forward(Tensor::from_vec(&[2, 2], vec![0.0, 9.0, 2.0, 2.0])?)?;
/// assert_eq!(y.shape(), [2, 3]);
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "EmbeddingBagConfig", into = "EmbeddingBagConfig")]
pub struct EmbeddingBag {
    config: EmbeddingBagConfig,
    weight: Tensor,
}

/// The parameters of an embedding bag in a file, besides its tensor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct EmbeddingBagConfig {
    num_embeddings: usize,
    embedding_dim: usize,
    mode: BagMode,
    include_last_offset: bool,
}

impl From<EmbeddingBagConfig> for EmbeddingBag {
    fn from(config: EmbeddingBagConfig) -> Self {
        Self { config, weight: empty() }
    }
}

impl From<EmbeddingBag> for EmbeddingBagConfig {
    fn from(layer: EmbeddingBag) -> Self {
        layer.config
    }
}

impl EmbeddingBag {
    /// Means over a table of `num_embeddings` rows of `embedding_dim` values.
    pub fn new(num_embeddings: usize, embedding_dim: usize) -> Self {
        let (mode, include_last_offset) = (BagMode::Mean, false);
        let config = EmbeddingBagConfig { num_embeddings, embedding_dim, mode, include_last_offset };
        let shape = [num_embeddings, embedding_dim];
        Self { config, weight: Generator::for_layer(NAME, &shape).normal(&shape) }
    }

    /// What becomes of the rows of a bag; their mean if not set.
    #[must_use]
    pub fn mode(mut self, mode: BagMode) -> Self {
        self.config.mode = mode;
        self
    }

    /// Whether the last of the offsets is where the last bag ends; false if not set.
    #[must_use]
    pub fn include_last_offset(mut self, include_last_offset: bool) -> Self {
        self.config.include_last_offset = include_last_offset;
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

impl EmbeddingBagConfig {
    /// The tensors of a call.
    fn call(self, shapes: &[&[usize]]) -> Result<Call> {
        let wrong = |expected: &str, found: &[usize]| Err(Error::shape(NAME, expected, found));
        let Some((&ids, others)) = shapes.split_first() else {
            return Err(Error::parameter(NAME, "takes ids"));
        };
        let (bags, offsets, weights) = match (ids, others) {
            (&[bags, len], _) => match others {
                [] | [_] if len == 0 => return wrong("[bags, ids] with ids in each bag", ids),
                [] => (bags, CallOffsets::Every(len), None),
                [weights] if *weights == ids => (bags, CallOffsets::Every(len), Some(1)),
                [other, ..] => return wrong("weights of the shape of [bags, ids], and no offsets", other),
            },
            (&[len], &[&[offsets], ref rest @ ..]) => {
                let bags = if self.include_last_offset {
                    offsets.checked_sub(1).ok_or_else(|| {
                        Error::shape(NAME, "offsets with the end of the last bag", &[offsets])
                    })?
                } else {
                    offsets
                };
                match *rest {
                    [] => (bags, CallOffsets::Given, None),
                    [&[count]] if count == len => (bags, CallOffsets::Given, Some(2)),
                    [other, ..] => return wrong("weights of the shape of the ids", other),
                }
            }
            (&[_], [other, ..]) => return wrong("offsets of one axis", other),
            (&[_], []) => return Err(Error::parameter(NAME, "takes offsets with ids of one axis")),
            (other, _) => return wrong("ids of [bags, ids] or [ids]", other),
        };
        if weights.is_some() && self.mode != BagMode::Sum {
            return Err(Error::parameter(NAME, "takes weights of rows in the mode `sum` alone"));
        }
        Ok(Call { bags, offsets, weights })
    }

    fn reduction(self) -> Reduction {
        match self.mode {
            BagMode::Sum => Reduction::Sum,
            BagMode::Mean => Reduction::Mean,
            BagMode::Max => Reduction::Max,
        }
    }

    /// Where the bags of a call begin; `given` are the offsets, if there are such.
    fn offsets(self, call: Call, given: &[f32]) -> Offsets<'_> {
        match (call.offsets, self.include_last_offset) {
            (CallOffsets::Every(len), _) => Offsets::Every(len),
            (CallOffsets::Given, true) => Offsets::Between(given),
            (CallOffsets::Given, false) => Offsets::At(given),
        }
    }
}

/// What a call gives besides the ids.
#[derive(Clone, Copy, Debug)]
struct Call {
    bags: usize,
    offsets: CallOffsets,
    /// Which of the inputs they are.
    weights: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum CallOffsets {
    Every(usize),
    /// They are the second input.
    Given,
}

impl Op for EmbeddingBag {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        if lowering.precision == Precision::WeightOnly && self.config.mode == BagMode::Max {
            let message =
                format!("{NAME} of the mode `max` with a quantized table; it can be `sum` or `mean`");
            return Err(Error::Unsupported(message));
        }
        let table = Table::lower(NAME, &self.weight, self.shape(), lowering)?;
        Ok(Arc::new(LoweredBag { config: self.config, table }))
    }

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        let shapes: Vec<&[usize]> = pass.inputs.iter().map(Tensor::shape).collect();
        let call = self.config.call(&shapes)?;
        let inputs: Vec<Tensor> = pass.inputs.iter().map(|input| input.clone().contiguous()).collect();
        let values = |index: usize| inputs.get(index).and_then(Tensor::as_slice).unwrap_or_default();
        let (output, gradient) = pass.output()?;
        let (ids, weights) = (values(0), call.weights.map(values));
        let offsets = self.config.offsets(call, values(1));
        let table = self.weight.clone().contiguous();
        let width = self.config.embedding_dim;
        let row = |id: f32| table.as_slice().and_then(|table| table.get(id as usize * width..)?.get(..width));
        // Of each id the bag that it is in, and the weight of its row.
        let mut places = Vec::new();
        for bag in 0..call.bags {
            let range = offsets.bag(bag, ids.len());
            let of_mean = 1.0 / range.len().max(1) as f32;
            for index in range {
                let weight = match self.config.mode {
                    BagMode::Mean => of_mean,
                    _ => weights.and_then(|weights| weights.get(index).copied()).unwrap_or(1.0),
                };
                places.push((index, bag, weight));
            }
        }
        let weight = if self.config.mode == BagMode::Max {
            // The gradient of a column goes to the first row that has its largest value.
            let mut sums = Tensor::try_zeros(&self.shape())?;
            let output = output.clone().contiguous();
            let (largest, dy) =
                (output.as_slice().unwrap_or_default(), gradient.as_slice().unwrap_or_default());
            let mut is_taken = vec![false; largest.len()];
            let into = sums.as_slice_mut().unwrap_or_default();
            for &(index, bag, _) in &places {
                let Some(values) = row(ids[index]) else { continue };
                for (column, value) in values.iter().enumerate() {
                    let place = bag * width + column;
                    if !is_taken[place] && *value == largest[place] {
                        is_taken[place] = true;
                        into[ids[index] as usize * width + column] += dy[place];
                    }
                }
            }
            sums
        } else {
            let rows = places.iter().map(|&(index, _, weight)| (ids[index] as usize, weight));
            scatter(self.shape(), rows, places.iter().map(|&(_, bag, _)| bag), &gradient)?
        };
        let mut gradients = vec![None; inputs.len()];
        if let Some(which) = call.weights {
            let mut of_weights = Tensor::try_zeros(shapes[which])?;
            let (into, dy) =
                (of_weights.as_slice_mut().unwrap_or_default(), gradient.as_slice().unwrap_or_default());
            for &(index, bag, _) in &places {
                let dy = dy.get(bag * width..(bag + 1) * width).unwrap_or_default();
                into[index] = row(ids[index]).unwrap_or_default().iter().zip(dy).map(|(w, dy)| w * dy).sum();
            }
            gradients[which] = Some(of_weights);
        }
        Ok(Gradients { inputs: gradients, parameters: vec![("weight", weight)] })
    }
}

impl crate::ObjectType for EmbeddingBag {
    const NAME: &'static str = NAME;
}

impl Parameters for EmbeddingBag {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        visit(join(path, "weight"), &self.weight);
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        visit(join(path, "weight"), &mut self.weight);
    }
}

#[derive(Debug)]
struct LoweredBag {
    config: EmbeddingBagConfig,
    table: Table,
}

impl Executable for LoweredBag {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        inputs.iter().try_for_each(|input| check_dtype(NAME, input, None))?;
        let shapes: Vec<&[usize]> = inputs.iter().map(TensorSpec::shape).collect();
        let call = self.config.call(&shapes)?;
        let output = TensorSpec::new(&[call.bags, self.table.width()], Format::F32);
        let ids = inputs.first().map_or(0, TensorSpec::len);
        let kernel = BagKernel { config: self.config, table: self.table.clone(), call, ids };
        let planned = PlannedKernel::new(Box::new(kernel), vec![output.in_buffer(MemoryFormat::Contiguous)]);
        Ok(Planned::Kernel(planned.inputs(vec![MemoryFormat::Contiguous; inputs.len()])))
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        self.table.save(tensors)
    }
}

#[derive(Debug)]
struct BagKernel {
    config: EmbeddingBagConfig,
    table: Table,
    call: Call,
    ids: usize,
}

impl Kernel for BagKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], _: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, .. }] = outputs else { return Ok(()) };
        let bags = Bags {
            ids: elements::view(input(inputs, 0))?,
            offsets: self.config.offsets(self.call, elements::view(input(inputs, 1))?),
            weights: self.call.weights.map(|which| elements::view(input(inputs, which))).transpose()?,
            reduction: self.config.reduction(),
        };
        qkernels::embedding::bags(self.table.view(), &bags, elements::view_mut(bytes)?)
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

    fn layer(mode: BagMode) -> EmbeddingBag {
        let weight = tensor(&[3, 2], &[0.5, -1.0, 2.0, 3.0, -4.0, 1.5]);
        EmbeddingBag::new(3, 2).with_weight(weight).unwrap().mode(mode)
    }

    /// PyTorch's values and gradients (`torch.nn.functional.embedding_bag`, 2.8).
    #[test]
    fn bags_and_their_gradients_are_pytorchs() {
        let (ids, offsets) = (tensor(&[4], &[2.0, 0.0, 1.0, 1.0]), tensor(&[3], &[0.0, 2.0, 2.0]));
        let weights = tensor(&[4], &[0.5, 2.0, -1.0, 3.0]);
        let gradient = tensor(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let check = |layer: &EmbeddingBag, inputs: &[&Tensor], y: &[f32], expected: &[f32]| {
            let output = float(layer, inputs).unwrap();
            assert_values(&output, y);
            let inputs: Vec<Tensor> = inputs.iter().map(|&input| input.clone()).collect();
            let pass =
                Backward { inputs: &inputs, outputs: &[output], gradients: std::slice::from_ref(&gradient) };
            let found = layer.backward(&pass).unwrap();
            assert_values(&found.parameters[0].1, expected);
            found.inputs
        };
        let [sum, mean, max] = [BagMode::Sum, BagMode::Mean, BagMode::Max].map(layer);
        let inputs = [&ids, &offsets];
        check(&sum, &inputs, &[-3.5, 0.5, 0.0, 0.0, 4.0, 6.0], &[1.0, 2.0, 10.0, 12.0, 1.0, 2.0]);
        check(&mean, &inputs, &[-1.75, 0.25, 0.0, 0.0, 2.0, 3.0], &[0.5, 1.0, 5.0, 6.0, 0.5, 1.0]);
        check(&max, &inputs, &[0.5, 1.5, 0.0, 0.0, 2.0, 3.0], &[1.0, 0.0, 5.0, 6.0, 0.0, 2.0]);
        let inputs = [&ids, &offsets, &weights];
        let y = [-1.0, -1.25, 0.0, 0.0, 4.0, 6.0];
        let of_weights = check(&sum, &inputs, &y, &[2.0, 4.0, 10.0, 12.0, 0.5, 1.0]);
        assert_values(of_weights[2].as_ref().unwrap(), &[-1.0, -1.5, 28.0, 28.0]);

        let rows = float(&mean, &[&tensor(&[2, 2], &[0.0, 1.0, 2.0, 2.0])]).unwrap();
        assert_values(&rows, &[1.25, 1.0, -4.0, 1.5]);
        let between = sum.include_last_offset(true);
        let y = float(&between, &[&ids, &tensor(&[3], &[0.0, 1.0, 4.0])]).unwrap();
        assert_values(&y, &[-4.0, 1.5, 4.5, 5.0]);
    }

    #[test]
    fn calls_that_are_no_bags_are_refused() {
        let (ids, rows) = (tensor(&[4], &[0.0; 4]), tensor(&[2, 2], &[0.0; 4]));
        let offsets = tensor(&[1], &[0.0]);
        let layer = layer(BagMode::Mean);
        for inputs in [
            &[&ids][..],
            &[&rows, &offsets],
            &[&ids, &rows],
            &[&ids, &offsets, &rows],
            // Weights of a mean.
            &[&ids, &offsets, &ids],
            &[&rows, &rows],
            &[&Tensor::zeros(&[2, 0])],
            &[&Tensor::zeros(&[1, 2, 2])],
            &[],
        ] {
            assert!(float(&layer, inputs).is_err(), "{inputs:?}");
        }
        let between = layer.include_last_offset(true);
        assert!(float(&between, &[&ids, &Tensor::zeros(&[0])]).is_err());
    }
}
