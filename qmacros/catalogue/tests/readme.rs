//! README's table of what is supported names the catalogue's fusions.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn the_fusions_are_those_of_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = fs::read_to_string(path).expect("README.md");
    let line = text.lines().find(|line| line.starts_with("| fused |")).expect("the row of fusions");
    let written: BTreeSet<&str> = line.split('`').skip(1).step_by(2).collect();
    let names: BTreeSet<&str> = qcatalogue::fusions().iter().map(|fusion| fusion.name).collect();
    assert_eq!(written, names);
}
