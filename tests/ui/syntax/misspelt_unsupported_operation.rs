use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x).adaptive_maxpool2d(1)
    }
}

fn main() {}
