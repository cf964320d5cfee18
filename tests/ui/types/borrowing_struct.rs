use qcore::prelude::*;

#[quantizable]
struct Net<'a> {
    fc: Linear,
    name: &'a str,
}

#[quantizable]
impl<'a> Net<'a> {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x)
    }
}

fn main() {}
