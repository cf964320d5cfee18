use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
    first: Option<Linear>,
    second: Option<ReLU>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = match self.first.as_ref() {
            None => self.fc(x),
            Some(first) => {
                let y = first(x);
                self.fc(y)
            }
        };
        let mut z = y;
        if let Some(second) = &self.second {
            z = second(z);
        }
        z
    }
}

#[test]
fn compiles_and_runs() -> qcore::Result<()> {
    let model = Net { fc: Linear::new(4, 4), first: Some(Linear::new(4, 4)), second: None };
    let x = tests::tensors::noise(&[2, 4], 0);
    assert_eq!(model.forward(&x)?.shape(), [2, 4]);
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([&x])?;
    assert_eq!(prepared.convert()?.forward(&x)?.shape(), [2, 4]);
    Ok(())
}
