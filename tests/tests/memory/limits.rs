//! Shapes, parameters and files that ask for more memory than there is.

use qcore::prelude::*;
use qcore::{Converted, DType, Error, Layer, QParams, QTensor, functional};
use tests::tensors::noise;

use crate::{Net, alone, converted, net, refusal, with_limit};

const FAR: usize = 1 << 40;

#[test]
fn padding_that_makes_an_image_far_too_large_names_its_layer() {
    let _alone = alone();
    let model = Net { conv: Conv2d::new(3, 64, 3).padding(65_536), ..net() };
    let x = noise(&[1, 3, 8, 8], 0);
    let side = 8 + 2 * 65_536 - 2;
    let (layer, bytes, _) = refusal(model.forward(x.clone()));
    assert_eq!((layer.as_str(), bytes), ("conv", 4 * 64 * side * side));
    let prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    assert_eq!(refusal(prepared.forward(&x)).0, "conv");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    converted(&model).unwrap().save(&path).unwrap();
    let loaded = Converted::<Net>::load(&path).unwrap();
    let (layer, bytes, _) = refusal(loaded.forward(&x));
    assert_eq!((layer.as_str(), bytes), ("conv", 64 * side * side));
    assert_eq!(refusal(loaded.memory(&x)).0, "conv");
    assert_eq!(refusal(loaded.profile(&x)).0, "conv");
}

#[test]
fn a_limit_holds_for_every_variant_and_can_be_raised() {
    let _alone = alone();
    let model = net();
    let prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    let int8 = converted(&model).unwrap();
    let (small, large) = (noise(&[1, 3, 16, 16], 0), noise(&[1, 3, 256, 256], 1));
    let expected =
        [model.forward(large.clone()), prepared.forward(&large), int8.forward(&large)].map(Result::unwrap);
    with_limit(1 << 16, || {
        assert!(model.forward(small.clone()).is_ok());
        assert!(prepared.forward(&small).is_ok());
        assert!(int8.forward(&small).is_ok());
        // Memory that is there already counts like new one.
        for result in [model.forward(large.clone()), prepared.forward(&large), int8.forward(&large)] {
            assert_eq!(refusal(result).2, 1 << 16);
        }
        let mut y = Tensor::zeros(&[1, 4]);
        refusal(int8.forward_into(&large, &mut y));
    });
    for (result, expected) in [model.forward(large.clone()), prepared.forward(&large), int8.forward(&large)]
        .into_iter()
        .zip(expected)
    {
        assert_eq!(result.unwrap(), expected);
    }
}

#[test]
fn functions_ask_before_they_take() {
    let _alone = alone();
    let x = noise(&[1, 1, 4, 4], 0);
    refusal(functional::adaptive_avg_pool2d(&x, (1 << 30, 1 << 20)));
    assert!(functional::adaptive_avg_pool2d(&x, 1_000_000_000_000_000_000).is_err());
    refusal(functional::add(&Tensor::zeros(&[1 << 20, 1]), &Tensor::zeros(&[1, 1 << 20])));
    refusal(functional::mul(&Tensor::zeros(&[1 << 22, 1, 1]), &Tensor::zeros(&[1 << 22, 1])));
    with_limit(1 << 16, || {
        let row = noise(&[1 << 10, 1], 0);
        refusal(Linear::new(1, 64).forward(row.clone()));
        refusal(functional::add(&row, &Tensor::zeros(&[1, 64])));
        refusal(functional::cat(&[&row; 20], 1));
        refusal(functional::mean(&noise(&[2, 1 << 15], 0), &[0], false));
        let transposed = functional::transpose(&noise(&[64, 1 << 10], 0), 0, 1).unwrap();
        refusal(functional::reshape(&transposed, &[-1]));
        refusal(QTensor::quantize(
            &noise(&[1 << 16], 0),
            &QParams::per_tensor(0.1, 0, DType::QUInt8).unwrap(),
        ));
        refusal(Tensor::try_zeros(&[1 << 15]));
    });
}

#[test]
fn layers_of_absurd_sizes_fail_when_they_are_used() {
    let _alone = alone();
    let x = noise(&[1, 4, 8, 8], 0);
    let refused = [
        Conv2d::new(4, FAR, 3).forward(x.clone()),
        Conv2d::new(4, 1 << 30, 100).forward(x.clone()),
        Conv2d::new(4, 4, (FAR, 1)).forward(x.clone()),
        Conv2d::new(4, FAR, 1).bias(false).bias(true).forward(x.clone()),
        Linear::new(8, FAR).forward(x.clone()),
        Linear::new(FAR, FAR).bias(false).bias(true).forward(x.clone()),
        BatchNorm2d::new(FAR).forward(x.clone()),
        BatchNorm2d::new(1 << 60).affine(false).forward(x.clone()),
        AdaptiveAvgPool2d::new((FAR, 1)).forward(x.clone()),
    ];
    for result in refused {
        refusal(result);
    }
    let failed = [
        Conv2d::new(FAR, FAR, 3).forward(x.clone()),
        Conv2d::new(FAR, FAR, 3).groups(FAR).forward(x.clone()),
        Conv2d::new(usize::MAX, usize::MAX, usize::MAX).forward(x.clone()),
        AdaptiveAvgPool2d::new(1_000_000_000_000_000_000).forward(x.clone()),
        MaxPool2d::new(FAR).padding(FAR / 2).stride(usize::MAX).forward(x.clone()),
    ];
    for result in failed {
        assert!(result.is_err());
    }
    // A window that is far larger than the image takes no longer than the image has pixels.
    for ceil_mode in [false, true] {
        let pool = MaxPool2d::new(FAR).padding(FAR / 2).stride(FAR).ceil_mode(ceil_mode);
        let y = pool.forward(x.clone()).unwrap();
        let plane = &x.as_slice().unwrap()[..64];
        assert_eq!(y.view()[[0, 0, 0, 0]], plane.iter().copied().fold(f32::MIN, f32::max));
        let y = AvgPool2d::new(FAR).padding(FAR / 2).stride(FAR).ceil_mode(ceil_mode).forward(x.clone());
        assert!(y.is_ok());
    }
    let model = Net { conv: Conv2d::new(3, FAR, 3), fc: Linear::new(FAR, 2) };
    assert_eq!(refusal(model.prepare(&QConfigMapping::for_backend(Backend::Native))).0, "conv");
}

#[test]
fn a_layer_whose_weights_are_beyond_the_limit_says_so() {
    let _alone = alone();
    with_limit(1 << 20, || {
        let (what, bytes, _) = refusal(Linear::new(1 << 10, 1 << 10).forward(noise(&[1, 1 << 10], 0)));
        assert!(
            what.contains("weight") && what.contains("Linear") && what.contains("[1024, 1024]"),
            "{what}"
        );
        assert_eq!(bytes, 4 << 20);
    });
}

#[test]
fn tensors_beyond_all_memory_are_an_error_or_a_panic_that_is_documented() {
    let _alone = alone();
    for shape in [&[FAR, FAR][..], &[usize::MAX], &[FAR, 0, FAR], &[1 << 50]] {
        assert!(matches!(Tensor::try_zeros(shape), Err(Error::Memory { .. })), "{shape:?}");
        assert!(std::panic::catch_unwind(|| Tensor::zeros(shape)).is_err());
    }
    assert_eq!(Tensor::try_zeros(&[FAR, 0]).unwrap().shape(), [FAR, 0]);
}
