use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        adaptive_max_pool2d(self.fc(x), 2)
    }
}

fn main() {}
