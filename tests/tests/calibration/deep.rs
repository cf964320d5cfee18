//! Layers whose sums leave `i32`.

use qcore::Converted;
use qcore::prelude::*;
use tests::tensors::noise;

use crate::calibrate;

#[quantizable]
struct Deep {
    fc: Linear,
}

#[quantizable]
impl Deep {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x)
    }
}

/// All of the largest weight and the largest input: 140,000 times 127 times 255, twice what `i32` holds.
#[test]
fn a_layer_of_140_000_features_is_as_near_to_float_as_any() {
    const FEATURES: usize = 140_000;
    let weight = Tensor::from_vec(
        &[2, FEATURES],
        [0.5, -0.5].into_iter().flat_map(|weight| std::iter::repeat_n(weight, FEATURES)).collect(),
    );
    let fc = Linear::new(FEATURES, 2).with_weight(weight.unwrap()).unwrap();
    let fc = fc.with_bias(Tensor::from_vec(&[2], vec![1000.0, -2000.0]).unwrap()).unwrap();
    let x = Tensor::from_vec(
        &[3, FEATURES],
        (0..3 * FEATURES).map(|i| [1.0, -1.0, 0.5 - (i % 2) as f32][i / FEATURES]).collect(),
    )
    .unwrap();
    let expected = [71_000.0, -72_000.0, -69_000.0, 68_000.0, 1000.0, -2000.0];
    for backend in Backend::ALL {
        let mut prepared = Deep { fc: fc.clone() }.prepare(&QConfigMapping::for_backend(backend)).unwrap();
        calibrate(&mut prepared, [&x]);
        let int8 = prepared.convert().unwrap();
        let y = int8.forward(&x).unwrap();
        // Of the output's range 140,000 a step of 1/127, and of the input and weight half a percent each.
        for (found, expected) in y.view().iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 2500.0, "{backend}: {y:?}");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep.safetensors");
        int8.save(&path).unwrap();
        assert_eq!(Converted::<Deep>::load(&path).unwrap().forward(&x).unwrap(), y);
    }
}

#[test]
fn a_dynamic_layer_is_as_deep() {
    const FEATURES: usize = 140_000;
    let weight = Tensor::zeros(&[1, FEATURES]).map(|_| 0.25);
    let fc = Linear::new(FEATURES, 1).bias(false).with_weight(weight).unwrap();
    let mapping = QConfigMapping::new().global(QConfig::dynamic());
    let int8 = Deep { fc }.prepare(&mapping).unwrap().convert().unwrap();
    let x = noise(&[1, FEATURES], 0).map(|value| value.abs().max(0.9));
    let exact: f64 = x.view().iter().map(|&value| f64::from(value) * 0.25).sum();
    let y = int8.forward(&x).unwrap();
    assert!((f64::from(y.view()[[0, 0]]) / exact - 1.0).abs() < 0.01, "{y:?} {exact}");
}
