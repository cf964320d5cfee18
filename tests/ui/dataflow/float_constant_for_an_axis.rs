use qcore::prelude::*;

const START: f32 = 1.0;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x.flatten(START))
    }
}

fn main() {}
