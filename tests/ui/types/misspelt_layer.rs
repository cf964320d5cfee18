use qcore::prelude::*;

#[quantizable]
struct Net {
    conv: Conv2D,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.conv(x)
    }
}

fn main() {}
