use qcore::prelude::*;

fn act(x: Tensor) -> Tensor {
    x
}

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        act(self.fc(x))
    }
}

fn main() {}
