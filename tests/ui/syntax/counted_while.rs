use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = x;
        let mut i = 0;
        while i < 3 {
            x = self.fc(x);
            i += 1;
        }
        x
    }
}

fn main() {}
