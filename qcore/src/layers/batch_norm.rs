//! `BatchNorm1d` and `BatchNorm2d` as layers.

use super::{fitting, layer};
use crate::op::{self, Spatial, Statistics};
use crate::parameters::{Parameters, join};
use crate::{Result, Tensor};

macro_rules! batch_norm {
    ($layer:ident, $name:literal, $spatial:ident, $shape:literal) => {
        #[doc = concat!("Batch normalization of ", $shape, " with its running statistics, as in evaluation.")]
        ///
        /// Used without features it gives an error.
        #[derive(Clone, Debug, PartialEq)]
        pub struct $layer {
            num_features: usize,
            eps: f64,
            momentum: f64,
            affine: Option<[Tensor; 2]>,
            running_mean: Tensor,
            running_var: Tensor,
        }

        impl $layer {
            /// Mean 0, variance 1, weight 1, bias 0, `eps` 1e-5 and momentum 0.1.
            pub fn new(num_features: usize) -> Self {
                let (zeros, ones) = constants(num_features);
                Self {
                    num_features,
                    eps: 1e-5,
                    momentum: 0.1,
                    affine: Some([ones.clone(), zeros.clone()]),
                    running_mean: zeros,
                    running_var: ones,
                }
            }

            /// What is added to the variance.
            #[must_use]
            pub fn eps(self, eps: f64) -> Self {
                Self { eps, ..self }
            }

            /// How much a batch counts for the running statistics in training.
            #[must_use]
            pub fn momentum(self, momentum: f64) -> Self {
                Self { momentum, ..self }
            }

            /// Whether there are a weight and a bias; true if not set.
            #[must_use]
            pub fn affine(mut self, affine: bool) -> Self {
                let (zeros, ones) = constants(self.num_features);
                self.affine = affine.then(|| self.affine.unwrap_or([ones, zeros]));
                self
            }

            /// The same layer with this weight and bias, both `[num_features]`.
            ///
            /// # Errors
            /// When a shape is another.
            pub fn with_affine(self, weight: impl Into<Tensor>, bias: impl Into<Tensor>) -> Result<Self> {
                let shape = [self.num_features];
                let weight = fitting($name, "weight", weight.into(), &shape)?;
                let bias = fitting($name, "bias", bias.into(), &shape)?;
                Ok(Self { affine: Some([weight, bias]), ..self })
            }

            /// The same layer with these running statistics, both `[num_features]`.
            ///
            /// # Errors
            /// When a shape is another.
            pub fn with_statistics(
                self,
                mean: impl Into<Tensor>,
                variance: impl Into<Tensor>,
            ) -> Result<Self> {
                let shape = [self.num_features];
                let running_mean = fitting($name, "running mean", mean.into(), &shape)?;
                let running_var = fitting($name, "running variance", variance.into(), &shape)?;
                Ok(Self { running_mean, running_var, ..self })
            }

            /// `[num_features]`, if the layer is affine.
            pub fn weight(&self) -> Option<&Tensor> {
                self.affine.as_ref().map(|[weight, _]| weight)
            }

            /// `[num_features]`, if the layer is affine.
            pub fn bias(&self) -> Option<&Tensor> {
                self.affine.as_ref().map(|[_, bias]| bias)
            }

            /// `[num_features]`.
            pub fn running_mean(&self) -> &Tensor {
                &self.running_mean
            }

            /// `[num_features]`.
            pub fn running_var(&self) -> &Tensor {
                &self.running_var
            }

            /// The tensors as the operation takes them.
            pub(crate) fn statistics(&self) -> Statistics {
                Statistics {
                    weight: self.weight().cloned(),
                    bias: self.bias().cloned(),
                    mean: self.running_mean.clone(),
                    variance: self.running_var.clone(),
                    eps: self.eps,
                }
            }

            fn operation(&self) -> Result<op::BatchNorm> {
                fitting($name, "running mean", self.running_mean.clone(), &[self.num_features])?;
                op::BatchNorm::new(self.statistics(), Spatial::$spatial)
            }
        }

        impl Parameters for $layer {
            fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
                if let Some([weight, bias]) = &self.affine {
                    visit(join(path, "weight"), weight);
                    visit(join(path, "bias"), bias);
                }
                visit(join(path, "running_mean"), &self.running_mean);
                visit(join(path, "running_var"), &self.running_var);
            }

            fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
                if let Some([weight, bias]) = &mut self.affine {
                    visit(join(path, "weight"), weight);
                    visit(join(path, "bias"), bias);
                }
                visit(join(path, "running_mean"), &mut self.running_mean);
                visit(join(path, "running_var"), &mut self.running_var);
            }
        }

        layer!($layer, $name, op::BatchNorm);
    };
}

batch_norm!(BatchNorm1d, "BatchNorm1d", One, "`[N, C]` or `[N, C, L]`");
batch_norm!(BatchNorm2d, "BatchNorm2d", Two, "`[N, C, H, W]`");

/// Zeros and ones; empty for more features than a layer can have, of which `op` then speaks.
fn constants(num_features: usize) -> (Tensor, Tensor) {
    let length = if num_features > 1 << 32 { 0 } else { num_features };
    (Tensor::zeros(&[length]), Tensor::zeros(&[length]).map(|_| 1.0))
}
