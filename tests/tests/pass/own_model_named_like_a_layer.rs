use qcore::prelude::*;

#[quantizable]
struct Conv2D {
    inner: Linear,
}

#[quantizable]
impl Conv2D {
    fn forward(&self, x: Tensor) -> Tensor {
        self.inner(x)
    }
}

#[quantizable]
struct Net {
    fc: Linear,
    #[quantizable(model)]
    conv: Conv2D,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.conv(self.fc(x))
    }
}

#[test]
fn compiles_and_runs() -> qcore::Result<()> {
    let model = Net { fc: Linear::new(4, 4), conv: Conv2D { inner: Linear::new(4, 4) } };
    let x = tests::tensors::noise(&[2, 4], 0);
    assert_eq!(model.forward(&x)?.shape(), [2, 4]);
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([&x])?;
    assert_eq!(prepared.convert()?.forward(&x)?.shape(), [2, 4]);
    Ok(())
}
