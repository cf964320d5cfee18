use qcore::prelude::*;
use tests::tensors::noise;

/// Images in other sizes, parts of them, and products of what they hold.
#[quantizable]
struct Net {
    conv: Conv2d,
    up: Upsample,
    border: ReflectionPad2d,
    shuffle: PixelShuffle,
    last: Conv2d,
}

#[quantizable]
impl Net {
    fn new() -> Self {
        Self {
            conv: Conv2d::new(3, 8, 3).padding(1),
            up: Upsample::scale_factor(2.0).mode(UpsampleMode::Bilinear),
            border: ReflectionPad2d::new(1),
            shuffle: PixelShuffle::new(2),
            last: Conv2d::new(10, 6, 3),
        }
    }

    fn forward(&self, x: Tensor) -> (Tensor, Tensor) {
        let y = relu(self.conv(x));
        let larger = cat([self.up(y), self.shuffle(y)], 1);
        let z = self.last(self.border(larger));
        let z = maximum(z, minimum(z.interpolate((8, 12)).interpolate(None, 1.0), abs(z)));
        let z = pad(z, [0, 0, 1, 1], "constant", 0.5).narrow(2, 1, 8);
        let rows = z.flatten(2);
        let weights = bmm(rows, rows.transpose(1, 2)).softmax(-1);
        let mixed = matmul(weights, rows);
        let both = stack([rows, mixed], 1).select(1, 1).unsqueeze(1).expand(-1, 2, -1, -1);
        (both, square(mixed.squeeze()).neg())
    }
}

#[test]
fn compiles_and_runs() -> Result<(), Box<dyn std::error::Error>> {
    let model = Net::new();
    let x = noise(&[2, 3, 4, 6], 5);
    let expected = model.forward(x.clone())?;
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([&x])?;
    let converted = prepared.convert()?;
    let output = converted.forward(&x)?;
    for (found, expected, shape) in
        [(&output.0, &expected.0, &[2, 2, 6, 96][..]), (&output.1, &expected.1, &[2, 6, 96])]
    {
        assert_eq!((found.shape(), expected.shape()), (shape, shape));
        let (found, expected) = (found.view(), expected.view());
        let mean = |values: ndarray::ArrayD<f32>| values.mapv(f32::abs).mean().unwrap_or(f32::NAN);
        let (difference, size) = (mean(&found - &expected), mean(expected.to_owned()));
        assert!(difference < 0.1 * size, "{difference} of {size}");
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("net.safetensors");
    converted.save(&path)?;
    assert_eq!(NetConverted::load(&path)?.forward(&x)?, output);
    Ok(())
}
