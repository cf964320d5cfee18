//! Checkpoints of PyTorch's `prepare_qat_fx` (`tests/golden/qat_checkpoints.py`): they load, compute what PyTorch computes, and
//! convert to what PyTorch converts them to.

use std::path::Path;

use qcore::prelude::*;
use qcore::train::Trainable;
use qcore::{Error, StateTensor};
use tests::tensors::largest_difference;

#[quantizable]
struct Small {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    conv3: Conv2d,
    bn3: BatchNorm2d,
    conv4: Conv2d,
    pool: AdaptiveAvgPool2d,
    fc: Linear,
}

#[quantizable]
impl Small {
    fn forward(&self, x: Tensor) -> Tensor {
        let x = relu(self.bn1(self.conv1(x)));
        let y = self.bn3(self.conv3(relu(self.bn2(self.conv2(x)))));
        let x = relu(y + x);
        let x = relu(self.conv4(x));
        self.fc(flatten(self.pool(x), 1))
    }
}

fn model(backend: Backend) -> Trainable<Small> {
    let conv = |inputs| Conv2d::new(inputs, 8, 3).padding(1).bias(false);
    let net = Small {
        conv1: conv(3),
        bn1: BatchNorm2d::new(8),
        conv2: conv(8),
        bn2: BatchNorm2d::new(8),
        conv3: conv(8),
        bn3: BatchNorm2d::new(8),
        conv4: Conv2d::new(8, 16, 3).stride(2).padding(1).groups(4),
        pool: AdaptiveAvgPool2d::new(1),
        fc: Linear::new(16, 10),
    };
    net.prepare_qat(&QConfigMapping::for_qat(backend)).unwrap()
}

fn checkpoint(backend: Backend) -> StateDict {
    let file = format!("golden/qat_checkpoint_{backend}.safetensors");
    StateDict::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The tensors of the model in a checkpoint.
fn prepared(checkpoint: &StateDict) -> StateDict {
    let tensors =
        checkpoint.iter().filter_map(|(key, tensor)| Some((key.strip_prefix("prepared.")?, tensor.unwrap())));
    tensors.collect()
}

#[test]
fn a_checkpoint_computes_and_converts_as_in_pytorch() {
    for backend in [Backend::Fbgemm, Backend::Qnnpack] {
        let checkpoint = checkpoint(backend);
        let get = |key: &str| checkpoint.get(key).unwrap().unwrap();
        let mut model = model(backend);
        model.load_pytorch_state_dict(&prepared(&checkpoint)).unwrap();
        model.eval();
        let x = get("x");
        let found = model.forward(&x).unwrap();
        let observer = model.observer("fc").unwrap().calculate_qparams().unwrap();
        let difference = largest_difference(&found, &get("y.prepared"));
        // The sum of a convolution that differs in its last bit can fall on the other side of a tie.
        assert!(difference <= 1.01 * observer.tensor_scale(), "{backend}: {difference}");

        let int8 = model.convert().unwrap();
        let mut weights = 0;
        int8.visit_weights(&mut |path, weight| {
            let Some(StateTensor::Integer(expected)) =
                checkpoint.tensor(&format!("integers.{path}.weight")).unwrap()
            else {
                panic!("PyTorch has no `{path}` in int8");
            };
            let found = weight.int_repr();
            assert!(
                found.as_i8().unwrap().iter().map(|&value| i64::from(value)).eq(expected.iter().copied()),
                "{path}"
            );
            weights += 1;
        });
        assert_eq!(weights, 5, "{backend}");
        assert_eq!(largest_difference(&int8.forward(&x).unwrap(), &get("y.converted")), 0.0, "{backend}");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let state = prepared(&checkpoint(Backend::Fbgemm));
    let refused = |state: &StateDict, mut model: Trainable<Small>| {
        let before = model.state_dict().get("conv1.weight").unwrap().unwrap();
        let error = model.load_pytorch_state_dict(state).unwrap_err();
        assert_eq!(model.state_dict().get("conv1.weight").unwrap().unwrap(), before);
        error
    };
    let mut missing = state.clone();
    missing.remove("conv2.bn.running_var");
    missing.remove("activation_post_process_3.scale");
    missing.insert("conv9.weight", Tensor::zeros(&[1]));
    let Error::StateDict(mismatch) = refused(&missing, model(Backend::Fbgemm)) else {
        panic!("another error")
    };
    assert_eq!(mismatch.missing, ["conv2.bn.running_var", "activation_post_process_3.scale"]);
    assert_eq!(mismatch.unexpected, ["conv9.weight"]);

    let mut channels = state.clone();
    channels.insert("conv1.weight_fake_quant.scale", Tensor::zeros(&[3]));
    let error = refused(&channels, model(Backend::Fbgemm)).to_string();
    assert!(error.contains("conv1.weight_fake_quant") && error.contains("3 scales"), "{error}");

    let mut nan = state.clone();
    nan.insert("activation_post_process_0.scale", Tensor::zeros(&[1]).map(|_| f32::NAN));
    assert!(refused(&nan, model(Backend::Fbgemm)).to_string().contains("activation_post_process_0"));

    let mut misshapen = state.clone();
    misshapen.insert("fc.weight", Tensor::zeros(&[10, 15]));
    assert!(refused(&misshapen, model(Backend::Fbgemm)).to_string().contains("fc.weight"));
    // Its weights have ranges of channels.
    assert!(matches!(refused(&state, model(Backend::Qnnpack)), Error::InLayer { .. }));
}
