//! One linear layer, whose weights are all that there is to read.

use qcore::prelude::*;

/// `nn.Sequential(nn.Linear(in_features, out_features))`.
#[quantizable]
pub struct WideLinear {
    #[quantizable(rename = "0")]
    linear: Linear,
}

#[quantizable]
impl WideLinear {
    /// With made-up weights.
    pub fn new(in_features: usize, out_features: usize) -> Self {
        Self { linear: Linear::new(in_features, out_features) }
    }

    /// `[N, in_features]` to `[N, out_features]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        self.linear(x)
    }
}
