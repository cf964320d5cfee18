//! Topic `models`: a small network from float weights to int8 output, in eager and in graph mode.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use qcore::observer::FixedQParamsObserver;
use qcore::prelude::*;
use qcore::{CalibrationOptions, Mode, Prepared, QParams, QTensor};

use crate::comparison::{Findings, Limits};
use crate::fold::Folded;
use crate::index::Case;
use crate::lowering::backend;
use crate::weighted::set_parameters;

/// PyTorch's `TinyCNN` of the reference data, which also returns intermediate values.
#[quantizable]
struct TinyCnn {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    fc: Linear,
}

#[quantizable]
impl TinyCnn {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor) {
        let first = relu(self.bn1(self.conv1(x)));
        let pool = max_pool2d(first, 2);
        let second = self.bn2(self.conv2(pool));
        let sum = relu(pool + second);
        let gap = adaptive_avg_pool2d(sum, 1);
        let logits = self.fc(gap.flatten(1));
        (first, pool, second, sum, gap, logits)
    }
}

impl TinyCnn {
    /// With the weights of a case, whose shapes say how many channels there are.
    fn of(case: &Case<'_>) -> Result<Self> {
        let shape = |role: &str| case.tensor(role).map(|tensor| tensor.shape().to_vec());
        let conv = |role: &str| {
            let shape = shape(role)?;
            Ok::<_, anyhow::Error>(Conv2d::new(shape[1], shape[0], shape[2]).padding(1).bias(false))
        };
        let fc = shape("fc.weight")?;
        let mut model = Self {
            conv1: conv("conv1.weight")?,
            bn1: BatchNorm2d::new(shape("bn1.weight")?[0]),
            conv2: conv("conv2.weight")?,
            bn2: BatchNorm2d::new(shape("bn2.weight")?[0]),
            fc: Linear::new(fc[1], fc[0]),
        };
        let parameters = case.tensors(|role| role.contains('.'))?;
        let parameters: Vec<_> =
            parameters.iter().map(|(role, tensor)| (role.as_str(), Some(tensor.clone()))).collect();
        set_parameters(&mut model, &parameters)?;
        Ok(model)
    }
}

/// PyTorch's linear, ReLU, linear.
#[quantizable]
struct DynamicMlp {
    layers: Sequential<(Linear, ReLU, Linear)>,
}

#[quantizable]
impl DynamicMlp {
    fn forward(&self, x: Tensor) -> Tensor {
        self.layers(x)
    }
}

/// `quantize_dynamic`: no calibration, and scales of activations at every run.
fn dynamic(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let shape = |role: &str| case.tensor(role).map(|tensor| tensor.shape().to_vec());
    let linear = |role: &str| shape(role).map(|shape| Linear::new(shape[1], shape[0]));
    let layers = Sequential((linear("0.weight")?, ReLU::new(), linear("2.weight")?));
    let mut model = DynamicMlp { layers };
    let parameters = case.tensors(|role| role.contains('.'))?;
    let parameters: Vec<_> =
        parameters.iter().map(|(role, tensor)| (role.as_str(), Some(tensor.clone()))).collect();
    set_parameters(&mut model.layers, &parameters)?;
    let mapping = QConfigMapping::for_backend(backend(case)?).global(QConfig::default_dynamic_qconfig());
    let converted = model.prepare(&mapping)?.convert()?;
    let mut weights = BTreeMap::new();
    converted.visit_weights(&mut |path, weight| {
        weights.insert(path.to_owned(), weight.clone());
    });
    for (path, weight) in &weights {
        let role = path.strip_prefix("layers.").with_context(|| format!("a layer `{path}`"))?;
        findings.quantized_exactly(&format!("{role}.weight"), weight)?;
    }
    findings.tensor("y", &converted.forward(&case.tensor("x")?)?)
}

/// The paths of the edges that PyTorch observes, in the order in which they run.
const INPUT: &str = "x";
const CONV1: &str = "conv1";
const CONV2: &str = "conv2";
const SUM: &str = "pool_plus_second";
const FC: &str = "fc";

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let mapping = QConfigMapping::for_backend(backend(case)?);
    match case.op() {
        "eager_ptq" => Network::new(case, mapping.with_mode(Mode::Eager), eager_observers())?.eager(findings),
        "fx_ptq" => Network::new(case, mapping.module(CONV2, None), graph_observers(case)?)?.graph(findings),
        "dynamic_ptq" => dynamic(case, findings),
        other => bail!("no operation `{other}`"),
    }
}

/// Our path of each edge and PyTorch's name of the observer there.
type Observers = BTreeMap<&'static str, String>;

fn eager_observers() -> Observers {
    let modules = [(INPUT, "quant"), (CONV1, "conv1"), (CONV2, "conv2"), (SUM, "ff"), (FC, "fc")];
    modules.map(|(path, module)| (path, format!("{module}.activation_post_process"))).into()
}

/// In graph mode observers are numbered; the prepared graph says what each of them observes.
fn graph_observers(case: &Case<'_>) -> Result<Observers> {
    let rows: Vec<(String, String, String, Vec<String>)> = case.param("prepared_graph")?;
    let observer_of = |producer: &str| {
        let observes = |(_, name, _, arguments): &&(String, String, String, Vec<String>)| {
            name.starts_with("activation_post_process") && arguments == &[producer]
        };
        let row = rows.iter().find(observes).with_context(|| format!("nothing observes `{producer}`"))?;
        Ok::<_, anyhow::Error>(row.1.clone())
    };
    let producers = [(INPUT, "x"), (CONV1, "conv1"), (CONV2, "conv2"), (SUM, "relu"), (FC, "fc")];
    producers.into_iter().map(|(path, producer)| Ok((path, observer_of(producer)?))).collect()
}

/// A model with the weights of a case, prepared as the case says.
struct Network<'a> {
    case: &'a Case<'a>,
    model: TinyCnn,
    prepared: Prepared<TinyCnn>,
    observers: Observers,
}

impl<'a> Network<'a> {
    fn new(case: &'a Case<'a>, mapping: QConfigMapping, observers: Observers) -> Result<Self> {
        let model = TinyCnn::of(case)?;
        let prepared = model.prepare(&mapping)?;
        Ok(Self { case, model, prepared, observers })
    }

    fn eager(mut self, findings: &mut Findings<'_>) -> Result<()> {
        self.calibration(findings)?;
        let outputs = self.outputs_with_given_scales(findings, &[CONV1, CONV2, FC])?;
        for (name, conv, bn) in
            [("conv1", &self.model.conv1, &self.model.bn1), ("conv2", &self.model.conv2, &self.model.bn2)]
        {
            let folded = Folded::new(conv, bn)?;
            findings.floats(&format!("fused.{name}.weight"), folded.weight.view().iter())?;
            findings.floats(&format!("fused.{name}.bias"), folded.bias.view().iter())?;
            findings.floats(&format!("{name}.bias"), folded.bias.view().iter())?;
        }
        findings.floats("fc.bias", self.case.tensor("fc.bias")?.view().iter())?;
        findings
            .quantized("out.quant", &QTensor::quantize(&self.case.tensor("x")?, &self.qparams(INPUT)?)?)?;
        findings.quantized("out.conv1", &self.on_scale(&outputs.first, CONV1)?)?;
        findings.quantized("out.pool", &self.on_scale(&outputs.pool, CONV1)?)?;
        findings.quantized("out.conv2", &self.on_scale(&outputs.second, CONV2)?)?;
        findings.quantized("out.gap", &self.on_scale(&outputs.gap, SUM)?)?;
        self.logits(findings, "out.fc", &outputs.logits)
    }

    /// `conv2` stays in float, between a dequantization and a quantization.
    fn graph(mut self, findings: &mut Findings<'_>) -> Result<()> {
        self.calibration(findings)?;
        let outputs = self.outputs_with_given_scales(findings, &[CONV1, FC])?;
        let folded = Folded::new(&self.model.conv1, &self.model.bn1)?;
        findings.floats("conv1.bias", folded.bias.view().iter())?;
        let folded = Folded::new(&self.model.conv2, &self.model.bn2)?;
        findings.floats_within("conv2.weight", folded.weight.view().iter(), Limits::EXACT)?;
        findings.floats_within("conv2.bias", folded.bias.view().iter(), Limits::EXACT)?;
        findings.floats("fc.bias", self.case.tensor("fc.bias")?.view().iter())?;
        let input = QTensor::quantize(&self.case.tensor("x")?, &self.qparams(INPUT)?)?;
        findings.quantized("node.quantize_per_tensor", &input)?;
        findings.quantized("node.conv1", &self.on_scale(&outputs.first, CONV1)?)?;
        findings.quantized("node.pool", &self.on_scale(&outputs.pool, CONV1)?)?;
        findings.floats_within("node.dequantize_2", outputs.pool.view().iter(), Limits::EXACT)?;
        findings.floats("node.conv2", outputs.second.view().iter())?;
        let second = QTensor::quantize(&outputs.second, &self.qparams(CONV2)?)?;
        findings.quantized("node.quantize_per_tensor_3", &second)?;
        findings.quantized("node.add_relu", &self.on_scale(&outputs.sum, SUM)?)?;
        let gap = &outputs.gap;
        findings.quantized("node.gap", &self.on_scale(gap, SUM)?)?;
        let flat = Tensor::from_vec(&[gap.shape()[0], gap.shape()[1]], gap.view().iter().copied().collect())?;
        findings.quantized("node.flatten", &self.on_scale(&flat, SUM)?)?;
        findings.is_covered("node.dequantize_7");
        self.logits(findings, "node.fc", &outputs.logits)
    }

    /// Calibrates, and compares the observers. Float convolutions are not reproducible to the bit,
    /// so only the observer of the input can be compared exactly.
    fn calibration(&mut self, findings: &mut Findings<'_>) -> Result<()> {
        let is_batch = |role: &str| role.strip_prefix("calib").is_some_and(|n| n.parse::<usize>().is_ok());
        let mut batches = self.case.tensors(is_batch)?;
        batches.sort_by_key(|(role, _)| role["calib".len()..].parse::<usize>().unwrap_or(usize::MAX));
        let batches = batches.iter().map(|(_, batch)| batch);
        self.prepared.calibrate_with(batches, CalibrationOptions { progress: false })?;
        ensure!(
            self.prepared.observed_paths().count() == self.observers.len(),
            "{} observers, PyTorch has {}",
            self.prepared.observed_paths().count(),
            self.observers.len()
        );
        let mut moved = Vec::new();
        for (&path, name) in &self.observers {
            if !self.is_calibrated_alike(path, name, findings)? {
                moved.push(path);
            }
        }
        // The last bit of a value can move it into the next bin, and that where the search for a range cuts.
        ensure!(moved.len() <= 1, "several observers chose another histogram bin than PyTorch's: {moved:?}");
        Ok(())
    }

    /// Whether the scale of an edge is PyTorch's but for the last bits of its data. One bin away is no failure.
    fn is_calibrated_alike(&self, path: &str, name: &str, findings: &mut Findings<'_>) -> Result<bool> {
        const RELATIVE: f32 = 1e-5;
        const BINS: f32 = 2048.0;
        let role = |what: &str| format!("observed.{name}.{what}");
        let observer = self.prepared.observer(path).with_context(|| format!("no observer on `{path}`"))?;
        let (min, max) = observer.range().context("a range")?;
        let qparams = observer.calculate_qparams()?;
        let (scale, zero_point) = (qparams.tensor_scale(), qparams.tensor_zero_point());
        let is_input = path == INPUT;
        let noise = if is_input { 0.0 } else { RELATIVE * (max - min) };
        let bin =
            if is_input { 0.0 } else { (max - min) / BINS / (qparams.quant_max - qparams.quant_min) as f32 };
        findings.calibrated(&role("min"), min, noise)?;
        findings.calibrated(&role("max"), max, noise)?;
        findings.calibrated(&role("scale"), scale, bin)?;
        findings.calibrated(&role("zero_point"), zero_point as f32, f32::from(u8::from(!is_input)))?;
        let expected = self.qparams(path)?.tensor_scale();
        Ok((scale - expected).abs() <= RELATIVE * expected)
    }

    /// Converts with PyTorch's scales instead of the calibrated ones, from which everything follows exactly.
    fn outputs_with_given_scales(
        &mut self,
        findings: &mut Findings<'_>,
        quantized: &[&str],
    ) -> Result<Outputs> {
        for &path in self.observers.keys() {
            let qparams = self.qparams(path)?;
            let observer = FixedQParamsObserver::new(qparams.tensor_scale(), qparams.tensor_zero_point());
            self.prepared.set_observer(path, observer)?;
        }
        let converted = self.prepared.convert()?;
        let mut weights = BTreeMap::new();
        converted.visit_weights(&mut |path, weight| {
            weights.insert(path.to_owned(), weight.clone());
        });
        ensure!(weights.keys().eq(quantized), "quantized are {:?}, expected {quantized:?}", weights.keys());
        for (path, weight) in &weights {
            findings.quantized_exactly(&format!("{path}.weight"), weight)?;
        }
        let (first, pool, second, sum, gap, logits) = converted.forward(&self.case.tensor("x")?)?;
        Ok(Outputs { first, pool, second, sum, gap, logits })
    }

    /// PyTorch's scale and zero point of an edge.
    fn qparams(&self, path: &str) -> Result<QParams> {
        let name = &self.observers[path];
        let scale = self.case.expected_floats(&format!("observed.{name}.scale"))?.values[0];
        let zero_point = self.case.expected_integers(&format!("observed.{name}.zero_point"))?.values[0];
        Ok(QParams::per_tensor(scale, zero_point as i32, qcore::DType::QUInt8)?)
    }

    /// The integers of an output that came out of the model as floats; they are whole multiples of the scale.
    fn on_scale(&self, output: &Tensor, path: &str) -> Result<QTensor> {
        let quantized = QTensor::quantize(output, &self.qparams(path)?)?;
        ensure!(quantized.dequantize() == *output, "an output is not on the scale of `{path}`");
        Ok(quantized)
    }

    fn logits(&self, findings: &mut Findings<'_>, role: &str, logits: &Tensor) -> Result<()> {
        findings.quantized(role, &self.on_scale(logits, FC)?)?;
        // As floats they may differ by this many steps.
        let steps = Limits::from(self.case.tolerance()).int_steps as f64;
        let abs = steps * f64::from(self.qparams(FC)?.tensor_scale()) * (1.0 + 1e-6);
        findings.floats_within("y", logits.view().iter(), Limits { abs, ..Limits::EXACT })
    }
}

struct Outputs {
    first: Tensor,
    pool: Tensor,
    second: Tensor,
    sum: Tensor,
    gap: Tensor,
    logits: Tensor,
}
