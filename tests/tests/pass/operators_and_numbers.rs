use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
    scale: f32,
    count: usize,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = 2.0 * self.fc(x) + 1;
        let z = 1.0 - y * self.scale;
        -(z / 2.0) - x * (self.count as f32)
    }
}

#[test]
fn compiles_and_runs() -> qcore::Result<()> {
    let model = Net { fc: Linear::new(4, 4), scale: 0.5, count: 2 };
    let x = tests::tensors::noise(&[2, 4], 0);
    assert_eq!(model.forward(&x)?.shape(), [2, 4]);
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([&x])?;
    assert_eq!(prepared.convert()?.forward(&x)?.shape(), [2, 4]);
    Ok(())
}
