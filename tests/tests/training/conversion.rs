//! A network trained with fake quantization, and the integers that it becomes.

use qcore::prelude::*;
use qcore::train::{Optimizer, Sgd, Trainable, cross_entropy};
use qcore::{Error, FakeQuantize, QConfig, StateTensor};
use tests::tensors::{largest_difference, noise};

#[quantizable]
struct Net {
    conv: Conv2d,
    bn: BatchNorm2d,
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let x = relu(self.bn(self.conv(x)));
        self.fc(flatten(mean(x, (2, 3)), 1))
    }
}

const LABELS: [usize; 8] = [0, 1, 2, 0, 1, 2, 0, 1];

fn trainable(mapping: &QConfigMapping) -> Trainable<Net> {
    let net = Net { conv: Conv2d::new(3, 8, 3).bias(false), bn: BatchNorm2d::new(8), fc: Linear::new(8, 3) };
    net.prepare_qat(mapping).unwrap()
}

/// Gives the loss of each step.
fn train(model: &mut Trainable<Net>, steps: usize) -> Vec<f32> {
    let x = noise(&[8, 3, 6, 6], 1);
    let mut sgd = Sgd::new(0.2).momentum(0.9);
    (0..steps)
        .map(|_| {
            let loss = cross_entropy(&model.forward(&x).unwrap(), &LABELS, 0.0).unwrap();
            model.backward(loss.gradient).unwrap();
            model.step(&mut sgd).unwrap();
            loss.value
        })
        .collect()
}

#[test]
fn integers_agree_with_fake_quantization() {
    // Fbgemm's and x86's fake quantization ends at 127 where their integers go on to 255, in PyTorch as here: values beyond
    // the range of training differ.
    for backend in [Backend::Native, Backend::Qnnpack, Backend::Onednn] {
        let mut model = trainable(&QConfigMapping::for_qat(backend));
        let losses = train(&mut model, 30);
        assert!(losses[29] < 0.7 * losses[0], "{backend}: {losses:?}");
        model.eval();
        // The last step has changed the weights: their scales follow in a forward pass.
        model.forward(noise(&[8, 3, 6, 6], 1)).unwrap();
        model.disable_observer();
        let int8 = model.convert().unwrap();
        let x = noise(&[8, 3, 6, 6], 2);
        let [fake, integers] = [model.forward(&x).unwrap(), int8.forward(&x).unwrap()];
        // A tie of one of the sums can fall the other way, and moves the output by a step or two.
        let output = int8.summary().edges.last().and_then(|edge| edge.qparams.clone()).unwrap();
        let difference = largest_difference(&fake, &integers);
        assert!(
            difference <= 2.01 * output.tensor_scale(),
            "{backend}: {difference} of steps {}",
            output.tensor_scale()
        );
    }
}

#[test]
fn what_a_forward_pass_keeps_is_counted_once() {
    let mut model = trainable(&QConfigMapping::new());
    assert_eq!(model.saved_bytes(), 0);
    let y = model.forward(noise(&[8, 3, 6, 6], 1)).unwrap();
    // The picture, the outputs of convolution, batch norm, ReLU, mean and linear layer; flattening moves nothing.
    let values = 8 * (3 * 6 * 6 + 3 * 8 * 4 * 4 + 8 + 3);
    assert_eq!(model.saved_bytes(), size_of::<f32>() * values);
    model.backward(y).unwrap();
    assert_eq!(model.saved_bytes(), 0);

    let mut rounded = trainable(&QConfigMapping::for_qat(Backend::Native));
    rounded.forward(noise(&[8, 3, 6, 6], 1)).unwrap();
    assert!(rounded.saved_bytes() > size_of::<f32>() * values);
    rounded.eval();
    assert_eq!(rounded.saved_bytes(), 0);
}

#[test]
fn a_mapping_without_qconfigs_trains_in_float() {
    let mut model = trainable(&QConfigMapping::new());
    let losses = train(&mut model, 30);
    assert!(losses[29] < 0.5 * losses[0], "{losses:?}");
    model.eval();
    let mut net =
        Net { conv: Conv2d::new(3, 8, 3).bias(false), bn: BatchNorm2d::new(8), fc: Linear::new(8, 3) };
    net.load_state_dict(&model.state_dict()).unwrap();
    let x = noise(&[2, 3, 6, 6], 3);
    assert!(largest_difference(&net.forward(&x).unwrap(), &model.forward(&x).unwrap()) < 1e-5);
}

/// Learned scales, everything per tensor.
fn learnable() -> QConfigMapping {
    let weight = qcore::observer::MinMaxObserver::new().dtype(qcore::DType::QInt8);
    let weight = weight.qscheme(qcore::QScheme::PerTensorSymmetric);
    let qconfig = QConfig::new(
        FakeQuantize::learnable(qcore::observer::MinMaxObserver::new()),
        FakeQuantize::learnable(weight.quant_min(-128).quant_max(127)),
    );
    QConfigMapping::new().global(qconfig)
}

fn scale_gradient(model: &mut Trainable<Net>) -> Option<f32> {
    let mut found = None;
    model
        .for_each_fake_quant("fc", |fake_quant| {
            found = found.or(fake_quant.gradients().map(|[scale, _]| scale[0]));
        })
        .unwrap();
    found
}

#[test]
fn gradients_of_learned_scales_add_up_until_they_are_forgotten() {
    let mut model = trainable(&learnable());
    let x = noise(&[8, 3, 6, 6], 1);
    let pass = |model: &mut Trainable<Net>| {
        let loss = cross_entropy(&model.forward(&x).unwrap(), &LABELS, 0.0).unwrap();
        model.backward(loss.gradient).unwrap();
    };
    pass(&mut model);
    model.zero_grad();
    // Running statistics scale the weights that are rounded.
    model.freeze_bn_stats();
    // Observers gave first estimates; from now on they are learned.
    model.for_each_fake_quant("", FakeQuantize::enable_param_learning).unwrap();
    pass(&mut model);
    let once = scale_gradient(&mut model).unwrap();
    pass(&mut model);
    let twice = scale_gradient(&mut model).unwrap();
    assert!(once != 0.0 && (twice - 2.0 * once).abs() <= 1e-5 * once.abs(), "{once} {twice}");
    model.zero_grad();
    assert_eq!(scale_gradient(&mut model), None);
}

fn tensors(model: &Trainable<Net>) -> Vec<(String, StateTensor)> {
    model.state_dict().iter().map(|(key, tensor)| (key.to_owned(), tensor.unwrap())).collect()
}

#[test]
fn a_step_that_fails_changes_nothing() {
    let mut model = trainable(&QConfigMapping::for_qat(Backend::Native));
    train(&mut model, 1);
    let x = noise(&[8, 3, 6, 6], 1);
    let loss = cross_entropy(&model.forward(&x).unwrap(), &LABELS, 0.0).unwrap();
    model.backward(loss.gradient).unwrap();
    let before = tensors(&model);
    // The state of another model's `fc.weight`, which comes late.
    let mut sgd = Sgd::new(0.1).momentum(0.9);
    sgd.update("fc.weight", &mut [0.0; 2], &[1.0; 2]).unwrap();
    assert!(matches!(model.step(&mut sgd), Err(Error::Parameter { .. })));
    assert_eq!(tensors(&model), before);
    // The gradients are still there.
    model.step(&mut Sgd::new(0.1)).unwrap();
    assert_ne!(tensors(&model), before);
}

#[test]
fn a_gradient_that_is_not_finite_is_refused_by_name() {
    let mut model = trainable(&QConfigMapping::for_qat(Backend::Native));
    let x = noise(&[8, 3, 6, 6], 1);
    model.forward(&x).unwrap();
    model.backward(Tensor::from_vec(&[8, 3], vec![f32::NAN; 24]).unwrap()).unwrap();
    let error = model.step(&mut Sgd::new(0.1)).unwrap_err();
    assert!(matches!(&error, Error::NotFinite { what, .. } if what.contains("the gradient of")), "{error}");
}
