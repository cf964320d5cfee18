use qcore::prelude::*;

#[quantizable]
struct Net {
    #[quantizable(rename = "features", first = 1)]
    stem: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.stem(x)
    }
}

fn main() {}
