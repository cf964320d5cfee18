use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
    wide: bool,
}

#[quantizable]
impl Net {
    fn forward(&self, #[inline] x: Tensor) -> Tensor {
        #[must_use]
        let y = self.fc(x);
        #[allow(unused)]
        let y = match self.wide {
            #[cold]
            true => relu(y),
            false => y,
        };
        y
    }
}

fn main() {}
