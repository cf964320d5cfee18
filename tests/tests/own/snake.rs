//! `Snake`: an activation with a trained tensor, as a layer.

use std::sync::Arc;

use qcore::ops::{Executable, Format, Lowering, Op, Planned, Precision, TensorSpec, elementwise};
use qcore::{
    Error, Loaders, Member, Module, Parameters, Result, Site, Tensor, TensorWriter, Tracer, Value, join,
};
use serde::{Deserialize, Serialize};

/// `x + sin(alpha x)^2 / alpha` (Ziyin et al. 2020), for tensors of any shape.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snake {
    #[serde(skip, default = "one")]
    pub alpha: Tensor,
}

fn one() -> Tensor {
    Tensor::zeros(&[1]).map(|_| 1.0)
}

impl Parameters for Snake {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        visit(join(path, "alpha"), &self.alpha);
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        visit(join(path, "alpha"), &mut self.alpha);
    }
}

impl Op for Snake {
    fn name(&self) -> &'static str {
        "snake"
    }

    fn config(&self) -> Result<serde_json::Value> {
        serde_json::to_value(self).map_err(|error| Error::Unsupported(error.to_string()))
    }

    fn shared(&self) -> Arc<dyn Op> {
        Arc::new(self.clone())
    }

    fn precisions(&self) -> &[Precision] {
        &[Precision::Float, Precision::Static]
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let alpha = lowering.tensor("alpha", &self.alpha)?;
        Ok(Arc::new(Lowered { alpha, output: lowering.output_format("snake")? }))
    }
}

/// The activation in one precision.
#[derive(Debug)]
struct Lowered {
    alpha: Tensor,
    output: Format,
}

impl Executable for Lowered {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let ([x], Some(&[alpha])) = (inputs, self.alpha.as_slice()) else {
            return Err(Error::Unsupported("snake takes one tensor, and alpha is one number".into()));
        };
        elementwise("snake", x, &self.output, move |x| x + (alpha * x).sin().powi(2) / alpha)
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        tensors.put("alpha", &self.alpha);
        Ok(())
    }
}

impl Module for Snake {
    const NAME: &'static str = "Snake";
    type Input = Tensor;
    type Output = Tensor;

    fn trace(&self, tracer: &mut Tracer<'_>, x: Value) -> Result<Value> {
        tracer.call(Site::new(format_args!("")), &[Member::layer(format_args!(""), self)], &mut [x])
    }

    fn loaders(loaders: &mut Loaders) {
        loaders.add::<Self>("snake");
    }
}
