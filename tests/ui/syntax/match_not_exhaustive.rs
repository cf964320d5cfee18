use qcore::prelude::*;

enum Act {
    Relu,
    Scale(f32),
    Other,
}

#[quantizable]
struct Net {
    fc: Linear,
    act: Act,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let x = self.fc(x);
        match self.act {
            Act::Relu => relu(x),
            Act::Scale(scale) => x * scale,
        }
    }
}

fn main() {}
