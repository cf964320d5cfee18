use qcore::prelude::*;

#[quantizable]
struct Net {
    conv1: Conv2d,
    bn3: BatchNorm2d,
    residual: bool,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = relu6(self.conv1(z));
        while self.residual {}
        let w = dropout2d(y, 2);
        if x > 2.0 {}
        self.conv2(w)
    }
}

fn main() {}
