use qcore::prelude::*;

#[quantizable]
struct Net {
    conv: Conv2d,
    #[quantizable(skip)]
    fc: Linear,
}

#[quantizable(deny(float_ops))]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(self.conv(x))
    }
}

fn main() {}
