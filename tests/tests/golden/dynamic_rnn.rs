//! Topic `dynamic_rnn`: recurrent layers and cells whose products are on integers.

use std::any::Any;

use anyhow::{Context, Result, bail};
use qcore::ops::{Lowering, Nonlinearity, Op, Precision};
use qcore::prelude::*;
use qcore::{AnyTensor, DType, QParams, evaluate};

use crate::comparison::Findings;
use crate::index::Case;
use crate::lowering::backend;

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let (inputs, hidden) = (case.param("input_size")?, case.param("hidden_size")?);
    match case.op() {
        "lstm_dynamic" | "lstm_dynamic_packed" => {
            let lengths: Option<Vec<f32>> = case.optional_param("lengths")?;
            let layer = LSTM::new(inputs, hidden)
                .num_layers(case.param("num_layers")?)
                .bidirectional(case.param("bidirectional")?)
                .batch_first(case.param("batch_first")?)
                .packed(lengths.is_some());
            let outputs = run_layer(case, layer, lengths.clone(), findings)?;
            let [y, h, c] = <[Tensor; 3]>::try_from(outputs).ok().context("three outputs")?;
            match lengths {
                None => findings.tensor("y", &y)?,
                Some(lengths) => findings.tensor("y_data", &packed(&y, &lengths)?)?,
            }
            findings.tensor("h_n", &h)?;
            findings.tensor("c_n", &c)
        }
        "gru_dynamic" => {
            let layer = GRU::new(inputs, hidden)
                .num_layers(case.param("num_layers")?)
                .bidirectional(case.param("bidirectional")?)
                .batch_first(case.param("batch_first")?);
            let outputs = run_layer(case, layer, None, findings)?;
            let [y, h] = <[Tensor; 2]>::try_from(outputs).ok().context("two outputs")?;
            findings.tensor("y", &y)?;
            findings.tensor("h_n", &h)
        }
        "lstm_cell_dynamic" => {
            let outputs = run_layer(case, LSTMCell::new(inputs, hidden), None, findings)?;
            let [h, c] = <[Tensor; 2]>::try_from(outputs).ok().context("two outputs")?;
            findings.tensor("h", &h)?;
            findings.tensor("c", &c)
        }
        "gru_cell_dynamic" => cell(case, GRUCell::new(inputs, hidden), findings),
        "rnn_tanh_cell_dynamic" => cell(case, RNNCell::new(inputs, hidden), findings),
        "rnn_relu_cell_dynamic" => {
            cell(case, RNNCell::new(inputs, hidden).nonlinearity(Nonlinearity::Relu), findings)
        }
        other => bail!("no operation `{other}`"),
    }
}

fn cell(case: &Case<'_>, layer: impl Op, findings: &mut Findings<'_>) -> Result<()> {
    let outputs = run_layer(case, layer, None, findings)?;
    let [h] = <[Tensor; 1]>::try_from(outputs).ok().context("one output")?;
    findings.tensor("h", &h)
}

/// The rows of sequences that lie in the order of their steps, as in a `PackedSequence` of sorted sequences.
fn packed(y: &Tensor, lengths: &[f32]) -> Result<Tensor> {
    let &[steps, _, width] = y.shape() else { bail!("an output of {:?}", y.shape()) };
    let y = y.view();
    let mut values = Vec::new();
    for step in 0..steps {
        let running = (0..lengths.len()).filter(|&sequence| (step as f32) < lengths[sequence]);
        values.extend(
            running.flat_map(|sequence| (0..width).map(move |k| [step, sequence, k])).map(|at| y[at]),
        );
    }
    Ok(Tensor::from_vec(&[values.len() / width, width], values)?)
}

/// Sets the tensors that the case has, in float or as the integers that PyTorch made of them, runs the layer, and compares
/// the weights.
fn run_layer(
    case: &Case<'_>,
    mut layer: impl Op,
    lengths: Option<Vec<f32>>,
    findings: &mut Findings<'_>,
) -> Result<Vec<Tensor>> {
    let mut known = KnownWeights::default();
    let mut result = Ok(());
    layer.parameters_mut("", &mut |name, tensor| match parameter(case, &name, &mut known) {
        Ok(value) => *tensor = value,
        Err(error) => result = Err(error),
    });
    result?;
    let observer: Box<dyn Observer> = match known.0.is_empty() {
        true => QConfig::default_dynamic_qconfig().weight_observer(),
        false => Box::new(known),
    };
    let lowering = Lowering::new(Precision::Dynamic, backend(case)?, &[], &[], observer);
    let executable = layer.lower(&lowering)?;
    for (name, weight) in executable.weights() {
        findings.quantized_exactly(&name, &weight)?;
    }
    let mut inputs: Vec<AnyTensor> = vec![case.tensor("x")?.into()];
    for state in ["h0", "c0"] {
        inputs.extend(case.optional_tensor(state)?.map(AnyTensor::from));
    }
    if let Some(lengths) = lengths {
        inputs.push(Tensor::from_vec(&[lengths.len()], lengths)?.into());
    }
    let outputs = evaluate(&*executable, &inputs)?.into_iter();
    Ok(outputs.map(|output| output.to_float()).collect())
}

/// A tensor of the layer: a bias, or a weight in float or as the integers that PyTorch made of it.
fn parameter(case: &Case<'_>, name: &str, known: &mut KnownWeights) -> Result<Tensor> {
    let float = format!("{name}.float");
    if case.has_input(&float) {
        return case.tensor(&float);
    }
    if case.has_input(name) {
        return case.tensor(name);
    }
    let weight = case.expected_quantized(name)?.to_qtensor()?;
    known.0.push((weight.dequantize(), weight.qparams().clone()));
    Ok(weight.dequantize())
}

/// Weights that were integers before, with their parameters; the one that was seen last stands first.
#[derive(Clone, Debug, Default)]
struct KnownWeights(Vec<(Tensor, QParams)>);

impl Observer for KnownWeights {
    fn name(&self) -> &'static str {
        "KnownWeights"
    }

    fn observe(&mut self, weight: &Tensor) -> qcore::Result<()> {
        let position = self.0.iter().position(|(known, _)| known == weight);
        let position = position.ok_or_else(|| self.refusal("saw another weight"))?;
        self.0.swap(0, position);
        Ok(())
    }

    fn calculate_qparams(&self) -> qcore::Result<QParams> {
        self.0.first().map(|(_, qparams)| qparams.clone()).ok_or_else(|| self.refusal("saw nothing"))
    }

    fn has_observed(&self) -> bool {
        true
    }

    fn reset(&mut self) {}

    fn dtype(&self) -> DType {
        DType::QInt8
    }

    fn boxed_clone(&self) -> Box<dyn Observer> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
