use qcore::prelude::*;

#[quantizable]
struct Net {
    drop: Dropout,
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(self.drop(x, 0.5))
    }
}

fn main() {}
