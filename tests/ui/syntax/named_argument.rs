use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        max_pool2d(self.fc(x), 3, stride = 2)
    }
}

fn main() {}
