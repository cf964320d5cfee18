//! Entries of a mapping that decide nothing.

use qcore::observer::MinMaxObserver;
use qcore::prelude::*;
use qcore::{Error, Result};
use tests::networks::{Network, TwoWays};

use crate::{assert_contains, message};

fn qconfig() -> QConfig {
    QConfig::new(MinMaxObserver::new(), qcore::observer::default_per_channel_weight_observer())
}

fn native() -> QConfigMapping {
    QConfigMapping::for_backend(Backend::Native)
}

#[track_caller]
fn refused(mapping: QConfigMapping, parts: &[&str]) {
    assert_contains(&message(Network::small().prepare(&mapping)), parts);
}

#[test]
fn what_the_model_does_not_have_is_refused_with_the_nearest() {
    refused(native().object_type("conv2d", None), &["no `conv2d`", "did you mean `Conv2d`?"]);
    refused(native().object_type("Conv1d", None), &["no `Conv1d`", "did you mean `Conv2d`?"]);
    refused(native().object_type("RELU", None), &["no `RELU`", "did you mean `relu`?"]);
    refused(native().object_type("LayerNorm", qconfig()), &["no `LayerNorm`"]);
    refused(native().object_type("", None), &["no ``"]);
    refused(native().module_name_regex("layer\\.0", None).unwrap(), &["no `layer\\.0`"]);
    refused(
        native().module_name_regex("layers.9", None).unwrap(),
        &["no `layers.9`", "did you mean `layers."],
    );
    refused(native().module("convv", None), &["no `convv`"]);
    refused(native().module_name_object_type_order("layers.0", "Conv2d", 2, None), &["Conv2d 2 in layers.0"]);
    refused(
        native().module_name_object_type_order("layers.0", "conv2d", 0, None),
        &["did you mean `Conv2d 0 in layers.0`"],
    );
    refused(native().module_name_object_type_order("layer.0", "Conv2d", 0, None), &["`layer.0`"]);
    let both = native().object_type("Linaer", None).module("fcc", None);
    refused(both, &["no `Linaer`", "`Linear`", "no `fcc`", "`fc`"]);
}

#[test]
fn what_runs_fused_goes_by_the_first_of_its_group() {
    for mapping in [
        native().object_type("BatchNorm2d", None),
        native().module("bn1", None),
        native().module("layers.0.bn2", qconfig()),
        native().module_name_regex(".*bn", None).unwrap(),
    ] {
        refused(mapping, &["decides nothing", "runs fused in"]);
    }
    let error = Network::small().prepare(&native().module("bn1", None)).unwrap_err();
    assert_contains(&error.to_string(), &["`module(\"bn1\")`", "`conv1`"]);
    assert!(matches!(error, Error::IneffectiveEntries { entries } if entries.len() == 1));
}

#[test]
fn what_nearer_entries_decide_is_refused() {
    let all = native().module("fc", None).object_type("Linear", qconfig());
    refused(all, &["`object_type(\"Linear\")` decides nothing", "nearer"]);
    let patterns = native()
        .module_name_regex("layers", None)
        .and_then(|mapping| mapping.module_name_regex("layers.0", None));
    refused(patterns.unwrap(), &["`module_name_regex(\"layers.0\")` decides nothing"]);
    let inside = native().module("layers.0", None).module("layers.1", None).module("layers", qconfig());
    refused(inside, &["`module(\"layers\")` decides nothing"]);
    let skipped = TwoWays::new(true).prepare(&native().module("float", qconfig()));
    assert_contains(&message(skipped), &["`module(\"float\")` decides nothing", "skip"]);
}

#[test]
fn entries_that_decide_something_are_accepted() -> Result<()> {
    let model = Network::small();
    for mapping in [
        QConfigMapping::new(),
        QConfigMapping::new().global(None),
        native().object_type("Linear", None).module("layers", qconfig()).module("layers.1.conv1", None),
        native().object_type("flatten", None).module_type::<Conv2d>(qconfig()),
        native().object_type("add", None).module_name_regex("layers.*conv", None)?,
        native().module_name_object_type_order("layers.1", "add", 0, None).module("conv1", None),
    ] {
        model.prepare(&mapping)?;
    }
    Ok(())
}
