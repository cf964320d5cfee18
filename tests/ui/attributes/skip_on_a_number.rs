use qcore::prelude::*;

#[quantizable]
struct Net {
    #[quantizable(skip)]
    scale: f32,
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x) * self.scale
    }
}

fn main() {}
