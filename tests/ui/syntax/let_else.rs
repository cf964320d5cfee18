use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Option<Linear>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let Some(fc) = &self.fc else {
            return x;
        };
        fc(x)
    }
}

fn main() {}
