use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    async fn forward(&mut self, x: Tensor) -> Tensor {
        self.fc(y)?
    }
}

fn main() {}
