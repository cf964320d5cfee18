use qcore::prelude::*;

#[quantizable]
struct Net {
    conv1: Conv2d,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.conv2(self.conv1(x))
    }
}

fn main() {}
