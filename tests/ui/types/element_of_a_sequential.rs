use qcore::prelude::*;

#[quantizable]
struct Net {
    block: qcore::Sequential<(Linear, ReLU)>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.block[0](x)
    }
}

fn main() {}
