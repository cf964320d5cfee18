//! `Parts`: an operation of two outputs, and the layer that calls it.

use std::sync::Arc;

use qcore::ops::{
    Executable, Format, Kernel, Lowering, Op, Output, Planned, PlannedKernel, Precision, TensorSpec,
    executable,
};
use qcore::qkernels::{QParams, elements};
use qcore::{Error, Loaders, Member, Module, Parameters, Result, Site, Tensor, Tracer, Value};
use serde::{Deserialize, Serialize};

use super::nearest;

/// `x` to `(max(x, 0), max(-x, 0))`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parts;

impl Parameters for Parts {
    fn parameters(&self, _: &str, _: &mut dyn FnMut(String, &Tensor)) {}

    fn parameters_mut(&mut self, _: &str, _: &mut dyn FnMut(String, &mut Tensor)) {}
}

impl Op for Parts {
    fn name(&self) -> &'static str {
        "parts"
    }

    fn config(&self) -> Result<serde_json::Value> {
        Ok(serde_json::Value::Null)
    }

    fn shared(&self) -> Arc<dyn Op> {
        Arc::new(self.clone())
    }

    fn output_count(&self) -> usize {
        2
    }

    fn precisions(&self) -> &[Precision] {
        &[Precision::Float, Precision::Static]
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let outputs = match (lowering.precision, lowering.outputs) {
            (Precision::Float, _) => [Format::F32, Format::F32],
            (Precision::Static, [positive, negative]) => [positive.clone(), negative.clone()],
            _ => return Err(lowering.unsupported("parts")),
        };
        Ok(executable("parts", move |inputs| {
            let [x] = inputs else { return Err(Error::Unsupported("parts of one tensor".into())) };
            plan(x, &outputs)
        }))
    }
}

fn plan(x: &TensorSpec, outputs: &[Format; 2]) -> Result<Planned> {
    let outputs = outputs.each_ref().map(|format| x.with_format(format.clone()).in_buffer(x.buffer()));
    let kernel: Box<dyn Kernel> = match x.format() {
        Format::F32 => Box::new(PartsKernel { qparams: None }),
        Format::Quantized(_) => {
            let [positive, negative] = &outputs;
            let qparams = [x.qparams("parts")?, positive.qparams("parts")?, negative.qparams("parts")?];
            Box::new(PartsKernel { qparams: Some(qparams) })
        }
    };
    Ok(Planned::Kernel(PlannedKernel::new(kernel, outputs.into())))
}

#[derive(Debug)]
struct PartsKernel {
    /// Of the input and the two outputs, if they are integers.
    qparams: Option<[QParams; 3]>,
}

impl Kernel for PartsKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], _: &mut [u8]) -> qcore::qkernels::Result<()> {
        let ([x], [positive, negative]) = (inputs, outputs) else { return Ok(()) };
        let Some([from, to_positive, to_negative]) = self.qparams else {
            let (positive, negative) =
                (elements::view_mut::<f32>(positive.bytes)?, elements::view_mut::<f32>(negative.bytes)?);
            for ((&x, positive), negative) in elements::view::<f32>(x)?.iter().zip(positive).zip(negative) {
                (*positive, *negative) = (x.max(0.0), (-x).max(0.0));
            }
            return Ok(());
        };
        for ((&x, positive), negative) in x.iter().zip(&mut *positive.bytes).zip(&mut *negative.bytes) {
            let x = from.dequantize(x.into());
            (*positive, *negative) = (nearest(x.max(0.0), to_positive), nearest((-x).max(0.0), to_negative));
        }
        Ok(())
    }
}

impl Module for Parts {
    const NAME: &'static str = "Parts";
    type Input = Tensor;
    type Output = (Tensor, Tensor);

    fn trace(&self, tracer: &mut Tracer<'_>, x: Value) -> Result<(Value, Value)> {
        let member = Member::layer(format_args!(""), self);
        let [positive, negative] = tracer.call_several(Site::new(format_args!("")), member, &mut [x])?;
        Ok((positive, negative))
    }

    fn loaders(loaders: &mut Loaders) {
        loaders.add::<Self>("parts");
    }
}
