use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Option<Linear>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc.as_ref().unwrap()(x)
    }
}

fn main() {}
