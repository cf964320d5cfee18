use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
    groups: usize,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let n = x.size(0);
        let y = self.fc(x).reshape((n, self.groups, -1)).permute((0, 2, 1));
        y.reshape((x.size(0), -1))
    }
}

#[test]
fn compiles_and_runs() -> qcore::Result<()> {
    let model = Net { fc: Linear::new(4, 4), groups: 2 };
    let x = tests::tensors::noise(&[2, 4], 0);
    assert_eq!(model.forward(&x)?.shape(), [2, 4]);
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([&x])?;
    assert_eq!(prepared.convert()?.forward(&x)?.shape(), [2, 4]);
    Ok(())
}
