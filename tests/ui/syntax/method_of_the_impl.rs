use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.head(self.fc(x))
    }

    fn head(&self, x: Tensor) -> Tensor {
        x
    }
}

fn main() {}
