use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        activation(self.fc(x))
    }
}

fn activation(x: Tensor) -> Tensor {
    x
}

fn main() {}
