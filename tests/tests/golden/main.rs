//! Parity with PyTorch: every case of a set of reference data whose operation the project has.
//!
//! The set is the folder that the environment variable `GOLDEN_DIR` names, otherwise `tests/golden`. Cases are
//! driven by their operation, backend and parameters; nothing depends on their names or on a set's shapes.

mod activations;
mod comparison;
mod dynamic_linear;
mod dynamic_rnn;
mod elementwise;
mod embedding;
mod fake_quant;
mod fold;
mod index;
mod lowering;
mod models;
mod norms;
mod not_yet;
mod numeric_suite;
mod observers;
mod pooling;
mod qat;
mod qparams;
mod quantize;
mod readme;
mod weighted;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::comparison::{Findings, Limits};
use crate::index::{Case, Golden};
use crate::not_yet::{NOT_YET, is_not_yet};

/// Runs a case and records in the findings how its results compare; an error if the project lacks the operation.
type Topic = fn(&Case<'_>, &mut Findings<'_>) -> Result<()>;

const TOPICS: &[(&str, Topic)] = &[
    ("qparams", qparams::run),
    ("observers", observers::run),
    ("histogram", observers::run),
    ("quantize", quantize::run),
    ("linear", weighted::run),
    ("conv", weighted::run),
    ("conv_transpose", weighted::run),
    ("dynamic_linear", dynamic_linear::run),
    ("dynamic_rnn", dynamic_rnn::run),
    ("elementwise", elementwise::run),
    ("embedding", embedding::run),
    ("activations", activations::run),
    ("norms", norms::run),
    ("pooling", pooling::run),
    ("fake_quant", fake_quant::run),
    ("qat", qat::run),
    ("fold", fold::run),
    ("models", models::run),
    ("numeric_suite", numeric_suite::run),
];

fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    match TOPICS.iter().find(|(name, _)| *name == case.topic()) {
        Some((_, run)) => run(case, findings),
        None => bail!("no topic `{}`", case.topic()),
    }
}

/// The operation of a case, by its name in the list of missing ones.
fn operation(case: &Case<'_>) -> Result<String> {
    match case.topic() {
        "fold" => fold::operation(case),
        "qat" => qat::operation(case),
        _ => Ok(case.op().to_owned()),
    }
}

/// The cases of our own set that need not be PyTorch's to the bit: float convolutions and products, whose order of
/// summation is not known, what is trained, whose gradients are such sums, and exponentials and tangents in float. In
/// other sets a tie can fall the other way elsewhere too, as far as a case's tolerance allows.
fn is_inexact(topic: &str, operation: &str) -> bool {
    (topic, operation) == ("models", "fx_ptq")
        || topic == "numeric_suite"
        || topic == "qat"
        || topic == "dynamic_rnn"
        || (topic, operation) == ("dynamic_linear", "linear_dynamic_fp16")
        || operation.starts_with("fake_quantize_learnable")
}

/// The results of the cases of one topic.
#[derive(Default)]
struct Tally {
    cases: usize,
    exact: usize,
    largest_step: i64,
    largest_float_difference: f64,
    not_run: usize,
    not_yet: BTreeSet<String>,
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
            let operations: Vec<_> = self.not_yet.iter().map(String::as_str).collect();
            line += &format!("; {} not run, not in the project yet: {}", self.not_run, operations.join(", "));
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
    let is_own = golden.folder() == own_folder();
    for case in golden.cases().unwrap() {
        let position = topics.iter().position(|topic| topic == case.topic()).unwrap_or_else(|| {
            topics.push(case.topic().to_owned());
            topics.len() - 1
        });
        let tally = tallies.entry(position).or_default();
        let operation = operation(&case).unwrap();
        let is_exact = is_own && !is_inexact(case.topic(), &operation);
        let limits = if is_exact { Limits::EXACT } else { case.tolerance().into() };
        let mut findings = Findings::new(&case, limits);
        let result = run(&case, &mut findings);
        match (is_not_yet(case.topic(), &operation), result) {
            (true, Err(_)) => {
                tally.not_run += 1;
                tally.not_yet.insert(operation);
                continue;
            }
            (true, Ok(())) => {
                findings.fail(format!("`{operation}` runs, so it does not belong in not_yet.rs"))
            }
            (false, Ok(())) => findings.finish(),
            (false, Err(error)) => findings.fail(format!("{error:#}")),
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

#[test]
fn the_list_of_what_is_not_there_yet_names_operations_of_the_set() {
    let golden = Golden::open(&own_folder()).unwrap();
    let cases = golden.cases().unwrap();
    let has = |topic: &str, name: &str| {
        cases.iter().any(|case| case.topic() == topic && operation(case).unwrap() == name)
    };
    for (topic, operations) in NOT_YET {
        let unknown: Vec<_> = operations.iter().filter(|operation| !has(topic, operation)).collect();
        assert!(unknown.is_empty(), "{topic} has no {unknown:?}");
    }
}

fn folder() -> PathBuf {
    std::env::var_os("GOLDEN_DIR").map_or_else(own_folder, PathBuf::from)
}

fn own_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}
