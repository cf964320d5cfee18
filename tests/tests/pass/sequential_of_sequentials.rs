use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
    body: Sequential<(Linear, Sequential<(Linear, ReLU)>)>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(self.body(x))
    }
}

#[test]
fn compiles_and_runs() -> qcore::Result<()> {
    let model = Net {
        fc: Linear::new(4, 4),
        body: Sequential((Linear::new(4, 4), Sequential((Linear::new(4, 4), ReLU)))),
    };
    let x = tests::tensors::noise(&[2, 4], 0);
    assert_eq!(model.forward(&x)?.shape(), [2, 4]);
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([&x])?;
    assert_eq!(prepared.convert()?.forward(&x)?.shape(), [2, 4]);
    Ok(())
}
