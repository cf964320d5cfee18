use qcore::prelude::*;

#[quantizable]
struct Backbone {
    stem: Linear,
}

#[quantizable]
impl Backbone {
    fn forward(&self, x: Tensor) -> Tensor {
        self.stem(x)
    }
}

#[quantizable]
struct Net {
    backbone: Backbone,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.backbone.steam(x)
    }
}

fn main() {}
