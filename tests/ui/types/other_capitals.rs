use qcore::prelude::*;

#[quantizable]
struct Net {
    conv: Conv2d,
    act: Relu,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.act(self.conv(x))
    }
}

fn main() {}
