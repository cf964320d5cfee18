use qcore::prelude::*;

#[quantizable]
struct Head<const CLASSES: usize> {
    fc: Linear,
}

#[quantizable]
impl<const CLASSES: usize> Head<CLASSES> {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x).reshape((-1, CLASSES))
    }
}

#[quantizable]
struct Net<B> {
    fc: Linear,
    body: B,
}

#[quantizable]
impl<B> Net<B> {
    fn forward(&self, x: Tensor) -> Tensor {
        self.body(relu(self.fc(x)))
    }
}

#[test]
fn compiles_and_runs() -> qcore::Result<()> {
    let model = Net { fc: Linear::new(4, 4), body: Head::<3> { fc: Linear::new(4, 3) } };
    let x = tests::tensors::noise(&[2, 4], 0);
    assert_eq!(model.forward(&x)?.shape(), [2, 3]);
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([&x])?;
    assert_eq!(prepared.convert()?.forward(&x)?.shape(), [2, 3]);
    Ok(())
}
