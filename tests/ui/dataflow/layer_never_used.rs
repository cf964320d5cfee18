use qcore::prelude::*;

#[quantizable]
struct Net {
    fc1: Linear,
    fc2: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        relu(self.fc1(x))
    }
}

fn main() {}
