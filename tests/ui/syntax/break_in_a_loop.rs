use qcore::prelude::*;

#[quantizable]
struct Net {
    layers: Vec<Linear>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = x;
        for layer in &self.layers {
            x = layer(x);
            break;
        }
        x
    }
}

fn main() {}
