use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
    offset: Tensor,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x) + self.offset
    }
}

fn main() {}
