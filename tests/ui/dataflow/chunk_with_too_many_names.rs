use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let (a, b, c) = self.fc(x).chunk(2, 1);
        a + b + c
    }
}

fn main() {}
