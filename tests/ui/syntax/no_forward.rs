use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn foward(&self, x: Tensor) -> Tensor {
        self.fc(x)
    }
}

fn main() {}
