//! Snapshots: `snapshots/x.rs` is what a user writes, `snapshots/x.expanded.rs` what is generated for it.
//! `qp` stands for `::qcore::__private`.
//!
//! `BLESS=1 cargo test -p qmacros` writes them anew; read the difference.

use std::path::{Path, PathBuf};
use std::{env, fs};

use super::generate;
use crate::ir::lower::testing::lowered;
use crate::passes;

fn expanded(source: &str) -> String {
    let lowered = lowered(source).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let plan = passes::run(lowered.graph, &lowered.forward.options);
    assert!(plan.diagnostics.is_empty(), "{:?}", plan.diagnostics);
    let tokens = generate(&lowered.model, &lowered.forward, &plan);
    let text = tokens.to_string().replace(":: qcore :: __private ::", "qp ::");
    let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
    prettyplease::unparse(&file)
}

fn compare(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/codegen/snapshots");
    let read = |path: &PathBuf| fs::read_to_string(path).unwrap_or_default();
    let source = read(&folder.join(format!("{name}.rs")));
    let snapshot = folder.join(format!("{name}.expanded.rs"));
    let found = expanded(&source);
    if env::var_os("BLESS").is_some() {
        fs::write(&snapshot, &found).unwrap_or_else(|error| panic!("{error}"));
    }
    assert_eq!(read(&snapshot), found, "`{name}` expands differently; BLESS=1 accepts it");
}

#[test]
fn basic_block() {
    compare("basic_block");
}

#[test]
fn loop_of_models() {
    compare("loop_of_models");
}

#[test]
fn generic_and_tuples() {
    compare("generic_and_tuples");
}

#[test]
fn shapes() {
    compare("shapes");
}

#[test]
fn optional_tensors() {
    compare("optional_tensors");
}

#[test]
fn several() {
    compare("several");
}
