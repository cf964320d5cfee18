use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable(stubs = "automatic")]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x)
    }
}

fn main() {}
