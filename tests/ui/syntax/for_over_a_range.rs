use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = x;
        for _ in 0..3 {
            x = self.fc(x);
        }
        x
    }
}

fn main() {}
