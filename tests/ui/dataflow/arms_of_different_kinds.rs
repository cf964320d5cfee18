use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
    both: bool,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.fc(x);
        let z = if self.both { (x, y) } else { y };
        relu(z)
    }
}

fn main() {}
