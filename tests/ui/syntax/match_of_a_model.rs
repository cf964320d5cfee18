use qcore::prelude::*;

enum Block {
    Linear(Linear),
    Conv(Conv2d),
}

#[quantizable]
struct Net {
    blocks: Vec<Block>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = x;
        for block in &self.blocks {
            x = match block {
                Block::Linear(fc) => fc(x),
                Block::Conv(conv) => conv(x),
            };
        }
        x
    }
}

fn main() {}
