use qcore::prelude::*;

#[quantizable]
struct Net {
    blocks: std::collections::HashMap<String, Conv2d>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.blocks["a"](x)
    }
}

fn main() {}
