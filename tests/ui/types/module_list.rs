use qcore::prelude::*;

#[quantizable]
struct Net {
    layers: ModuleList,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.layers(x)
    }
}

fn main() {}
