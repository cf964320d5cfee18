use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        for row in x {
            self.fc(row);
        }
        x
    }
}

fn main() {}
