use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let twice = |y: Tensor| self.fc(self.fc(y));
        twice(x)
    }
}

fn main() {}
