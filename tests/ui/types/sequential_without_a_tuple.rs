use qcore::prelude::*;

#[quantizable]
struct Net {
    features: Sequential<Conv2d>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.features(x)
    }
}

fn main() {}
