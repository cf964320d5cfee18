use qcore::prelude::*;

#[quantizable]
struct Net {
    attention: MultiheadAttention,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.attention(x)
    }
}

fn main() {}
