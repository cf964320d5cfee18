//! `Glu`: a function of two tensors.

use std::sync::Arc;

use qcore::ops::{
    Executable, Format, Lowering, Op, Planned, PlannedKernel, Precision, TensorSpec, binary, executable,
};
use qcore::{Error, Parameters, Result, Tensor};
use serde::{Deserialize, Serialize};

use super::nearest;

/// `a * sigmoid(b)` (Dauphin et al. 2017), of tensors of one shape.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Glu;

impl Parameters for Glu {
    fn parameters(&self, _: &str, _: &mut dyn FnMut(String, &Tensor)) {}

    fn parameters_mut(&mut self, _: &str, _: &mut dyn FnMut(String, &mut Tensor)) {}
}

impl Op for Glu {
    fn name(&self) -> &'static str {
        "glu"
    }

    fn config(&self) -> Result<serde_json::Value> {
        Ok(serde_json::Value::Null)
    }

    fn shared(&self) -> Arc<dyn Op> {
        Arc::new(self.clone())
    }

    fn precisions(&self) -> &[Precision] {
        &[Precision::Float, Precision::Static]
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let output = lowering.output_format("glu")?;
        Ok(executable("glu", move |inputs| plan(inputs, &output)))
    }
}

fn plan(inputs: &[TensorSpec], output: &Format) -> Result<Planned> {
    let [a, b] = inputs else { return Err(Error::Unsupported("glu takes two tensors".into())) };
    if a.shape() != b.shape() {
        return Err(Error::Unsupported(format!("glu of the shapes {:?} and {:?}", a.shape(), b.shape())));
    }
    let glu = |a: f32, b: f32| a / (1.0 + (-b).exp());
    let y = a.with_format(output.clone());
    let kernel = match output {
        Format::F32 => binary("glu", move |a: &[f32], b: &[f32], y| {
            a.iter().zip(b).zip(y).for_each(|((&a, &b), y)| *y = glu(a, b));
            Ok(())
        }),
        Format::Quantized(_) => {
            let [from_a, from_b, to] = [a.qparams("glu")?, b.qparams("glu")?, y.qparams("glu")?];
            binary("glu", move |a: &[u8], b: &[u8], y| {
                let values = a.iter().zip(b).zip(y);
                values.for_each(|((&a, &b), y)| {
                    *y = nearest(glu(from_a.dequantize(a.into()), from_b.dequantize(b.into())), to);
                });
                Ok(())
            })
        }
    };
    // Both in the same order.
    let order = y.buffer();
    Ok(Planned::Kernel(PlannedKernel::new(kernel, vec![y]).inputs([order; 2])))
}
