use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
    r#type: Linear,
    #[quantizable(rename = "features.0")]
    first: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.first(self.r#type(self.fc(x)))
    }
}

#[test]
fn compiles_and_runs() -> qcore::Result<()> {
    let model = Net { fc: Linear::new(4, 4), r#type: Linear::new(4, 4), first: Linear::new(4, 4) };
    let x = tests::tensors::noise(&[2, 4], 0);
    assert_eq!(model.forward(&x)?.shape(), [2, 4]);
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([&x])?;
    assert_eq!(prepared.convert()?.forward(&x)?.shape(), [2, 4]);
    let shapes = model.state_dict().shapes();
    let keys: Vec<&str> = shapes.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["fc.bias", "fc.weight", "features.0.bias", "features.0.weight", "type.bias", "type.weight"]
    );
    Ok(())
}
