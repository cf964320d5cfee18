use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward<T: Into<Tensor>>(&self, x: T) -> Tensor {
        self.fc(x)
    }
}

fn main() {}
