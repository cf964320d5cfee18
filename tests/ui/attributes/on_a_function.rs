use qcore::prelude::*;

#[quantizable]
fn forward(x: Tensor) -> Tensor {
    x
}

fn main() {}
