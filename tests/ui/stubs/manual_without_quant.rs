use qcore::prelude::*;

#[quantizable]
struct Net {
    conv: Conv2d,
}

#[quantizable(stubs = "manual")]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.conv(x)
    }
}

fn main() {}
