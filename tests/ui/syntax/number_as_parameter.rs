use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor, scale: f32) -> Tensor {
        self.fc(x) * scale
    }
}

fn main() {}
