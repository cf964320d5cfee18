use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.stem(x) + self.stem(x, 1)
    }

    fn stem(&self, y: Tensor) -> Tensor {
        relu(self.fc(x));
    }
}

fn main() {}
