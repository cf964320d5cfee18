use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, (a, b): (Tensor, Tensor)) -> Tensor {
        self.fc(a + b)
    }
}

fn main() {}
