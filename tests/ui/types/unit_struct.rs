use qcore::prelude::*;

#[quantizable]
struct Net;

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        relu(x)
    }
}

fn main() {}
