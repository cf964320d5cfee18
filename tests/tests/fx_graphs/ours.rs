//! The decisions of this project's graph mode for a model.

use std::collections::{BTreeSet, HashMap};

use qcore::{CalibrationOptions, IntoInput, Module, Prepared};

use crate::decisions::{Decisions, Step, operation_name};

pub fn decisions<M: Module>(prepared: &Prepared<M>) -> Decisions {
    let plan = prepared.plan();
    let observer_of: HashMap<usize, usize> = plan
        .observers()
        .flat_map(|served| served.clone().into_iter().map(move |node| (node, served[0])))
        .collect();
    let steps: Vec<Step> = plan
        .nodes()
        .enumerate()
        .map(|(index, node)| Step {
            operation: operation_name(node.operation()),
            inputs: node.inputs().collect(),
            precision: node.precision(),
            observer: observer_of.get(&index).copied(),
        })
        .collect();
    // A value is converted at most once, whoever needs it in the other format. Outputs are needed in float.
    let is_read = |index: usize, is_static: bool| {
        steps.iter().any(|step| step.inputs.contains(&index) && step.is_static() == is_static)
    };
    let all = || steps.iter().enumerate();
    let quantizations = all().filter(|(index, step)| !step.is_static() && is_read(*index, true)).count();
    let dequantizations = all()
        .filter(|(index, step)| {
            step.is_static() && (is_read(*index, false) || plan.outputs().any(|output| output == *index))
        })
        .count();
    Decisions { quantizations, dequantizations, steps }
}

/// Calibrates with one batch, converts and runs: the plan must be possible.
pub fn run_converted<M: Module>(prepared: &mut Prepared<M>, batch: impl IntoInput<M::Input> + Clone) {
    prepared.calibrate_with([batch.clone()], CalibrationOptions { progress: false }).unwrap();
    let converted = prepared.convert().unwrap();
    converted.forward(batch).unwrap();
    let edges = &converted.summary().edges;
    let paths: BTreeSet<&str> = edges.iter().map(|edge| edge.path.as_str()).collect();
    assert_eq!(paths.len(), edges.len(), "every edge has a path of its own");
}
