use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor, y: Tensor) -> Tensor {
        self.fc(x, y)
    }
}

fn main() {}
