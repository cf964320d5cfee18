use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
    wide: bool,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut skips = vec![x];
        if self.wide {
            skips.push(self.fc(x));
        }
        cat(skips, 1)
    }
}

fn main() {}
