use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x)
    }
}

fn main() {}
