use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = #[cfg_attr(any(), inline)]
        self.fc(x);
        y
    }
}

fn main() {}
