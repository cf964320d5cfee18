use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.twice(x)
    }

    fn twice(&self, x: Tensor) -> Tensor {
        self.twice(self.fc(x))
    }
}

fn main() {}
