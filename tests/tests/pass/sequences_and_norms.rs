use qcore::prelude::*;
use tests::tensors::noise;

/// A network for sequences, with every norm and softmax.
#[quantizable]
struct Net {
    conv: Conv1d,
    norm: BatchNorm1d,
    depthwise: Conv1d,
    pool: MaxPool1d,
    group: GroupNorm,
    instance: InstanceNorm1d,
    prelu: PReLU,
    layer: LayerNorm,
    fc: Linear,
    softmax: Softmax,
}

#[quantizable]
impl Net {
    fn new() -> Self {
        Self {
            conv: Conv1d::new(3, 8, 5).stride(2).padding(2).bias(false),
            norm: BatchNorm1d::new(8),
            depthwise: Conv1d::new(8, 8, 3).padding(2).dilation(2).groups(8),
            pool: MaxPool1d::new(3).stride(2).padding(1),
            group: GroupNorm::new(2, 8),
            instance: InstanceNorm1d::new(8).affine(true),
            prelu: PReLU::new(8),
            layer: LayerNorm::new([6]),
            fc: Linear::new(6, 5),
            softmax: Softmax::new(-1),
        }
    }

    fn forward(&self, x: Tensor) -> (Tensor, Tensor) {
        let y = relu(self.norm(self.conv(x)));
        let y = self.group(self.prelu(self.depthwise(y)));
        let y = self.instance(self.pool(y)) + avg_pool1d(y, 3, 2, 1);
        let rows = self.layer(adaptive_avg_pool1d(y, 6));
        let logits = self.fc(rows);
        (self.softmax(logits), logits.log_softmax(2))
    }
}

#[test]
fn compiles_and_runs() -> Result<(), Box<dyn std::error::Error>> {
    let model = Net::new();
    let x = noise(&[2, 3, 50], 5);
    let expected = model.forward(x.clone())?;
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([&x])?;
    let converted = prepared.convert()?;
    let output = converted.forward(&x)?;
    // Norms of few values amplify what was rounded before them.
    for (found, expected, tolerance) in [(&output.0, &expected.0, 0.015), (&output.1, &expected.1, 0.075)] {
        assert_eq!(found.shape(), [2, 8, 5]);
        let (found, expected) = (found.view(), expected.view());
        let mean = (&found - &expected).mapv(f32::abs).mean().unwrap_or(f32::NAN);
        assert!(mean < tolerance, "{mean}");
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("net.safetensors");
    converted.save(&path)?;
    assert_eq!(NetConverted::load(&path)?.forward(&x)?, output);
    Ok(())
}
