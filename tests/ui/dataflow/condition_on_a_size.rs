use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        if x.size(0) > 2 { self.fc(x) } else { x }
    }
}

fn main() {}
