use qcore::prelude::*;

#[quantizable]
struct Net {
    features: Sequential<(Conv2d, Sequential<(BatchNorm2d, ReLU)>)>,
    #[quantizable(rename = "features.1.0")]
    first: BatchNorm2d,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.first(self.features(x))
    }
}

fn main() {}
