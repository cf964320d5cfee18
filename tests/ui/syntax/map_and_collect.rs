use qcore::prelude::*;

#[quantizable]
struct Net {
    layers: Vec<Linear>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let outs: Vec<Tensor> = self.layers.iter().map(|layer| layer(x)).collect();
        cat(outs, 1)
    }
}

fn main() {}
