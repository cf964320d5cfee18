use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = x;
        while x.size(0) > 1 {
            x = self.fc(x);
        }
        x
    }
}

fn main() {}
