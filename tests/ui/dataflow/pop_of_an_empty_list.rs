use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut skips = Vec::new();
        let skip = skips.pop().unwrap();
        self.fc(x) + skip
    }
}

fn main() {}
