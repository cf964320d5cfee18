//! A converted network, executed one operation at a time from its summary's scale and zero point of each value.

use std::slice;

use qcore::ops::{Activation, Format, Lowering, Op, Precision};
use qcore::{AnyTensor, EdgeSummary, ModelSummary, QConfig, QTensor, Tensor, evaluate};

/// Walks the values of a model in the order in which they are made.
pub struct Reference<'a> {
    summary: &'a ModelSummary,
    edges: slice::Iter<'a, EdgeSummary>,
}

/// A value as it was made: floats, or integers.
#[derive(Clone)]
pub struct Made<'a> {
    edge: &'a EdgeSummary,
    value: AnyTensor,
}

impl<'a> Reference<'a> {
    pub fn new(summary: &'a ModelSummary) -> Self {
        Self { summary, edges: summary.edges.iter() }
    }

    pub fn input(&mut self, x: &Tensor) -> Made<'a> {
        let edge = self.edges.next().unwrap();
        assert_eq!(edge.operation, "input");
        Made { edge, value: AnyTensor::Float(x.clone()) }
    }

    /// Runs the next operation, in the precision that the summary says.
    pub fn run(&mut self, op: &dyn Op, inputs: &[&Made<'_>]) -> Made<'a> {
        self.run_fused(op, None, op.name(), inputs)
    }

    /// Runs the next operation, behind which a ReLU is fused.
    pub fn run_with_relu(&mut self, op: &dyn Op, inputs: &[&Made<'_>]) -> Made<'a> {
        let name = match op.name() {
            "Conv2d" => "ConvReLU2d".to_owned(),
            "Conv3d" => "ConvReLU3d".to_owned(),
            "BatchNorm2d" => "BNReLU2d".to_owned(),
            "BatchNorm3d" => "BNReLU3d".to_owned(),
            "Linear" => "LinearReLU".to_owned(),
            name => format!("{name}_relu"),
        };
        self.run_fused(op, Some(Activation::ReLU), &name, inputs)
    }

    fn run_fused(
        &mut self,
        op: &dyn Op,
        activation: Option<Activation>,
        name: &str,
        inputs: &[&Made<'_>],
    ) -> Made<'a> {
        let edge = self.edges.next().unwrap();
        assert_eq!(edge.operation, name, "`{}`", edge.path);
        let (precision, outputs, inputs): (_, _, Vec<AnyTensor>) = match edge.precision.as_str() {
            "float" => {
                let inputs = inputs.iter().map(|input| input.float().into()).collect();
                (Precision::Float, Format::F32, inputs)
            }
            "static" => {
                let inputs = inputs.iter().map(|input| input.int8()).collect();
                (Precision::Static, Format::of(edge.qparams.as_ref()), inputs)
            }
            other => panic!("`{}` in the precision `{other}`", edge.path),
        };
        let formats: Vec<Format> = inputs.iter().map(format_of).collect();
        let outputs = [outputs];
        let weight_observer = QConfig::get_default_qconfig(self.summary.backend).weight_observer();
        let lowering = Lowering::new(precision, self.summary.backend, &formats, &outputs, weight_observer);
        let executable = op.lower(&lowering.with_activation(activation)).unwrap();
        let [value] = evaluate(&*executable, &inputs).unwrap().try_into().unwrap();
        Made { edge, value }
    }

    /// After the last operation.
    pub fn finish(mut self) {
        assert!(self.edges.next().is_none(), "the model has more operations than its reference");
    }
}

impl Made<'_> {
    pub fn float(&self) -> Tensor {
        self.value.to_float()
    }

    fn int8(&self) -> AnyTensor {
        match &self.value {
            AnyTensor::Float(tensor) => {
                QTensor::quantize(tensor, self.edge.qparams.as_ref().unwrap()).unwrap().into()
            }
            quantized => quantized.clone(),
        }
    }
}

fn format_of(tensor: &AnyTensor) -> Format {
    match tensor {
        AnyTensor::Float(_) => Format::F32,
        AnyTensor::Quantized(tensor) => Format::of(Some(tensor.qparams())),
    }
}
