use qcore::prelude::*;

#[quantizable]
struct Net {
    fc: Linear,
    layers: Vec<Sequential<(Linear, ReLU)>>,
    stages: Vec<Vec<Linear>>,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = self.layers(x);
        for stage in &self.stages {
            for layer in stage {
                x = layer(x) + x;
            }
        }
        self.fc(x)
    }
}

#[test]
fn compiles_and_runs() -> qcore::Result<()> {
    let model = Net {
        fc: Linear::new(4, 4),
        layers: vec![Sequential((Linear::new(4, 4), ReLU))],
        stages: vec![vec![Linear::new(4, 4)], vec![]],
    };
    let x = tests::tensors::noise(&[2, 4], 0);
    assert_eq!(model.forward(&x)?.shape(), [2, 4]);
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([&x])?;
    assert_eq!(prepared.convert()?.forward(&x)?.shape(), [2, 4]);
    Ok(())
}
