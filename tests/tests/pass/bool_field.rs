use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
    residual: bool,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut y = self.fc(x);
        if self.residual {
            y = y + x;
        }
        if !self.residual { relu(y) } else { y }
    }
}

#[test]
fn compiles_and_runs() -> qcore::Result<()> {
    let model = Net { fc: Linear::new(4, 4), residual: true };
    let x = tests::tensors::noise(&[2, 4], 0);
    assert_eq!(model.forward(&x)?.shape(), [2, 4]);
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([&x])?;
    assert_eq!(prepared.convert()?.forward(&x)?.shape(), [2, 4]);
    Ok(())
}
