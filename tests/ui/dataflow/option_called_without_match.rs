use qcore::prelude::*;

#[quantizable]
struct Net {
    downsample: Option<Conv2d>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.downsample(x)
    }
}

fn main() {}
