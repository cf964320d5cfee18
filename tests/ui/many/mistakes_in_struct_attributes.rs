use qcore::prelude::*;

#[quantizable]
struct Net {
    #[quantizable(skp)]
    conv1: Conv2D,
    #[quantizable(rename = 3)]
    fc: Liner,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(self.conv1(x))
    }
}

fn main() {}
