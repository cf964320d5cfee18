//! What this project's graph mode makes of a model.

use std::collections::{BTreeSet, HashMap};

use qcore::{CalibrationOptions, IntoInput, Prepared, Quantizable};

use crate::decisions::{Decisions, Step, operation_name};

pub fn decisions<M: Quantizable>(prepared: &Prepared<M>) -> Decisions {
    let text = prepared.plan().to_string();
    let (outputs, values): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with("returns "));
    let values: Vec<PlannedValue> = values.into_iter().map(PlannedValue::parse).collect();
    let index_of: HashMap<&str, usize> =
        values.iter().enumerate().map(|(index, value)| (value.path.as_str(), index)).collect();
    let mut observer_of: HashMap<usize, usize> = HashMap::new();
    for edge in prepared.calibration_report().edges {
        let served: Vec<usize> = edge.paths.iter().map(|path| index_of[path.as_str()]).collect();
        let first = *served.iter().min().unwrap();
        observer_of.extend(served.into_iter().map(|step| (step, first)));
    }
    let steps: Vec<Step> = values
        .iter()
        .enumerate()
        .map(|(index, value)| Step {
            operation: operation_name(&value.operation),
            inputs: value.inputs.iter().map(|path| index_of[path.as_str()]).collect(),
            is_int8: value.is_int8,
            observer: observer_of.get(&index).copied(),
        })
        .collect();
    // A value is converted at most once, whoever needs it in the other domain. Outputs are needed in float.
    let returned: Vec<&str> = outputs.iter().flat_map(|line| line["returns ".len()..].split(", ")).collect();
    let is_output = |index: usize| returned.contains(&values[index].path.as_str());
    let is_read = |index: usize, is_int8: bool| {
        steps.iter().any(|step| step.inputs.contains(&index) && step.is_int8 == is_int8)
    };
    let all = || steps.iter().enumerate();
    let quantizations = all().filter(|(index, step)| !step.is_int8 && is_read(*index, true)).count();
    let dequantizations =
        all().filter(|(index, step)| step.is_int8 && (is_read(*index, false) || is_output(*index))).count();
    Decisions { quantizations, dequantizations, steps }
}

/// A line of the printed plan.
struct PlannedValue {
    path: String,
    operation: String,
    is_int8: bool,
    inputs: Vec<String>,
}

impl PlannedValue {
    fn parse(line: &str) -> Self {
        let columns: Vec<&str> =
            line.split("  ").map(str::trim).filter(|column| !column.is_empty()).collect();
        let inputs = columns.iter().find_map(|column| column.strip_prefix("of ")).unwrap_or_default();
        Self {
            path: columns[0].to_owned(),
            operation: columns[1].to_owned(),
            is_int8: columns[2] == "int8",
            inputs: inputs.split(", ").filter(|path| !path.is_empty()).map(str::to_owned).collect(),
        }
    }
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
