use qcore::prelude::*;

#[quantizable]
struct Net {
    conv: Conv2d,
    bn: BatchNorm,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.bn(self.conv(x))
    }
}

fn main() {}
