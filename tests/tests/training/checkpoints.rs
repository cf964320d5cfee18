//! Training that was stopped goes on to the same bytes.

use qcore::prelude::*;
use qcore::train::{
    Adam, Checkpoint, CosineAnnealing, Optimizer, Progress, Schedule, Sgd, Trainable, cross_entropy,
};
use qcore::{Error, StateTensor};
use tests::tensors::noise;

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

fn model(outputs: usize) -> Trainable<Net> {
    let conv = Conv2d::new(3, 8, 3).bias(false);
    let net = Net { conv, bn: BatchNorm2d::new(8), fc: Linear::new(8, outputs) };
    net.prepare_qat(&QConfigMapping::for_qat(Backend::Native)).unwrap()
}

/// Of another network than [`model`] has, with other initial numbers.
fn other_numbers() -> Trainable<Net> {
    let mut other = model(3);
    train(&mut other, &mut Sgd::new(0.3), 0..3);
    other
}

fn train(model: &mut Trainable<Net>, optimizer: &mut dyn Optimizer, steps: std::ops::Range<usize>) {
    let schedule = CosineAnnealing { learning_rate: 0.05, minimum: 0.0, steps: 12 };
    for step in steps {
        optimizer.set_learning_rate(schedule.learning_rate(step));
        let x = noise(&[4, 3, 6, 6], step as u64);
        let loss = cross_entropy(&model.forward(x).unwrap(), &[0, 1, 2, 0], 0.1).unwrap();
        model.backward(loss.gradient).unwrap();
        model.step(optimizer).unwrap();
    }
}

fn optimizers() -> [Box<dyn Optimizer>; 4] {
    [
        Box::new(Sgd::new(0.1)),
        Box::new(Sgd::new(0.1).momentum(0.9).nesterov(true).weight_decay(1e-3)),
        Box::new(Adam::new(0.1)),
        Box::new(Adam::adamw(0.1).group("bias", 2.0, 0.0)),
    ]
}

/// All that a checkpoint holds, bit for bit.
fn content(model: &Trainable<Net>, optimizer: &dyn Optimizer) -> Vec<(String, Vec<usize>, Vec<i64>)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    Checkpoint::of(model, optimizer, &Progress::default()).unwrap().save(&path).unwrap();
    let tensors = qcore::StateDict::open(&path).unwrap();
    let bits = |tensor: &StateTensor| match tensor {
        StateTensor::Float(tensor) => tensor.view().iter().map(|value| value.to_bits().into()).collect(),
        StateTensor::Integer(array) => array.iter().copied().collect(),
    };
    let tensors = tensors.iter().map(|(key, tensor)| (key.to_owned(), tensor.unwrap()));
    tensors.map(|(key, tensor)| (key, tensor.shape().to_vec(), bits(&tensor))).collect()
}

#[test]
fn stopped_and_resumed_is_the_same_as_never_stopped() {
    let folder = tempfile::tempdir().unwrap();
    for (index, (mut whole, mut half)) in optimizers().into_iter().zip(optimizers()).enumerate() {
        let mut uninterrupted = model(3);
        let start = uninterrupted.state_dict();
        train(&mut uninterrupted, whole.as_mut(), 0..12);

        let path = folder.path().join(format!("{index}.safetensors"));
        let mut stopped = model(3);
        stopped.load_state_dict(&start).unwrap();
        train(&mut stopped, half.as_mut(), 0..6);
        stopped.freeze_bn_stats();
        let progress = Progress { epoch: 1, step: 6, seed: 7, best: Some(0.1 + 0.2), ..Progress::default() };
        Checkpoint::of(&stopped, half.as_ref(), &progress).unwrap().save(&path).unwrap();

        let (mut resumed, mut optimizer) = (other_numbers(), optimizers().into_iter().nth(index).unwrap());
        let checkpoint = Checkpoint::open(&path).unwrap();
        assert_eq!(checkpoint.restore(&mut resumed, optimizer.as_mut()).unwrap(), progress);
        assert_eq!(content(&resumed, optimizer.as_ref()), content(&stopped, half.as_ref()));
        resumed.update_bn_stats();
        train(&mut resumed, optimizer.as_mut(), 6..12);
        assert_eq!(content(&resumed, optimizer.as_ref()), content(&uninterrupted, whole.as_ref()));
        let int8 = [&resumed, &uninterrupted].map(|model| model.convert().unwrap());
        let x = noise(&[4, 3, 6, 6], 99);
        assert_eq!(int8[0].forward(&x).unwrap(), int8[1].forward(&x).unwrap());
    }
}

/// The message of a checkpoint that is refused, which leaves everything as it was.
fn refusal(checkpoint: &Checkpoint, model: &mut Trainable<Net>, optimizer: &mut dyn Optimizer) -> String {
    let before = content(model, optimizer);
    let error = checkpoint.restore(model, optimizer).unwrap_err();
    assert_eq!(content(model, optimizer), before);
    error.to_string()
}

#[test]
fn a_checkpoint_of_something_else_is_refused() {
    let (mut trained, mut sgd) = (model(3), Sgd::new(0.1).momentum(0.9));
    train(&mut trained, &mut sgd, 0..2);
    let checkpoint = Checkpoint::of(&trained, &sgd, &Progress::default()).unwrap();

    let message = refusal(&checkpoint, &mut model(3), &mut Adam::new(0.1));
    assert!(message.contains("is of SGD, not of Adam"), "{message}");
    let message = refusal(&checkpoint, &mut model(4), &mut Sgd::new(0.1).momentum(0.9));
    assert!(message.contains("fc."), "{message}");
    let net = Net { conv: Conv2d::new(3, 8, 3), bn: BatchNorm2d::new(8), fc: Linear::new(8, 3) };
    let mapping = QConfigMapping::for_qat(Backend::Native);
    let mut with_bias = net.prepare_qat(&mapping).unwrap();
    let message = refusal(&checkpoint, &mut with_bias, &mut Sgd::new(0.1));
    assert!(message.contains("`conv.bias`"), "{message}");
    let mut float = net.prepare_qat(&QConfigMapping::new()).unwrap();
    let other_way = Checkpoint::of(&with_bias, &Sgd::new(0.1), &Progress::default()).unwrap();
    let message = refusal(&other_way, &mut float, &mut Sgd::new(0.1));
    assert!(message.contains("observers"), "{message}");
}

#[test]
fn the_state_of_another_optimizer_is_refused() {
    let mut trained = model(3);
    let (mut sgd, mut adam) = (Sgd::new(0.1).momentum(0.9), Adam::new(0.01));
    train(&mut trained, &mut sgd, 0..2);
    train(&mut trained, &mut adam, 2..4);
    assert!(matches!(sgd.load_state_dict(&adam.state_dict()), Err(Error::Parameter { .. })));
    assert!(matches!(adam.load_state_dict(&sgd.state_dict()), Err(Error::Parameter { .. })));
    let mut half = adam.state_dict();
    half.remove("exp_avg.fc.weight");
    let error = adam.load_state_dict(&half).unwrap_err().to_string();
    assert!(error.contains("of different parameters"), "{error}");
    let keys: Vec<String> = sgd.state_dict().keys().map(str::to_owned).collect();
    assert_eq!(
        keys,
        ["bn.bias", "bn.weight", "conv.weight", "fc.bias", "fc.weight"]
            .map(|key| format!("momentum_buffer.{key}"))
    );
}

#[test]
fn a_file_that_is_no_checkpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let trained = model(3);
    trained.state_dict().save(&path).unwrap();
    let error = Checkpoint::open(&path).unwrap_err();
    assert!(matches!(&error, Error::File { message, .. } if message.contains("training")), "{error}");

    let mut tensors = trained.state_dict();
    for text in [&b"{}"[..], b"nonsense", b"\xff"] {
        let text: Vec<i64> = text.iter().map(|&byte| byte.into()).collect();
        tensors.insert("training", ndarray::Array1::from(text).into_dyn());
        tensors.save(&path).unwrap();
        assert!(matches!(Checkpoint::open(&path), Err(Error::File { .. })));
    }
    let folder = folder.path().join("missing");
    let checkpoint = Checkpoint::of(&trained, &Sgd::new(0.1), &Progress::default()).unwrap();
    assert!(matches!(checkpoint.save(folder.join("last.safetensors")), Err(Error::Io { .. })));
}
