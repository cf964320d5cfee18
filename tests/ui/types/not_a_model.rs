use qcore::prelude::*;

struct Inner {
    size: usize,
}

#[quantizable]
struct Net {
    inner: Inner,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.inner(x)
    }
}

fn main() {}
