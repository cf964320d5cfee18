use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
    residual: bool,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.residual(self.fc(x))
    }
}

fn main() {}
