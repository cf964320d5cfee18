//! The code that `#[quantizable]` generates compiles under strict lints and runs in all three variants.

#![deny(warnings, missing_docs, missing_debug_implementations, unused)]

use qcore::prelude::*;
use qcore::{Domain, Result};

/// Two 3x3 convolutions and a shortcut.
#[quantizable]
#[derive(Debug)]
pub struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    downsample: Option<Sequential<(Conv2d, BatchNorm2d)>>,
}

#[quantizable]
impl BasicBlock {
    /// A block with as many channels on both sides unless `widen`.
    #[must_use]
    pub fn new(channels: usize, widen: bool) -> Self {
        let (out, stride) = if widen { (2 * channels, 2) } else { (channels, 1) };
        Self {
            conv1: Conv2d::new(channels, out, 3).stride(stride).padding(1).bias(false),
            bn1: BatchNorm2d::new(out),
            conv2: Conv2d::new(out, out, 3).padding(1).bias(false),
            bn2: BatchNorm2d::new(out),
            downsample: widen.then(|| {
                Sequential((Conv2d::new(channels, out, 1).stride(2).bias(false), BatchNorm2d::new(out)))
            }),
        }
    }

    /// Runs the block.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let y = relu(self.bn1(self.conv1(x)));
        let y = self.bn2(self.conv2(y));
        let identity = match &self.downsample {
            Some(downsample) => downsample(x),
            None => x,
        };
        relu(y + identity)
    }
}

/// A small residual network.
#[quantizable]
#[derive(Debug)]
pub struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    layers: Vec<BasicBlock>,
    #[quantizable(skip)]
    fc: Linear,
}

#[quantizable(dump)]
impl ResNet {
    fn new() -> Self {
        Self {
            conv1: Conv2d::new(3, 8, 3).padding(1).bias(false),
            bn1: BatchNorm2d::new(8),
            layers: vec![BasicBlock::new(8, false), BasicBlock::new(8, true)],
            fc: Linear::new(16, 10),
        }
    }

    /// The logits.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let mut x = max_pool2d(relu(self.bn1(self.conv1(x))), 3, 2, 1);
        for block in &self.layers {
            x = block(x);
        }
        let x = adaptive_avg_pool2d(x, (1, 1)).flatten(1);
        self.fc(x)
    }
}

fn image(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|index| ((index * 37 % 101) as f32 - 50.0) / 50.0).collect();
    Tensor::from_vec(shape, values).unwrap()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    a.view().iter().zip(b.view().iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Prepares, calibrates, converts; how far the converted model is from the float one.
macro_rules! int8_error {
    ($model:expr, $input:expr, $float:expr) => {{
        let mut prepared = $model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
        prepared.observe($input.clone())?;
        let observed = prepared.forward($input.clone())?;
        assert!(largest_difference(&observed, &$float) < 1e-4);
        let int8 = prepared.convert()?;
        largest_difference(&int8.forward($input.clone())?, &$float)
    }};
}

#[test]
fn a_residual_network_runs_in_all_three_variants() -> Result<()> {
    let model = ResNet::new();
    let x = image(&[2, 3, 16, 16]);
    let y = model.forward(x.clone())?;
    assert_eq!(y.shape(), [2, 10]);
    assert!(int8_error!(model, x, y) < 0.1);
    Ok(())
}

#[test]
fn a_converted_network_is_saved_and_loaded() -> Result<()> {
    let model = ResNet::new();
    let x = image(&[1, 3, 16, 16]);
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.observe(x.clone())?;
    let int8 = prepared.convert()?;
    let path = std::env::temp_dir().join(format!("macro_smoke_{}.safetensors", std::process::id()));
    int8.save(&path)?;
    let loaded = qcore::Converted::<ResNet>::load(&path)?;
    std::fs::remove_file(&path).unwrap();
    assert_eq!(loaded.forward(x.clone())?, int8.forward(x)?);
    let mut weights = Vec::new();
    loaded.visit_weights(&mut |path, _| weights.push(path.to_owned()));
    assert!(weights.contains(&"layers.1.downsample.0".to_owned()), "{weights:?}");
    Ok(())
}

#[test]
fn a_state_dict_has_pytorchs_keys() {
    let keys: Vec<String> = ResNet::new().state_dict().shapes().into_keys().collect();
    for key in ["conv1.weight", "bn1.running_var", "layers.1.downsample.0.weight", "fc.bias"] {
        assert!(keys.iter().any(|known| known == key), "{key} of {keys:?}");
    }
}

#[test]
fn the_plan_is_a_constant() {
    assert_eq!(
        BasicBlock::FUSIONS,
        [
            &["conv1", "bn1", "relu"][..],
            &["conv2", "bn2"],
            &["downsample.0", "downsample.1"],
            &["add", "relu"]
        ]
    );
    assert_eq!(BasicBlock::GRAPH.fusions(), BasicBlock::FUSIONS);
    let text = ResNet::GRAPH.to_string();
    assert!(text.contains("layers.{i}") && text.contains("quantizable(skip)"), "{text}");
    assert!(ResNet::GRAPH.to_dot().contains("conv_bn_relu"));
    assert!(ResNet::DUMP.contains("# after fusion"));
    let float = ResNet::GRAPH.values.iter().filter(|value| value.domain == Domain::Float);
    assert_eq!(float.map(|value| value.name).collect::<Vec<_>>(), ["x", "fc"]);
}

/// Everything that is not in the others.
#[quantizable]
#[derive(Debug)]
pub struct Odds {
    fc: Linear,
    stack: Vec<Linear>,
    wide: bool,
    groups: usize,
}

#[quantizable]
impl Odds {
    /// Two in, two out.
    pub fn forward(&self, a: Tensor, b: Tensor) -> (Tensor, Tensor) {
        let a = self.fc(self.fc(a));
        let mut x = a;
        let mut sum = b;
        for layer in &self.stack {
            x = relu(layer(x) + a);
            sum = sum + x;
        }
        let y = if self.wide { x * 2.0 } else { relu6(sum) };
        let (left, right) = y.chunk(2, 1);
        let z = cat([right, left], 1);
        let z = z.reshape((a.size(0), self.groups, -1)).permute((0, 2, 1)).flatten(1);
        let w = quant(dequant(sum) - x);
        (z, w.clamp(0.0, 1.5))
    }
}

/// A model of any two of the same kind.
#[quantizable]
#[derive(Debug)]
pub struct Twice<B> {
    first: B,
    second: B,
}

#[quantizable]
impl<B> Twice<B> {
    /// One after the other.
    pub fn forward(&self, a: Tensor, b: Tensor) -> (Tensor, Tensor) {
        let (a, b) = self.first(a, b);
        self.second(b, a)
    }
}

fn odds(wide: bool) -> Odds {
    Odds { fc: Linear::new(8, 8), stack: vec![Linear::new(8, 8), Linear::new(8, 8)], wide, groups: 4 }
}

#[test]
fn loops_branches_tuples_and_shapes() -> Result<()> {
    for wide in [false, true] {
        let model = odds(wide);
        let (a, b) = (image(&[3, 8]), image(&[3, 8]));
        let (z, w) = model.forward(a.clone(), b.clone())?;
        let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
        prepared.observe((a.clone(), b.clone()))?;
        let (zi, wi) = prepared.convert()?.forward((a, b))?;
        assert!(largest_difference(&z, &zi) < 0.1, "{z:?} {zi:?}");
        assert!(largest_difference(&w, &wi) < 0.1, "{w:?} {wi:?}");
    }
    Ok(())
}

#[test]
fn a_generic_model_of_models() -> Result<()> {
    let model = Twice { first: odds(false), second: odds(false) };
    let (a, b) = (image(&[3, 8]), image(&[3, 8]));
    let (z, _) = model.forward(a.clone(), b.clone())?;
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.observe((a.clone(), b.clone()))?;
    let (zi, _) = prepared.clone().convert()?.forward((a, b))?;
    assert!(largest_difference(&z, &zi) < 0.2);
    assert!(Twice::<Odds>::GRAPH.to_string().contains("Odds"));
    Ok(())
}

/// Names of the standard library that mean something else here.
#[allow(dead_code, non_camel_case_types, missing_docs, missing_debug_implementations)]
mod shadowed {
    use qcore::prelude::{Conv2d, ReLU, Tensor, quantizable};

    pub struct Result;
    pub struct Option;
    pub struct Vec;
    pub struct String;
    pub struct Some;
    pub struct Ok;
    pub struct Err;
    pub struct Clone;
    pub struct Iterator;
    pub struct Into;
    pub struct FnMut;
    pub struct Default;
    pub struct str;
    pub struct usize;

    #[quantizable]
    pub struct Net {
        conv: Conv2d,
        relu: ReLU,
        layers: ::std::vec::Vec<Conv2d>,
        extra: ::std::option::Option<Conv2d>,
    }

    #[quantizable]
    impl Net {
        pub fn forward(&self, x: Tensor) -> Tensor {
            let mut tracer = self.relu(self.conv(x));
            for path in &self.layers {
                tracer = path(tracer) + tracer;
            }
            let observation = match &self.extra {
                ::std::option::Option::Some(error) => error(tracer),
                ::std::option::Option::None => tracer,
            };
            observation.mean(1)
        }
    }
}

#[test]
fn shadowed_names_do_no_harm() {
    assert_eq!(shadowed::Net::FUSIONS, [["conv", "relu"]]);
}

/// A nested model that stays in float.
#[quantizable]
#[derive(Debug)]
pub struct Skipping {
    conv: Conv2d,
    #[quantizable(skip)]
    block: BasicBlock,
}

#[quantizable]
impl Skipping {
    /// The block on a convolution.
    pub fn forward(&self, x: Tensor) -> Tensor {
        self.block(self.conv(x))
    }
}

#[test]
fn a_skipped_model_stays_in_float() -> Result<()> {
    let model = Skipping { conv: Conv2d::new(3, 8, 1), block: BasicBlock::new(8, true) };
    let x = image(&[1, 3, 8, 8]);
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.observe(x.clone())?;
    let mut weights = Vec::new();
    prepared.convert()?.visit_weights(&mut |path, _| weights.push(path.to_owned()));
    assert_eq!(weights, ["conv"]);
    Ok(())
}

#[quantizable]
#[derive(Debug)]
struct Private {
    fc: Linear,
}

#[quantizable(stubs = "manual")]
impl Private {
    fn forward(&self, x: Tensor) -> Tensor {
        dequant(relu(self.fc(quant(x))))
    }
}

fn fbgemm() -> QConfig {
    QConfig::get_default_qconfig(Backend::Fbgemm)
}

/// A public model of private parts, with every attribute and control flow inside control flow.
#[quantizable]
#[derive(Debug)]
pub struct Corners {
    #[quantizable(rename = "features.0")]
    r#type: Linear,
    #[quantizable(qconfig = fbgemm)]
    dynamic: Linear,
    stack: Vec<Sequential<(Linear, ReLU)>>,
    inner: Option<Private>,
    swap: bool,
    #[quantizable(unused)]
    spare: Linear,
}

#[quantizable]
impl Corners {
    /// Variables that change places, a branch in a loop, a loop in a branch.
    pub fn forward(&self, tracer: Tensor, conversion: Tensor) -> Tensor {
        let mut a = self.r#type(tracer);
        let mut b = conversion;
        for layer in &self.stack {
            let c = if self.swap { layer(a) } else { a + b };
            a = b;
            b = c;
        }
        let d = if !self.swap {
            let mut x = b;
            for layer in &self.stack {
                x = layer(x);
            }
            x
        } else {
            self.stack(a)
        };
        let e = if let Some(inner) = &self.inner { inner(d) } else { d };
        self.dynamic(e.view((-1, 8)))
    }
}

#[test]
fn control_flow_in_control_flow() -> Result<()> {
    let linear = || Linear::new(8, 8);
    for swap in [false, true] {
        let model = Corners {
            r#type: linear(),
            dynamic: linear(),
            stack: vec![Sequential((linear(), ReLU)), Sequential((linear(), ReLU))],
            inner: swap.then(|| Private { fc: linear() }),
            swap,
            spare: linear(),
        };
        assert!(model.state_dict().shapes().contains_key("features.0.weight"));
        assert!(model.state_dict().shapes().contains_key("spare.weight"));
        let (a, b) = (image(&[2, 8]), image(&[2, 8]));
        let y = model.forward(a.clone(), b.clone())?;
        let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
        prepared.observe((a.clone(), b.clone()))?;
        let int8 = prepared.convert()?.forward((a, b))?;
        assert!(largest_difference(&y, &int8) < 0.1);
    }
    Ok(())
}
