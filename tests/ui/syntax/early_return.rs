use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
    skip_head: bool,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        if self.skip_head {
            return x;
        }
        self.fc(x)
    }
}

fn main() {}
