//! A converted network, executed one operation at a time from what its summary says of each value.

use std::slice;

use qcore::op::{Lowering, Op, QuantizedOp};
use qcore::{Domain, EdgeSummary, ModelSummary, QConfig, QTensor, Tensor};

/// Walks the values of a model in the order in which they are made.
pub struct Reference<'a> {
    summary: &'a ModelSummary,
    edges: slice::Iter<'a, EdgeSummary>,
}

/// A value in the domain where it was made.
#[derive(Clone)]
pub struct Made<'a> {
    edge: &'a EdgeSummary,
    guise: Guise,
}

#[derive(Clone)]
enum Guise {
    Float(Tensor),
    Int8(QTensor),
}

impl<'a> Reference<'a> {
    pub fn new(summary: &'a ModelSummary) -> Self {
        Self { summary, edges: summary.edges.iter() }
    }

    pub fn input(&mut self, x: &Tensor) -> Made<'a> {
        let edge = self.edges.next().unwrap();
        assert_eq!(edge.operation, "input");
        Made { edge, guise: Guise::Float(x.clone()) }
    }

    /// Runs the next operation, in the domain that the summary says.
    pub fn run<O: Op>(&mut self, op: qcore::Result<O>, inputs: &[&Made<'_>]) -> Made<'a> {
        let op = op.unwrap();
        let edge = self.edges.next().unwrap();
        assert_eq!(edge.operation, op.name(), "`{}`", edge.path);
        let guise = match edge.domain {
            Domain::Float => {
                let mut inputs: Vec<Tensor> = inputs.iter().map(|input| input.float()).collect();
                Guise::Float(op.forward(&mut inputs).unwrap())
            }
            Domain::Int8 => {
                let mut inputs: Vec<QTensor> = inputs.iter().map(|input| input.int8()).collect();
                let qparams: Vec<_> = inputs.iter().map(|input| input.qparams().clone()).collect();
                let weight_observer = QConfig::get_default_qconfig(self.summary.backend).weight_observer();
                let output = edge.qparams.as_ref().unwrap();
                let lowering = Lowering::new(self.summary.backend, &qparams, output, weight_observer);
                Guise::Int8(op.lower(&lowering).unwrap().forward(&mut inputs).unwrap())
            }
        };
        Made { edge, guise }
    }

    /// After the last operation.
    pub fn finish(mut self) {
        assert!(self.edges.next().is_none(), "the model has more operations than its reference");
    }
}

impl Made<'_> {
    pub fn float(&self) -> Tensor {
        match &self.guise {
            Guise::Float(tensor) => tensor.clone(),
            Guise::Int8(tensor) => tensor.dequantize(),
        }
    }

    fn int8(&self) -> QTensor {
        match &self.guise {
            Guise::Float(tensor) => QTensor::quantize(tensor, self.edge.qparams.as_ref().unwrap()).unwrap(),
            Guise::Int8(tensor) => tensor.clone(),
        }
    }
}
