//! README's table "Supported" and the catalogue say the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names in backticks of a row of the table.
fn row(title: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = fs::read_to_string(path).expect("README.md");
    let start = format!("| {title} |");
    let line = text.lines().find(|line| line.starts_with(&start)).expect(title);
    line.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn names(names: impl Iterator<Item = &'static str>) -> BTreeSet<String> {
    names.map(str::to_owned).collect()
}

#[test]
fn the_layers_are_those_of_the_catalogue_and_sequential() {
    assert_eq!(row("layers"), names(qcatalogue::layers().chain(["Sequential"])));
}

#[test]
fn the_operations_are_the_functions_of_the_catalogue_and_operators() {
    assert_eq!(row("operations"), names(qcatalogue::functions().chain(["+ - *"])));
}

#[test]
fn the_fusions_are_those_of_the_catalogue() {
    assert_eq!(row("fused"), names(qcatalogue::fusions().iter().map(|fusion| fusion.name)));
}
