use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let parts = self.fc(x).chunk(2, 1);
        parts
    }
}

fn main() {}
