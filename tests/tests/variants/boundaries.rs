//! Between float and int8: islands, hand-made boundaries, attributes of fields.

use qcore::prelude::*;

use crate::by_hand::{apply, array, rectify};
use crate::{assert_variants, assert_variants_with, eighths, linear};

#[quantizable]
struct Island {
    before: Linear,
    inside: Linear,
    after: Linear,
}

#[quantizable]
impl Island {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = relu(self.before(x));
        let z = self.inside(dequant(y));
        self.after(quant(z + dequant(y)))
    }
}

#[test]
fn between_dequant_and_quant_everything_runs_in_float() {
    let model = Island { before: linear(4, 4, 0), inside: linear(4, 4, 3), after: linear(4, 4, 6) };
    let x = eighths(&[3, 4], 9);
    let y = rectify(&apply(&model.before, &array(&x)));
    let z = apply(&model.inside, &y) + &y;
    let int8 = assert_variants(&model, &x, &[apply(&model.after, &z)]);
    let edges = &int8.summary().edges;
    let precision = |path: &str| edges.iter().find(|edge| edge.path == path).unwrap().precision.as_str();
    assert_eq!(["before", "inside", "after"].map(precision), ["static", "float", "static"]);
    let mut weights = Vec::new();
    int8.visit_weights(&mut |path, _| weights.push(path.to_owned()));
    assert_eq!(weights, ["before", "after"]);
}

#[quantizable]
struct Manual {
    fc: Linear,
    #[quantizable(skip)]
    head: Linear,
}

#[quantizable(stubs = "manual")]
impl Manual {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.fc(quant(x));
        self.head(dequant(relu(y)))
    }
}

#[test]
fn boundaries_may_be_drawn_by_hand() {
    let model = Manual { fc: linear(4, 4, 0), head: linear(4, 2, 3) };
    let x = eighths(&[3, 4], 9);
    let y = apply(&model.head, &rectify(&apply(&model.fc, &array(&x))));
    assert_variants(&model, &x, &[y]);
}

fn narrow() -> QConfig {
    QConfig::default_per_channel_qconfig()
}

#[quantizable]
struct Marked {
    #[quantizable(rename = "features.0")]
    first: Linear,
    #[quantizable(rename = "features.1", qconfig = narrow)]
    second: Linear,
    #[quantizable(skip)]
    third: Linear,
    #[quantizable(unused)]
    auxiliary: Linear,
}

#[quantizable]
impl Marked {
    fn forward(&self, x: Tensor) -> Tensor {
        self.third(self.second(relu(self.first(x))))
    }
}

#[test]
fn fields_have_other_names_qconfigs_or_no_part_at_all() {
    let model = Marked {
        first: linear(4, 4, 0),
        second: linear(4, 4, 3),
        third: linear(4, 4, 6),
        auxiliary: linear(4, 9, 9),
    };
    let x = eighths(&[3, 4], 11);
    let y = apply(&model.second, &rectify(&apply(&model.first, &array(&x))));
    let mapping = QConfigMapping::for_backend(Backend::Native).module("features.0", None);
    let prepared = assert_variants_with(&model, &mapping, &x, &[apply(&model.third, &y)]);
    assert_eq!(prepared.observer("features.1").unwrap().name(), "MinMaxObserver");
    assert!(prepared.observer("first").is_none());
    let keys: Vec<String> = model.state_dict().shapes().into_keys().collect();
    for key in ["features.0.weight", "features.1.bias", "third.weight", "auxiliary.weight"] {
        assert!(keys.iter().any(|known| known == key), "{key} of {keys:?}");
    }
    let mut weights = Vec::new();
    prepared.convert().unwrap().visit_weights(&mut |path, _| weights.push(path.to_owned()));
    assert_eq!(weights, ["features.1"]);
}

#[quantizable]
struct Dumped {
    fc: Linear,
}

#[quantizable(dump)]
impl Dumped {
    fn forward(&self, x: Tensor) -> Tensor {
        relu(self.fc(x))
    }
}

#[test]
fn a_dump_tells_what_the_macro_did() {
    assert!(Dumped::DUMP.contains("# after fusion"), "{}", Dumped::DUMP);
    assert_eq!(Dumped::FUSIONS, [["fc", "relu"]]);
    let graph = Dumped::GRAPH.to_string();
    assert!(graph.contains("fc") && graph.contains("int8"), "{graph}");
    assert!(Dumped::GRAPH.to_dot().starts_with("digraph"), "{}", Dumped::GRAPH.to_dot());
    let model = Dumped { fc: linear(4, 4, 0) };
    let x = eighths(&[3, 4], 9);
    assert_variants(&model, &x, &[rectify(&apply(&model.fc, &array(&x)))]);
}
