use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

trait Forward {
    fn forward(&self, x: Tensor) -> Tensor;
}

#[quantizable]
impl Forward for Net {
    fn forward(&self, x: Tensor) -> Tensor {
        x
    }
}

fn main() {}
