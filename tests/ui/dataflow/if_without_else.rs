use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
    activate: bool,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.fc(x);
        let y = if self.activate {
            relu(y)
        };
        y
    }
}

fn main() {}
