use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut y = self.fc(x);
        #[cfg(any())]
        y = relu(y);
        y
    }
}

fn main() {}
