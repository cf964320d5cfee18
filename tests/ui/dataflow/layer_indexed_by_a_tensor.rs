use qcore::prelude::*;

#[quantizable]
struct Net {
    layers: Vec<Linear>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.layers[x](x)
    }
}

fn main() {}
