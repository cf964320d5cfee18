//! What this project's graph mode makes of a model.

use std::collections::{BTreeSet, HashMap};

use qcore::{CalibrationOptions, Domain, IntoInput, Prepared, Quantizable};

use crate::decisions::{Decisions, Step, operation_name};

pub fn decisions<M: Quantizable>(prepared: &Prepared<M>) -> Decisions {
    let plan = prepared.plan();
    let observer_of: HashMap<usize, usize> =
        plan.observers().flat_map(|served| served.iter().map(|&value| (value, served[0]))).collect();
    let steps: Vec<Step> = plan
        .nodes()
        .iter()
        .enumerate()
        .map(|(index, node)| Step {
            operation: operation_name(node.operation()),
            inputs: node.inputs().to_vec(),
            is_int8: node.domain() == Domain::Int8,
            observer: observer_of.get(&index).copied(),
        })
        .collect();
    // A value is converted at most once, whoever needs it in the other domain. Outputs are needed in float.
    let is_read = |index: usize, is_int8: bool| {
        steps.iter().any(|step| step.inputs.contains(&index) && step.is_int8 == is_int8)
    };
    let all = || steps.iter().enumerate();
    let quantizations = all().filter(|(index, step)| !step.is_int8 && is_read(*index, true)).count();
    let dequantizations = all()
        .filter(|(index, step)| step.is_int8 && (is_read(*index, false) || plan.outputs().contains(index)))
        .count();
    Decisions { quantizations, dequantizations, steps }
}

/// Calibrates with one batch, converts and runs: what was planned must be possible.
pub fn run_converted<M: Quantizable>(prepared: &mut Prepared<M>, batch: impl IntoInput<M::Input> + Clone) {
    prepared.calibrate_with([batch.clone()], CalibrationOptions { progress: false }).unwrap();
    let converted = prepared.convert().unwrap();
    converted.forward(batch).unwrap();
    let edges = &converted.summary().edges;
    let paths: BTreeSet<&str> = edges.iter().map(|edge| edge.path.as_str()).collect();
    assert_eq!(paths.len(), edges.len(), "every edge has a path of its own");
}
