use qcore::prelude::*;

#[quantizable]
struct Net(Linear);

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        (self.0)(x)
    }
}

fn main() {}
