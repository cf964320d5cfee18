use qcore::prelude::*;

#[quantizable]
struct Net {
    layers: Vec<Linear>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = x;
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer(x);
        }
        x
    }
}

fn main() {}
