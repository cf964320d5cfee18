use qcore::prelude::*;

#[quantizable]
struct Net {
    block: Box<dyn qcore::Layer>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.block(x)
    }
}

fn main() {}
