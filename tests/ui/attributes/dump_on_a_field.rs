use qcore::prelude::*;

#[quantizable]
struct Net {
    #[quantizable(dump)]
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x)
    }
}

fn main() {}
