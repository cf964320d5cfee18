//! The numeric suite: where a converted model departs from float, operation by operation.

mod comparison;
mod metrics;

pub use comparison::{Comparison, ComparisonKind, ComparisonRow};
pub use metrics::{ErrorMetrics, error_metrics};

use metrics::ErrorSums;

use crate::model::{Converted, IntoInput, Module, Prepared, Values};
use crate::network::{Call, Network, Node, NodeId, folded};
use crate::ops::Precision;
use crate::program::{Walk, read_by};
use crate::tensor::AnyTensor;
use crate::{Error, QParams, Result, Tensor, evaluate};

/// Compares each weight, with its batch norm folded in, with the integers that it became: PyTorch's `compare_weights`.
///
/// # Errors
/// When the two are not of one model, or a weight is not finite.
pub fn compare_weights<M: Module>(prepared: &Prepared<M>, converted: &Converted<M>) -> Result<Comparison> {
    let (float, integers) = networks(prepared, converted)?;
    let mut rows = Vec::new();
    for (node, of_integers) in float.nodes.iter().zip(&integers.nodes) {
        let quantized = of_integers.call.as_ref().and_then(|call| call.executable.weight());
        let (Some(call), Some(quantized)) = (&node.call, quantized) else { continue };
        let mut compare = || {
            let mut sums = ErrorSums::default();
            let Some(weight) = folded_weight(call)? else { return Ok(()) };
            sums.add(&weight, &quantized.dequantize(), None)?;
            rows.push(row(of_integers, &sums));
            Ok(())
        };
        compare().map_err(|error: Error| error.in_layer(node.path()))?;
    }
    Ok(Comparison { kind: ComparisonKind::Weights, batches: 0, rows })
}

/// Runs both models on the same batches and compares the values that they make: PyTorch's `compare_model_outputs`. An
/// error is that of all operations so far. Memory does not grow with the number of batches.
///
/// ```
/// use qcore::prelude::*;
/// use qcore::compare_activations;
///
/// #[quantizable]
/// struct Net { fc: Linear }
/// #[quantizable]
/// impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }
///
/// # fn main() -> qcore::Result<()> {
/// let batches = [Tensor::from_vec(&[2, 4], (0..8).map(|i| i as f32).collect())?];
/// let mut prepared = Net { fc: Linear::new(4, 3) }.prepare(&QConfigMapping::for_backend(Backend::Native))?;
/// prepared.calibrate(&batches)?;
/// let comparison = compare_activations(&prepared, &prepared.convert()?, &batches)?;
/// println!("{comparison}");
/// assert!(comparison.rows.iter().all(|row| row.error.sqnr > 20.0));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the two are not of one model, there is no batch, one does not fit, or a value is NaN or infinite.
pub fn compare_activations<M: Module, B: IntoInput<M::Input>>(
    prepared: &Prepared<M>,
    converted: &Converted<M>,
    batches: impl IntoIterator<Item = B>,
) -> Result<Comparison> {
    compare_one(prepared, converted, batches, ComparisonKind::Activations)
}

/// Runs the float model, and beside each of its operations that became integers the form that it became, on the same
/// values: PyTorch's shadow modules. An error is that of one operation alone, of its weights and of the rounding of its
/// output. Memory does not grow with the number of batches.
///
/// # Errors
/// As [`compare_activations`].
pub fn compare_shadow<M: Module, B: IntoInput<M::Input>>(
    prepared: &Prepared<M>,
    converted: &Converted<M>,
    batches: impl IntoIterator<Item = B>,
) -> Result<Comparison> {
    compare_one(prepared, converted, batches, ComparisonKind::Shadow)
}

fn compare_one<M: Module, B: IntoInput<M::Input>>(
    prepared: &Prepared<M>,
    converted: &Converted<M>,
    batches: impl IntoIterator<Item = B>,
    kind: ComparisonKind,
) -> Result<Comparison> {
    compare(prepared, converted, batches, [kind]).map(|[comparison]| comparison)
}

/// Sums up errors of one or both kinds over the same runs in float.
pub(super) fn compare<M: Module, B: IntoInput<M::Input>, const KINDS: usize>(
    prepared: &Prepared<M>,
    converted: &Converted<M>,
    batches: impl IntoIterator<Item = B>,
    kinds: [ComparisonKind; KINDS],
) -> Result<[Comparison; KINDS]> {
    let (float, integers) = networks(prepared, converted)?;
    let mut sums = kinds.map(|kind| (kind, vec![ErrorSums::default(); float.nodes.len()]));
    let mut count = 0;
    for batch in batches {
        let run = || {
            let inputs = M::Input::into_vec(batch.into_input()?.into_tensors());
            let (mut in_float, mut in_integers) = (Walk::new(float, &inputs)?, Walk::new(integers, &inputs)?);
            for (index, node) in integers.nodes.iter().enumerate() {
                let mut step = || {
                    let made = in_float.run(index)?;
                    for (kind, sums) in &mut sums {
                        let compared = match kind {
                            ComparisonKind::Activations => {
                                let found = in_integers.run(index)?;
                                in_integers.put(index, found.clone());
                                Some((made.clone(), found))
                            }
                            ComparisonKind::Shadow => shadow(&in_float, integers, index)?,
                            ComparisonKind::Weights => None,
                        };
                        let Some((reference, found)) = compared else { continue };
                        for ((&value, reference), found) in node.outputs.iter().zip(&reference).zip(&found) {
                            let range = integers.values[value].qparams.as_deref().map(range);
                            sums[index].add(&reference.to_float(), &found.to_float(), range)?;
                        }
                    }
                    in_float.put(index, made);
                    Ok(())
                };
                step().map_err(|error: Error| error.in_layer(node.path()))?;
            }
            Ok(())
        };
        run().map_err(|error: Error| Error::InBatch { batch: count, source: Box::new(error) })?;
        count += 1;
    }
    if count == 0 {
        return Err(Error::EmptyCalibration);
    }
    Ok(sums.map(|(kind, sums)| {
        let rows = integers.nodes.iter().zip(&sums).filter(|(_, sums)| !sums.is_empty());
        Comparison { kind, batches: count, rows: rows.map(|(node, sums)| row(node, sums)).collect() }
    }))
}

/// What a node makes in float, and what it is compared with.
type Compared = Option<(Vec<AnyTensor>, Vec<AnyTensor>)>;

/// Both forms of a node that became integers, on what the float model has made so far.
fn shadow(in_float: &Walk<'_>, integers: &Network, index: NodeId) -> Result<Compared> {
    match (&in_float.network.nodes[index].call, &integers.nodes[index].call) {
        (Some(float), Some(call)) if call.precision != Precision::Float => {
            let inputs = read_by(integers, index, in_float.values(index)?)?;
            let found = evaluate(call.executable.as_ref(), &inputs)?;
            // The float form reads what the integers stand for.
            let inputs: Vec<AnyTensor> = inputs.iter().map(|input| input.to_float().into()).collect();
            Ok(Some((evaluate(float.executable.as_ref(), &inputs)?, found)))
        }
        _ => Ok(None),
    }
}

fn row(node: &Node, sums: &ErrorSums) -> ComparisonRow {
    ComparisonRow {
        path: node.path().to_owned(),
        operation: node.operation().to_owned(),
        precision: node.precision().name().to_owned(),
        error: sums.metrics(),
    }
}

/// The networks of both, whose nodes are the same.
pub(super) fn networks<'a, M: Module>(
    prepared: &'a Prepared<M>,
    converted: &'a Converted<M>,
) -> Result<(&'a Network, &'a Network)> {
    let (float, integers) = (prepared.plan.network.as_ref(), converted.network());
    let paths = |network: &'a Network| network.nodes.iter().map(Node::path);
    if paths(float).eq(paths(integers)) {
        Ok((float, integers))
    } else {
        Err(Error::parameter("a comparison", "the converted model was not made of this prepared one"))
    }
}

/// The weight of the first member with the batch norms behind it folded in; `None` if it has none.
pub(super) fn folded_weight(call: &Call) -> Result<Option<Tensor>> {
    let (op, _) = folded(&call.members)?;
    let mut weight = None;
    op.parameters("", &mut |key, tensor| {
        if key == "weight" {
            weight = Some(tensor.clone());
        }
    });
    Ok(weight)
}

/// The values that do not leave the range of the integers: half a step beyond their ends still rounds to them.
fn range(qparams: &QParams) -> [f32; 2] {
    let (scale, zero) = (f64::from(qparams.tensor_scale()), f64::from(qparams.tensor_zero_point()));
    let end = |integer: i32, half: f64| ((f64::from(integer) - zero + half) * scale) as f32;
    [end(qparams.quant_min, -0.5), end(qparams.quant_max, 0.5)]
}
