//! Files of format version 1, written by the code of that time: they load, and answer the same bytes.

use std::path::PathBuf;

use qcore::prelude::*;
use qcore::{Converted, StateDict};

use crate::parts::Parts;
use crate::scratch;

/// One of each kind of weights, with bias and without, and an addition.
#[quantizable]
struct Stored {
    stem: Conv2d,
    depthwise: Conv2d,
    pointwise: Conv2d,
    fc: Linear,
}

#[quantizable]
impl Stored {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor) {
        let x = relu(self.stem(x));
        let y = self.pointwise(relu(self.depthwise(x)));
        let y = relu(y + x);
        (self.fc(adaptive_avg_pool2d(y, 2).flatten(1)), y)
    }
}

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "files", "version_1", name].iter().collect()
}

/// What the code of that time took and gave.
fn answer(name: &str) -> Tensor {
    StateDict::open(fixture("answers.safetensors")).unwrap().get(name).unwrap().unwrap()
}

#[test]
fn files_of_version_1_answer_the_same_bytes() {
    // Weights with a scale for each channel, and with one.
    for backend in [Backend::Fbgemm, Backend::Qnnpack] {
        let path = fixture(&format!("{backend}.safetensors"));
        assert_eq!(Parts::of(&std::fs::read(&path).unwrap()).contents()["version"], 1);
        let expected = (answer(&format!("{backend}.logits")), answer(&format!("{backend}.image")));
        let model = Converted::<Stored>::load(path).unwrap();
        assert_eq!(model.forward(answer("input")).unwrap(), expected, "{backend}");

        let (_folder, path) = scratch("again.safetensors");
        model.save(&path).unwrap();
        assert_eq!(Parts::of(&std::fs::read(&path).unwrap()).contents()["version"], 2);
        let again = Converted::<Stored>::load(path).unwrap();
        assert_eq!(again.forward(answer("input")).unwrap(), expected, "{backend}, saved again");
    }
}
