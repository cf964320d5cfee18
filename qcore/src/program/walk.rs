//! `Walk`: one run of a network, node by node.

use crate::network::{Network, NodeId, ValueId, reads_integers};
use crate::tensor::AnyTensor;
use crate::{Error, QTensor, Result, Tensor, evaluate};

/// One run of a network, whose values can be looked at.
pub(crate) struct Walk<'a> {
    pub(crate) network: &'a Network,
    values: Vec<Option<AnyTensor>>,
    /// Of each value, how many nodes have yet to read it.
    readers: Vec<usize>,
}

impl<'a> Walk<'a> {
    /// A run on these inputs, which are values already.
    ///
    /// # Errors
    /// When there are more or fewer of them than the network takes.
    pub(crate) fn new(network: &'a Network, inputs: &[Tensor]) -> Result<Self> {
        network.check_inputs(inputs.len())?;
        let mut readers = vec![0; network.values.len()];
        for &input in network.nodes.iter().flat_map(|node| &node.inputs) {
            readers[input] += 1;
        }
        let mut values = vec![None; network.values.len()];
        for (input, node) in inputs.iter().zip(&network.nodes) {
            for &output in &node.outputs {
                values[output] = Some(input.clone().into());
            }
        }
        Ok(Self { network, values, readers })
    }

    /// What a node makes of the values so far; of a parameter of `forward` the integers that its readers see, if they
    /// read integers.
    ///
    /// # Errors
    /// When a value does not fit the operation.
    pub(crate) fn run(&self, index: NodeId) -> Result<Vec<AnyTensor>> {
        let node = &self.network.nodes[index];
        match &node.call {
            Some(call) => {
                let inputs = read_by(self.network, index, self.values(index)?)?;
                evaluate(call.executable.as_ref(), &inputs)
            }
            None => {
                node.outputs.iter().map(|&value| quantized(self.network, value, self.value(value)?)).collect()
            }
        }
    }

    /// The values that a node reads, as they were made.
    ///
    /// # Errors
    /// When one was not.
    pub(crate) fn values(&self, index: NodeId) -> Result<Vec<AnyTensor>> {
        self.network.nodes[index].inputs.iter().map(|&value| self.value(value)).collect()
    }

    fn value(&self, value: ValueId) -> Result<AnyTensor> {
        let missing = || Error::Unsupported("a value that is read before it is made".into());
        self.values[value].clone().ok_or_else(missing)
    }

    /// Goes on with these outputs of a node. What nobody reads any more is freed.
    pub(crate) fn put(&mut self, index: NodeId, outputs: Vec<AnyTensor>) {
        let node = &self.network.nodes[index];
        if node.call.is_some() {
            for (&value, output) in node.outputs.iter().zip(outputs) {
                self.values[value] = (self.readers[value] > 0).then_some(output);
            }
        }
        for &input in &node.inputs {
            self.readers[input] -= 1;
            if self.readers[input] == 0 {
                self.values[input] = None;
            }
        }
    }
}

/// Values as a node of `network` reads them: integers, or floats.
///
/// # Errors
/// When one cannot be quantized.
pub(crate) fn read_by(network: &Network, index: NodeId, values: Vec<AnyTensor>) -> Result<Vec<AnyTensor>> {
    let node = &network.nodes[index];
    let is_integer = node.call.as_ref().is_some_and(reads_integers);
    let read = |(value, &id): (AnyTensor, &ValueId)| match is_integer {
        true => quantized(network, id, value),
        false => Ok(value.to_float().into()),
    };
    values.into_iter().zip(&node.inputs).map(read).collect()
}

/// A value as integers, if it has a scale.
fn quantized(network: &Network, id: ValueId, value: AnyTensor) -> Result<AnyTensor> {
    match (&value, &network.values[id].qparams) {
        (AnyTensor::Float(float), Some(qparams)) => Ok(QTensor::quantize(float, qparams)?.into()),
        _ => Ok(value),
    }
}
