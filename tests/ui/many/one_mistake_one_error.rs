use qcore::prelude::*;

#[quantizable]
pub struct Net {
    fc: Linear,
}

#[quantizable]
impl Net {
    pub fn new() -> Self {
        Self { fc: Linear::new(4, 4) }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x).dropout2d(2)
    }
}

#[quantizable]
pub struct Outer {
    inner: Net,
}

#[quantizable]
impl Outer {
    pub fn forward(&self, x: Tensor) -> Tensor {
        self.inner(x)
    }
}

fn main() -> qcore::Result<()> {
    let model = Outer { inner: Net::new() };
    let y: Tensor = model.inner.forward(Tensor::zeros(&[1, 4]))?;
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([y])?;
    prepared.convert()?;
    Ok(())
}
