use qcore::prelude::*;

type ConvBn = qcore::Sequential<(Conv2d, BatchNorm2d)>;

#[quantizable]
struct Net {
    block: ConvBn,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.block(x)
    }
}

fn main() {}
