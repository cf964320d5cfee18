use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        if x.mean(1) > 0.5 { self.fc(x) } else { x }
    }
}

fn main() {}
