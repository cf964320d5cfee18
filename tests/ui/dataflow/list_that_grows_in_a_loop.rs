use qcore::prelude::*;

#[quantizable]
struct Net {
    layers: Vec<Linear>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = x;
        let mut skips = vec![x];
        for layer in &self.layers {
            x = layer(x);
            skips.push(x);
        }
        cat(skips, 1)
    }
}

fn main() {}
