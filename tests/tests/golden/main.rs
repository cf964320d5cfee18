//! Parity with PyTorch: every case of a set of reference data whose operation the project has.
//!
//! The set is the folder that the environment variable `GOLDEN_DIR` names, otherwise `tests/golden`. Cases are
//! driven by their operation, backend and parameters; nothing depends on their names or on a set's shapes.

mod activations;
mod comparison;
mod elementwise;
mod fold;
mod index;
mod lowering;
mod models;
mod norms;
mod observers;
mod pooling;
mod qparams;
mod quantize;
mod weighted;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Result;

use crate::comparison::Findings;
use crate::index::{Case, Golden};

/// Whether a topic has the operation of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    Yes,
    NotInTheProject,
}

/// Runs a case and records in the findings how its results compare.
type Topic = fn(&Case<'_>, &mut Findings<'_>) -> Result<Ran>;

const TOPICS: [(&str, Topic); 12] = [
    ("qparams", qparams::run),
    ("observers", observers::run),
    ("histogram", observers::run),
    ("quantize", quantize::run),
    ("linear", weighted::run),
    ("conv", weighted::run),
    ("elementwise", elementwise::run),
    ("activations", activations::run),
    ("norms", norms::run),
    ("pooling", pooling::run),
    ("fold", fold::run),
    ("models", models::run),
];

/// What became of the cases of one topic.
#[derive(Default)]
struct Tally {
    cases: usize,
    exact: usize,
    largest_step: i64,
    largest_float_difference: f64,
    not_run: usize,
    missing_operations: BTreeSet<String>,
}

impl Tally {
    fn print(&self, topic: &str) {
        let mut line = format!(
            "{topic}: {} cases, {} exact, max step difference {}",
            self.cases, self.exact, self.largest_step
        );
        if self.largest_float_difference > 0.0 {
            line += &format!(", max float difference {:.1e}", self.largest_float_difference);
        }
        if self.not_run > 0 {
            let missing: Vec<_> = self.missing_operations.iter().map(String::as_str).collect();
            line += &format!("; {} not run, not in the project yet: {}", self.not_run, missing.join(", "));
        }
        println!("{line}");
    }
}

#[test]
fn every_operation_agrees_with_pytorch() {
    let golden = Golden::open(&folder()).unwrap();
    let mut tallies: BTreeMap<usize, Tally> = BTreeMap::new();
    let mut topics: Vec<String> = Vec::new();
    let mut failures = Vec::new();
    for case in golden.cases().unwrap() {
        let position = topics.iter().position(|topic| topic == case.topic()).unwrap_or_else(|| {
            topics.push(case.topic().to_owned());
            topics.len() - 1
        });
        let tally = tallies.entry(position).or_default();
        let topic = TOPICS.iter().find(|(name, _)| *name == case.topic());
        let mut findings = Findings::new(&case);
        let ran = match topic {
            Some((_, run)) => run(&case, &mut findings),
            None => Ok(Ran::NotInTheProject),
        };
        match ran {
            Ok(Ran::NotInTheProject) => {
                tally.not_run += 1;
                tally.missing_operations.insert(case.op().to_owned());
                continue;
            }
            Ok(Ran::Yes) => findings.finish(),
            Err(error) => findings.fail(format!("{error:#}")),
        }
        tally.cases += 1;
        tally.exact += usize::from(findings.is_exact());
        tally.largest_step = tally.largest_step.max(findings.largest_step);
        tally.largest_float_difference =
            tally.largest_float_difference.max(findings.largest_float_difference);
        failures.extend(findings.failures.iter().map(|failure| format!("{}: {failure}", case.label())));
    }
    for (position, tally) in &tallies {
        tally.print(&topics[*position]);
    }
    let ran: usize = tallies.values().map(|tally| tally.cases).sum();
    assert!(ran > 0, "{} has no case of an operation that the project has", golden.folder().display());
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
}

fn folder() -> PathBuf {
    match std::env::var_os("GOLDEN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden"),
    }
}
