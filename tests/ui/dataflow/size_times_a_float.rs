use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let n = x.size(0) * 0.5;
        self.fc(x.reshape((n, -1)))
    }
}

fn main() {}
