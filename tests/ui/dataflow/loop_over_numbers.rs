use qcore::prelude::*;

#[quantizable]
struct Net {
    sizes: Vec<usize>,
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = self.fc(x);
        for size in &self.sizes {
            x = relu(x);
        }
        x
    }
}

fn main() {}
