use qcore::prelude::*;

#[quantizable]
struct Net {
    #[quantizable(rename = "head")]
    fc: Linear,
    head: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.head(self.fc(x))
    }
}

fn main() {}
