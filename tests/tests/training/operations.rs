//! Operations in float and the gradients of their inputs and parameters against PyTorch (`tests/golden/operations.py`).

use std::collections::{BTreeMap, BTreeSet};

use qcore::ops::{self, Lowering, Op, Upsample, UpsampleMode};
use qcore::train::Backward;
use qcore::{AnyTensor, Size, Tensor, evaluate};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct Case {
    name: String,
    arguments: serde_json::Map<String, serde_json::Value>,
    inputs: Vec<Values>,
    output: Values,
    gradient: Values,
    gradients: Vec<Values>,
    /// Each with its gradient.
    #[serde(default)]
    parameters: BTreeMap<String, [Values; 2]>,
}

#[derive(Deserialize)]
struct Values {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Values {
    fn tensor(&self) -> Tensor {
        Tensor::from_vec(&self.shape, self.values.clone()).unwrap()
    }

    fn assert_close(&self, what: &str, found: &Tensor) {
        assert_eq!(found.shape(), self.shape, "{what}");
        for (found, expected) in found.view().iter().zip(&self.values) {
            assert!(
                (found - expected).abs() <= 2e-6 + 2e-6 * expected.abs(),
                "{what}: {found} for {expected}"
            );
        }
    }
}

impl Case {
    fn given<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.arguments.get(name).map(|value| serde_json::from_value(value.clone()).unwrap())
    }

    fn argument<T: DeserializeOwned>(&self, name: &str) -> T {
        self.given(name).unwrap()
    }

    /// Sets the parameters.
    fn with_parameters<T: Op>(&self, mut op: T) -> Box<dyn Op> {
        op.parameters_mut("", &mut |name, tensor| *tensor = self.parameters[&name][0].tensor());
        Box::new(op)
    }

    fn operation(&self) -> Box<dyn Op> {
        let has_parameters = !self.parameters.is_empty();
        let mode = || self.argument::<String>("mode");
        match self.name.as_str() {
            "matmul" => Box::new(ops::matmul().unwrap()),
            "maximum" => Box::new(ops::maximum().unwrap()),
            "minimum" => Box::new(ops::minimum().unwrap()),
            "abs" => Box::new(ops::abs().unwrap()),
            "neg" => Box::new(ops::neg().unwrap()),
            "exp" => Box::new(ops::exp().unwrap()),
            "square" => Box::new(ops::square().unwrap()),
            "sqrt" => Box::new(ops::sqrt().unwrap()),
            "interpolate" => {
                let upsample = match self.given::<[usize; 2]>("size") {
                    Some(size) => Upsample::size(Size::from(size)),
                    None => Upsample::scale_factor(self.argument("scale_factor")),
                };
                let is_bilinear = mode() == "bilinear";
                let mode = if is_bilinear { UpsampleMode::Bilinear } else { UpsampleMode::Nearest };
                Box::new(upsample.mode(mode).align_corners(self.argument("align_corners")))
            }
            "pad" => {
                let pad = self.argument::<Vec<isize>>("pad");
                Box::new(ops::pad(pad, Some(&mode()), Some(self.argument("value"))).unwrap())
            }
            "pixel_shuffle" => Box::new(ops::pixel_shuffle(self.argument("factor")).unwrap()),
            "pixel_unshuffle" => Box::new(ops::pixel_unshuffle(self.argument("factor")).unwrap()),
            "squeeze" => Box::new(ops::squeeze(self.given("dim")).unwrap()),
            "unsqueeze" => Box::new(ops::unsqueeze(self.argument("dim")).unwrap()),
            "narrow" => {
                let [dim, start] = ["dim", "start"].map(|name| self.argument(name));
                Box::new(ops::narrow(dim, start, self.argument("length")).unwrap())
            }
            "select" => Box::new(ops::select(self.argument("dim"), self.argument("index")).unwrap()),
            "expand" => Box::new(ops::expand(self.argument::<Vec<isize>>("sizes")).unwrap()),
            "stack" => Box::new(ops::stack(Some(self.argument("dim"))).unwrap()),
            "gelu" => Box::new(ops::gelu(self.given::<String>("approximate").as_deref()).unwrap()),
            "elu" => Box::new(ops::elu(self.given("alpha")).unwrap()),
            "celu" => Box::new(ops::celu(self.given("alpha")).unwrap()),
            "threshold" => {
                let [threshold, value] = ["threshold", "value"].map(|name| self.argument::<f64>(name));
                Box::new(ops::threshold(threshold, value).unwrap())
            }
            "prelu" => self.with_parameters(ops::PReLU::new(self.argument("channels"))),
            "layer_norm" => {
                let norm = ops::LayerNorm::new(self.argument::<Vec<usize>>("shape"));
                let has_bias = self.parameters.contains_key("bias");
                self.with_parameters(norm.elementwise_affine(has_parameters).bias(has_bias))
            }
            "group_norm" => {
                let [groups, channels] = ["groups", "channels"].map(|name| self.argument(name));
                self.with_parameters(ops::GroupNorm::new(groups, channels).affine(has_parameters))
            }
            "instance_norm" => {
                let channels = self.argument("channels");
                match self.inputs[0].shape.len() {
                    3 => self.with_parameters(ops::InstanceNorm1d::new(channels).affine(has_parameters)),
                    4 => self.with_parameters(ops::InstanceNorm2d::new(channels).affine(has_parameters)),
                    _ => self.with_parameters(ops::InstanceNorm3d::new(channels).affine(has_parameters)),
                }
            }
            other => panic!("no operation `{other}`"),
        }
    }
}

#[test]
fn operations_and_their_gradients_are_those_of_pytorch() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../golden/operations.json")).unwrap();
    let mut names = BTreeSet::new();
    for (index, case) in cases.iter().enumerate() {
        let (what, op) = (format!("{} (case {index})", case.name), case.operation());
        names.insert(case.name.as_str());
        let inputs: Vec<Tensor> = case.inputs.iter().map(Values::tensor).collect();
        let executable = op.lower(&Lowering::float()).unwrap();
        let given: Vec<AnyTensor> = inputs.iter().cloned().map(AnyTensor::from).collect();
        let outputs = [evaluate(executable.as_ref(), &given).unwrap().remove(0).to_float()];
        case.output.assert_close(&what, &outputs[0]);
        let gradients = [case.gradient.tensor()];
        let pass = Backward { inputs: &inputs, outputs: &outputs, gradients: &gradients };
        let found = op.backward(&pass).unwrap();
        assert_eq!(found.inputs.len(), case.gradients.len(), "{what}");
        for (found, expected) in found.inputs.iter().zip(&case.gradients) {
            expected.assert_close(&format!("gradients of {what}"), found.as_ref().unwrap());
        }
        assert_eq!(found.parameters.len(), case.parameters.len(), "{what}");
        for (name, found) in &found.parameters {
            case.parameters[*name][1].assert_close(&format!("gradient of the {name} of {what}"), found);
        }
    }
    assert_eq!(names.len(), 26, "{names:?}");
}
