use qcore::prelude::*;
use tests::tensors::noise;

/// Each activation as a layer and as a function, with its arguments.
#[quantizable]
struct Net {
    conv: Conv2d,
    elu: ELU,
    celu: CELU,
    gelu: GELU,
    hardsigmoid: Hardsigmoid,
    hardswish: Hardswish,
    hardtanh: Hardtanh,
    leaky_relu: LeakyReLU,
    mish: Mish,
    sigmoid: Sigmoid,
    silu: SiLU,
    tanh: Tanh,
    threshold: Threshold,
}

#[quantizable]
impl Net {
    fn new() -> Self {
        Self {
            conv: Conv2d::new(3, 8, 3),
            elu: ELU::new().alpha(0.5),
            celu: CELU::new(),
            gelu: GELU::new().approximate_tanh(),
            hardsigmoid: Hardsigmoid,
            hardswish: Hardswish,
            hardtanh: Hardtanh::new().max_val(2.0),
            leaky_relu: LeakyReLU::new().negative_slope(0.2),
            mish: Mish,
            sigmoid: Sigmoid,
            silu: SiLU,
            tanh: Tanh,
            threshold: Threshold::new(-0.5, 0.25),
        }
    }

    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.conv(x);
        let a = cat([self.elu(y), self.celu(y), self.gelu(y), self.hardswish(y), self.hardtanh(y)], 1);
        let b = cat([elu(y, 0.5), celu(y, 1.0), gelu(y, "tanh"), y.hardswish(), y.hardtanh(-1, 2)], 1);
        let c = cat([self.leaky_relu(y), self.mish(y), self.silu(y), self.threshold(y)], 1);
        let d = cat([leaky_relu(y, 0.2), y.mish(), silu(y), threshold(y, -0.5, 0.25)], 1);
        let e = cat([self.sigmoid(y), self.hardsigmoid(y), self.tanh(y)], 1);
        let f = cat([sigmoid(y), y.hardsigmoid(), y.tanh()], 1);
        cat([a, b, c, d, e, f], 1)
    }
}

#[test]
fn compiles_and_runs() -> Result<(), Box<dyn std::error::Error>> {
    let model = Net::new();
    let x = noise(&[2, 3, 9, 7], 5);
    let expected = model.forward(x.clone())?;
    // A layer and its function are the same.
    let channels = |first: usize, count: usize| {
        expected.view().slice_axis(ndarray::Axis(1), (first..first + count).into()).to_owned()
    };
    for (first, count) in [(0, 40), (80, 32), (144, 24)] {
        assert_eq!(channels(first, count), channels(first + count, count));
    }
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([&x])?;
    let converted = prepared.convert()?;
    let output = converted.forward(&x)?;
    // Two roundings, of the convolution and of the activation, and a third where `cat` brings scales together.
    let largest = expected.view().iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    for (found, expected) in output.view().iter().zip(&expected.view()) {
        assert!((found - expected).abs() <= 0.05 * largest, "{found} in place of {expected}");
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("net.safetensors");
    converted.save(&path)?;
    assert_eq!(NetConverted::load(&path)?.forward(&x)?, output);
    Ok(())
}
