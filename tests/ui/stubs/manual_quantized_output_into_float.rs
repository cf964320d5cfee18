use qcore::prelude::*;

#[quantizable]
struct Net {
    conv: Conv2d,
    #[quantizable(skip)]
    fc: Linear,
}

#[quantizable(stubs = "manual")]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.conv(quant(x));
        self.fc(y)
    }
}

fn main() {}
