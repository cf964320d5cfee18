use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable(prepared = "", crate)]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x)
    }
}

fn main() {}
