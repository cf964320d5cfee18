use qcore::prelude::*;

#[quantizable]
enum Block {
    Plain(Conv2d),
    Normed(Conv2d, BatchNorm2d),
}

#[quantizable]
struct Net {
    blocks: Vec<Block>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.blocks(x)
    }
}

fn main() {}
