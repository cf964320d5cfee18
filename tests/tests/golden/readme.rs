//! README's table of operations: written from the catalogue and from the cases that run here.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use qcatalogue::{Operation, OutputRule, Parameter, Precision, operations};

use crate::index::Golden;
use crate::not_yet::is_not_yet;

const START: &str = "<!-- operations: written by `BLESS=1 cargo test -p tests --test golden readme` -->\n";
const END: &str = "<!-- end of operations -->";

#[test]
fn the_table_of_operations_in_the_readme_is_that_of_the_catalogue() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(START).expect("the start of the table");
    let (table, after) = rest.split_once(END).expect("the end of the table");
    let written = written();
    if env::var_os("BLESS").is_some() {
        fs::write(&path, [before, START, &written, END, after].concat()).unwrap();
    } else {
        assert!(table == written, "README's table is old: {START}");
    }
}

fn written() -> String {
    let golden = Golden::open(&super::own_folder()).unwrap();
    let cases = golden.cases().unwrap();
    let run: Vec<&str> =
        cases.iter().filter(|case| !is_not_yet(case.topic(), case.op())).map(|case| case.op()).collect();

    let mut table = String::from(
        "\n| function | layer | precisions | scale of the int8 output | cases of PyTorch's |\n|---|---|---|---|---|\n",
    );
    // Those that differ in their dimensions alone share a row.
    for family in operations().chunk_by(|a, b| family(a) == family(b)) {
        let first = &family[0];
        let layers: Vec<String> = family.iter().filter_map(|row| row.layer).map(quoted).collect();
        let precisions: Vec<&str> = first.precisions.iter().map(|precision| word(*precision)).collect();
        let number = run.iter().filter(|op| family.iter().any(|row| computes(row, op))).count();
        let number = if number == 0 { "–".to_owned() } else { number.to_string() };
        writeln!(
            table,
            "| {} | {} | {} | {} | {number} |",
            calls(family),
            layers.join(", "),
            precisions.join(", "),
            if first.supports(Precision::Static) { scale(first.output) } else { "" },
        )
        .unwrap();
    }
    table + "\n"
}

/// What the operations of several dimensions have in common.
fn family(row: &Operation) -> (String, &[Precision], OutputRule) {
    (row.name.replace(|c: char| c.is_ascii_digit(), ""), row.precisions, row.output)
}

/// The functions with PyTorch's names of their arguments.
fn calls(family: &[Operation]) -> String {
    let names: Vec<String> = family.iter().flat_map(Operation::functions).map(quoted).collect();
    let arguments = family.iter().find(|row| row.function.is_some()).map_or(Vec::new(), |row| {
        row.parameters.iter().enumerate().map(|(i, parameter)| argument(row, i, parameter)).collect()
    });
    match arguments.as_slice() {
        [] => names.join(", "),
        _ => format!("{} ({})", names.join(", "), arguments.join(", ")),
    }
}

/// With a question mark if it may be left out.
fn argument(row: &Operation, position: usize, parameter: &Parameter) -> String {
    let mark = if position < row.required { "" } else { "?" };
    format!("{}{mark}", parameter.name.replace('_', "\\_"))
}

fn quoted(name: &str) -> String {
    format!("`{name}`")
}

fn word(precision: Precision) -> &'static str {
    match precision {
        Precision::Float => "float",
        Precision::Static => "static int8",
        Precision::Dynamic => "dynamic int8",
        Precision::WeightOnly => "weight-only",
        Precision::Half => "half",
    }
}

fn scale(rule: OutputRule) -> &'static str {
    match rule {
        OutputRule::Observed => "observed",
        OutputRule::SameAsInput | OutputRule::Moved => "its input's",
        OutputRule::Shared => "one for all inputs and the output",
        OutputRule::Derived => "its input's (PyTorch's backends) or computed from it (`Native`)",
        OutputRule::Quantize => "observed: from float to int8",
        OutputRule::Dequantize => "none: from int8 to float",
    }
}

/// Whether a case of this name is one of the operation: `conv2d_relu` of `Conv2d`, but `add_scalar` not of `add`.
fn computes(row: &Operation, op: &str) -> bool {
    let op = if op.starts_with("rnn_") { "rnn_cell" } else { op };
    let labels = operations().iter().map(|row| row.label);
    let longest = labels.filter(|label| begins(op, label)).max_by_key(|label| label.len());
    match longest {
        Some(label) => row.label == label,
        // `instance_norm` for all dimensions.
        None => row.label.strip_prefix(op).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())),
    }
}

fn begins(op: &str, label: &str) -> bool {
    op.strip_prefix(label).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}
