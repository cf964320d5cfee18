use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> qcore::Result<Tensor> {
        self.fc(x)
    }
}

fn main() {}
