//! Reads `fx_graphs.json`: the decisions of PyTorch's graph mode for the small models.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use qcore::Precision;
use serde::Deserialize;

use crate::decisions::{Decisions, Step, operation_name};

/// One model's graphs.
#[derive(Deserialize)]
pub struct Graphs {
    pub qconfig: String,
    pub input_shapes: Vec<Vec<usize>>,
    prepared: Vec<Row>,
    prepared_modules: HashMap<String, String>,
    same_observer_as: HashMap<String, String>,
    converted: Vec<Row>,
    converted_modules: HashMap<String, String>,
}

/// Kind, name, target and arguments of a node.
#[derive(Deserialize)]
struct Row(String, String, String, Vec<String>);

const OBSERVER: &str = "activation_post_process";

pub fn all() -> BTreeMap<String, Graphs> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/fx_graphs.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

impl Row {
    fn is_observer(&self) -> bool {
        self.2.starts_with(OBSERVER)
    }

    /// Neither a tensor nor a step between floats and integers comes out of these.
    fn is_left_out(&self) -> bool {
        self.0 == "get_attr" || self.0 == "output" || self.2 == "size"
    }

    /// The names of nodes among the arguments, also inside lists.
    fn operands<'a, T: Copy>(&'a self, known: &'a HashMap<&str, T>) -> impl Iterator<Item = T> + 'a {
        let words = self.3.iter().flat_map(|argument| {
            argument.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
        });
        words.filter_map(|word| known.get(word).copied())
    }
}

impl Graphs {
    pub fn decisions(&self) -> Decisions {
        let mut steps = self.prepared_steps();
        let precisions = self.converted_precisions();
        let operations: Vec<_> = steps.iter_mut().filter(|step| step.operation != "input").collect();
        assert_eq!(operations.len(), precisions.len(), "both graphs have the same operations");
        for (step, precision) in operations.into_iter().zip(precisions) {
            step.precision = precision;
        }
        let count = |target: &str| self.converted.iter().filter(|row| row.2 == target).count();
        Decisions {
            steps,
            quantizations: count("torch.quantize_per_tensor"),
            dequantizations: count("dequantize"),
        }
    }

    /// The operations of the prepared graph with their observers, before it is known how they compute.
    fn prepared_steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let mut step_of: HashMap<&str, usize> = HashMap::new();
        let mut first_with: HashMap<&str, usize> = HashMap::new();
        for row in self.prepared.iter().filter(|row| !row.is_left_out()) {
            let inputs: Vec<usize> = row.operands(&step_of).collect();
            if row.is_observer() {
                let observer = self.same_observer_as[&row.2].as_str();
                // A placeholder gives the dtype of the operation after it, and observes nothing.
                if !self.prepared_modules[observer].ends_with(".PlaceholderObserver") {
                    steps[inputs[0]].observer = Some(*first_with.entry(observer).or_insert(inputs[0]));
                }
                step_of.insert(&row.1, inputs[0]);
                continue;
            }
            let is_unobserved = |index: &usize| steps[*index].observer.is_none();
            let operation = self.operation(row, inputs.len());
            let follows = inputs.first().filter(|index| is_unobserved(index)).copied();
            if let (Some(index), "relu") = (follows, operation.as_str())
                && is_arithmetic(&steps[index].operation)
            {
                steps[index].operation += "relu";
                step_of.insert(&row.1, index);
                continue;
            }
            step_of.insert(&row.1, steps.len());
            steps.push(Step { operation, inputs, precision: Precision::Float, observer: None });
        }
        steps
    }

    fn operation(&self, row: &Row, inputs: usize) -> String {
        let name = match row.0.as_str() {
            "placeholder" => return "input".to_owned(),
            "call_module" => operation_name(&self.prepared_modules[&row.2]),
            _ => operation_name(&row.2),
        };
        if inputs == 1 && is_arithmetic(&name) { format!("{name}scalar") } else { name }
    }

    /// Of each operation of the converted graph how it computes.
    fn converted_precisions(&self) -> Vec<Precision> {
        let mut is_int8: HashMap<&str, bool> = HashMap::new();
        let mut precisions = Vec::new();
        for row in self.converted.iter().filter(|row| !row.is_left_out()) {
            let gives_int8 = match (row.0.as_str(), row.2.as_str()) {
                ("placeholder", _) | (_, "dequantize") => false,
                (_, "torch.quantize_per_tensor") => true,
                _ => {
                    let reads_int8 = row.operands(&is_int8).all(|operand| operand);
                    let module = self.converted_modules.get(&row.2).map_or("", String::as_str);
                    precisions.push(match reads_int8 {
                        true => Precision::Static,
                        false if module.contains(".dynamic.") => Precision::Dynamic,
                        false => Precision::Float,
                    });
                    reads_int8
                }
            };
            is_int8.insert(&row.1, gives_int8);
        }
        precisions
    }
}

fn is_arithmetic(operation: &str) -> bool {
    operation.starts_with("add") || operation.starts_with("mul")
}
