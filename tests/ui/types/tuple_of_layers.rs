use qcore::prelude::*;

#[quantizable]
struct Net {
    block: (Conv2d, BatchNorm2d),
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.block(x)
    }
}

fn main() {}
