use qcore::prelude::*;

#[quantizable]
struct Net<const N: usize> {
    fc: Linear,
}

#[quantizable]
impl Net<3> {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x)
    }
}

fn main() {}
