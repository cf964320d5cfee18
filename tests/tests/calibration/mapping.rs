//! Which entry of a mapping decides for which operation.

use qcore::observer::{MinMaxObserver, default_per_channel_weight_observer};
use qcore::prelude::*;
use qcore::{Error, Precision, Prepared};

/// A qconfig that is told from others by the eps of its activations.
fn marked(mark: u8) -> QConfig {
    QConfig::new(MinMaxObserver::new().eps(f32::from(mark)), default_per_channel_weight_observer())
}

fn attribute() -> QConfig {
    marked(99)
}

#[quantizable]
struct Block {
    fc1: Linear,
    fc2: Linear,
}

#[quantizable]
impl Block {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.fc2(self.fc1(x));
        let sum = y + x;
        sum + y
    }
}

#[quantizable]
struct Model {
    blocks: Vec<Block>,
    fc: Linear,
    #[quantizable(qconfig = attribute)]
    own: Linear,
    #[quantizable(qconfig = attribute)]
    inner: Block,
    #[quantizable(skip)]
    float: Linear,
}

#[quantizable]
impl Model {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut y = self.fc(x);
        for block in &self.blocks {
            y = block(y);
        }
        let y = self.inner(self.own(self.fc(y)));
        self.float(y)
    }
}

fn model() -> Model {
    let linear = || Linear::new(4, 4);
    let block = || Block { fc1: linear(), fc2: linear() };
    Model { blocks: vec![block(), block()], fc: linear(), own: linear(), inner: block(), float: linear() }
}

fn prepared(mapping: &QConfigMapping) -> Prepared<Model> {
    model().prepare(mapping).unwrap()
}

#[track_caller]
fn assert_decides_nothing(mapping: &QConfigMapping, expected: &[&str]) {
    let error = model().prepare(mapping).unwrap_err();
    let Error::IneffectiveEntries { entries } = error else { panic!("{error}") };
    let found: Vec<&str> = entries.iter().map(|(entry, _)| entry.as_str()).collect();
    assert_eq!(found, expected);
}

/// The mark of the qconfig that `path` got; `None` if it stays in float.
fn mark(prepared: &Prepared<Model>, path: &str) -> Option<u8> {
    let node = prepared.plan().nodes().find(|node| node.path() == path).unwrap();
    if node.precision() == Precision::Float {
        assert!(node.float_reason().is_some(), "{path}");
        return None;
    }
    let observer = prepared.observer(path).unwrap();
    Some(observer.as_any().downcast_ref::<MinMaxObserver>().unwrap().settings().eps as u8)
}

#[track_caller]
fn assert_marks(mapping: &QConfigMapping, expected: &[(&str, Option<u8>)]) {
    let prepared = prepared(mapping);
    let found: Vec<_> = expected.iter().map(|(path, _)| (*path, mark(&prepared, path))).collect();
    assert_eq!(found, expected, "{}", prepared.plan());
}

#[test]
fn the_nearer_entry_wins() {
    let last = "blocks.1.fc2";
    let mut mapping = QConfigMapping::new();
    assert_marks(&mapping, &[(last, None), ("fc", None)]);
    mapping = mapping.global(marked(1));
    assert_marks(&mapping, &[(last, Some(1)), ("blocks.1.y_plus_x", Some(1)), ("fc", Some(1))]);
    mapping = mapping.module_type::<Linear>(marked(2)).object_type("add", marked(3));
    assert_marks(&mapping, &[(last, Some(2)), ("blocks.1.y_plus_x", Some(3)), ("fc", Some(2))]);
    mapping = mapping.module_name_regex(r"blocks\.\d+\.fc2", marked(4)).unwrap();
    assert_marks(&mapping, &[(last, Some(4)), ("blocks.1.fc1", Some(2)), ("blocks.1.y_plus_x", Some(3))]);
    mapping = mapping.module("blocks.1", marked(5));
    assert_marks(
        &mapping,
        &[
            (last, Some(5)),
            ("blocks.0.fc2", Some(4)),
            ("blocks.1.fc1", Some(5)),
            ("blocks.1.y_plus_x", Some(5)),
        ],
    );
    mapping = mapping.module(last, marked(6));
    assert_marks(&mapping, &[(last, Some(6)), ("blocks.1.fc1", Some(5))]);
    mapping = mapping.module_name_object_type_order("blocks.0", "add", 0, None);
    assert_marks(&mapping, &[(last, Some(6)), ("blocks.1.fc1", Some(5)), ("blocks.0.y_plus_x", None)]);
    // The entry of the very call comes before the one of its position, which so decides nothing.
    mapping = mapping.module_name_object_type_order("blocks.1", "Linear", 1, marked(7));
    assert_decides_nothing(&mapping, &["module_name_object_type_order(\"blocks.1\", \"Linear\", 1)"]);
}

#[test]
fn a_position_comes_before_the_name_of_a_module_around() {
    let mapping = QConfigMapping::new()
        .global(marked(1))
        .module("blocks.1", marked(5))
        .module_name_object_type_order("blocks.1", "Linear", 1, marked(7))
        .module_name_object_type_order("", "Linear", 1, marked(8));
    let expected = [("blocks.1.fc1", Some(5)), ("blocks.1.fc2", Some(7)), ("fc", Some(1)), ("fc#1", Some(8))];
    assert_marks(&mapping, &expected);
}

#[test]
fn a_single_call_has_a_name_of_its_own() {
    let mapping = QConfigMapping::new().global(marked(1)).module("fc#1", None);
    assert_marks(&mapping, &[("fc", Some(1)), ("fc#1", None)]);
    let mapping = QConfigMapping::new()
        .global(marked(1))
        .module("blocks.0.y_plus_x", marked(2))
        .module("blocks.1.y_plus_x", None);
    assert_marks(
        &mapping,
        &[
            ("blocks.0.y_plus_x", Some(2)),
            ("blocks.1.y_plus_x", None),
            ("blocks.1.fc2", Some(1)),
            ("inner.y_plus_x", Some(99)),
        ],
    );
}

#[test]
fn an_attribute_comes_before_types_and_gives_way_to_names() {
    let base = || QConfigMapping::new().global(marked(1)).module_type::<Linear>(marked(2));
    let pattern = base().module_name_regex("own|inner", marked(3)).unwrap();
    assert_decides_nothing(&pattern, &["module_name_regex(\"own|inner\")"]);
    assert_marks(&base(), &[("own", Some(99)), ("inner.fc1", Some(99)), ("inner.y_plus_x", Some(99))]);
    assert_marks(&QConfigMapping::new(), &[("own", Some(99)), ("inner.fc2", Some(99)), ("fc", None)]);
    let named = base().module("own", marked(4)).module("inner.fc2", None);
    assert_marks(&named, &[("own", Some(4)), ("inner.fc1", Some(99)), ("inner.fc2", None)]);
    let around = base().module("inner", marked(5));
    assert_marks(&around, &[("inner.fc1", Some(5)), ("inner.y_plus_x", Some(5)), ("own", Some(99))]);
    // `own` is the third call of a Linear in the model itself.
    let positioned = base().module_name_object_type_order("", "Linear", 2, marked(6));
    assert_marks(&positioned, &[("own", Some(6)), ("fc#1", Some(2))]);
}

#[test]
fn what_the_source_skips_no_mapping_takes_back() {
    let mapping = QConfigMapping::new()
        .global(marked(1))
        .module("float", marked(2))
        .module_name_object_type_order("", "Linear", 3, marked(3));
    assert_decides_nothing(
        &mapping,
        &["module(\"float\")", "module_name_object_type_order(\"\", \"Linear\", 3)"],
    );
    let prepared = prepared(&QConfigMapping::new().global(marked(1)));
    assert_eq!(mark(&prepared, "float"), None);
    assert!(prepared.plan().to_string().contains("quantizable(skip)"), "{}", prepared.plan());
    assert!(prepared.observer("float").is_none(), "no int8 operation reads it");
}

#[test]
fn a_later_entry_replaces_an_earlier_one_and_the_first_pattern_counts() {
    let mapping = QConfigMapping::new()
        .module("fc", marked(1))
        .module("fc", marked(2))
        .module_name_regex("blocks", marked(5))
        .unwrap();
    assert_marks(&mapping, &[("fc", Some(2)), ("blocks.0.fc1", Some(5)), ("blocks.1.fc2", Some(5))]);
    let later = mapping.module_name_regex("blocks.0", marked(6)).unwrap();
    assert_decides_nothing(&later, &["module_name_regex(\"blocks.0\")"]);
    let types = QConfigMapping::new().object_type("Linear", marked(3)).object_type("Linear", marked(4));
    assert_marks(&types, &[("fc", Some(4)), ("blocks.0.fc1", Some(4))]);
}
