use qcore::{Tensor, ops::Linear, quantizable};

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        relu(self.fc(x))
    }
}

fn main() {}
