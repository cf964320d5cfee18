//! `Trainer`: what people expect of a training loop, and that it can be stopped anywhere.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use qcore::prelude::*;
use qcore::train::{
    Augmentation, BEST, CosineAnnealing, End, Epoch, LAST, METRICS, Outcome, Score, Sgd, Trainable, Trainer,
    cross_entropy,
};
use qcore::{Error, Result, StateDict, StateTensor};
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

type Batch = (Tensor, Vec<usize>);

const BATCHES: usize = 5;

/// Always the same initial numbers.
fn model() -> Trainable<Net> {
    let mut net = Net { conv: Conv2d::new(3, 6, 3), bn: BatchNorm2d::new(6), fc: Linear::new(6, 3) };
    net.load_state_dict(&StateDict::from_iter([
        ("conv.weight", noise(&[6, 3, 3, 3], 1)),
        ("conv.bias", noise(&[6], 2)),
        ("bn.weight", noise(&[6], 3)),
        ("bn.bias", noise(&[6], 4)),
        ("bn.running_mean", Tensor::zeros(&[6])),
        ("bn.running_var", Tensor::from_vec(&[6], vec![1.0; 6]).unwrap()),
        ("fc.weight", noise(&[3, 6], 5)),
        ("fc.bias", noise(&[3], 6)),
    ]))
    .unwrap();
    net.prepare_qat(&QConfigMapping::for_qat(Backend::Native)).unwrap()
}

fn trainer(folder: &Path) -> Trainer<Net> {
    let schedule = CosineAnnealing { learning_rate: 0.1, minimum: 0.0, steps: 4 * BATCHES };
    let sgd = Sgd::new(0.1).momentum(0.9);
    Trainer::new(model(), sgd).schedule(schedule).seed(11).checkpoints(folder).progress(false)
}

/// Pictures that are augmented, in an order of each epoch.
fn batches(mut epoch: Epoch) -> impl Iterator<Item = Result<Batch>> + Send {
    let mut order: Vec<u64> = (0..BATCHES as u64).collect();
    epoch.random.shuffle(&mut order);
    let augmentation = Augmentation::new().random_crop(1).random_horizontal_flip(0.5);
    order.into_iter().map(move |seed| {
        let pictures = noise(&[4, 3, 6, 6], seed);
        Ok((augmentation.apply(pictures, &mut epoch.random.fork(seed))?, vec![0, 1, 2, 1]))
    })
}

fn step(model: &mut Trainable<Net>, (x, labels): Batch) -> Result<Score> {
    let logits = model.forward(x)?;
    let loss = cross_entropy(&logits, &labels, 0.0)?;
    let score = Score::of_classes(&loss, &logits, &labels);
    model.backward(loss.gradient)?;
    Ok(score)
}

fn evaluate(model: &mut Trainable<Net>) -> Result<f64> {
    let (logits, labels) = (model.forward(noise(&[4, 3, 6, 6], 0))?, [0, 1, 2, 1]);
    Ok(-f64::from(cross_entropy(&logits, &labels, 0.0)?.value))
}

/// The tensors of a file, bit for bit.
fn content(path: &Path) -> Vec<(String, Vec<i64>)> {
    let bits = |tensor: StateTensor| match tensor {
        StateTensor::Float(tensor) => tensor.view().iter().map(|value| value.to_bits().into()).collect(),
        StateTensor::Integer(array) => array.iter().copied().collect(),
    };
    let tensors = StateDict::open(path).unwrap();
    tensors.iter().map(|(key, tensor)| (key.to_owned(), bits(tensor.unwrap()))).collect()
}

#[test]
fn stopped_in_the_middle_of_an_epoch_and_resumed_is_the_same_as_never_stopped() {
    let [whole, parts] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let outcome = trainer(whole.path()).fit(4, batches, step, evaluate).unwrap();
    assert_eq!(outcome.end, End::Completed);
    let losses: Vec<f64> = outcome.metrics.iter().map(|line| line.loss).collect();
    assert!(losses[3] < losses[0], "{losses:?}");
    assert_eq!(outcome.metrics[3].step, 4 * BATCHES);

    // Stopped in step 7, by what a handler of Ctrl-C would do.
    let stop = Arc::new(AtomicBool::new(false));
    let mut steps = 0;
    let mut stopped = trainer(parts.path()).stop_on(Arc::clone(&stop));
    let first = stopped
        .fit(
            4,
            batches,
            |model, batch| {
                steps += 1;
                stop.store(steps == 7, Ordering::Relaxed);
                step(model, batch)
            },
            evaluate,
        )
        .unwrap();
    assert_eq!((first.end, first.metrics.len(), stopped.done().batch), (End::Stopped, 1, 2));
    drop(stopped);
    let mut resumed = trainer(parts.path()).seed(99).prefetch(0);
    assert!(resumed.resume().unwrap());
    assert_eq!(resumed.done().step, 7);
    let rest = resumed.fit(4, batches, step, evaluate).unwrap();
    assert_eq!((rest.end, rest.metrics.len()), (End::Completed, 3));
    for file in [LAST, BEST] {
        assert_eq!(content(&whole.path().join(file)), content(&parts.path().join(file)), "{file}");
    }
    let lines = std::fs::read_to_string(parts.path().join(METRICS)).unwrap();
    let lines: Vec<serde_json::Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[3]["evaluation"].as_f64(), Some(outcome.metrics[3].evaluation));
    assert_eq!(lines[3]["step"], 4 * BATCHES);
}

#[test]
fn training_ends_when_evaluation_gets_no_better_and_the_best_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut results = [0.2, 0.5, 0.5, 0.4, 0.9].into_iter();
    let mut trainer = trainer(folder.path()).early_stopping(2);
    let Outcome { end, metrics } = trainer.fit(5, batches, step, |_| Ok(results.next().unwrap())).unwrap();
    assert_eq!(end, End::NoImprovement);
    let best: Vec<bool> = metrics.iter().map(|line| line.is_best).collect();
    assert_eq!(best, [true, true, false, false]);
    assert!(trainer.restore_best().unwrap());
    assert_eq!((trainer.done().epoch, trainer.done().best), (2, Some(0.5)));
}

#[test]
fn gradients_of_several_batches_are_one_step_of_their_mean() {
    let train = |trainer: Trainer<Net>, batches: &[Tensor]| {
        let mut trainer = trainer.progress(false);
        // Rounding and statistics would follow from the batch.
        trainer.model().disable_observer();
        trainer.model().disable_fake_quant();
        trainer.model().freeze_bn_stats();
        let batches = |_| batches.iter().map(|x| Ok((x.clone(), vec![0; x.shape()[0]])));
        let outcome = trainer.fit(1, batches, step, evaluate).unwrap();
        assert_eq!(outcome.metrics[0].step, 1);
        trainer.into_model().state_dict()
    };
    let whole = noise(&[6, 3, 6, 6], 1);
    let part = |from: usize| {
        let values: Vec<f32> = whole.view().iter().skip(from * 108).take(216).copied().collect();
        Tensor::from_vec(&[2, 3, 6, 6], values).unwrap()
    };
    let new = || Trainer::new(model(), Sgd::new(0.1));
    let one = train(new(), std::slice::from_ref(&whole));
    let three = train(new().accumulate(4), &[part(0), part(2), part(4)]);
    for key in one.keys() {
        let [one, three] = [&one, &three].map(|state| state.get(key).unwrap().unwrap());
        let near = one.view().iter().zip(three.view()).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near, "{key}: {one:?} {three:?}");
    }
    // A norm of nearly nothing moves nearly nothing.
    let clipped = train(new().clip_grad_norm(1e-6), &[whole]);
    let start = model().state_dict().get("fc.weight").unwrap().unwrap();
    let moved = clipped.get("fc.weight").unwrap().unwrap();
    let far = |a: &Tensor, b: &Tensor| a.view().iter().zip(b.view()).any(|(a, b)| (a - b).abs() > 1e-6);
    assert!(!far(&start, &moved) && far(&start, &one.get("fc.weight").unwrap().unwrap()));
}

/// The layer of a float network whose output is the first that is not finite.
#[test]
fn what_diverges_names_step_layer_and_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let net = Net { conv: Conv2d::new(3, 6, 3), bn: BatchNorm2d::new(6), fc: Linear::new(6, 3) };
    let float = net.prepare_qat(&QConfigMapping::new()).unwrap();
    let mut trainer = Trainer::new(float, Sgd::new(0.01)).checkpoints(folder.path()).progress(false).seed(1);
    let huge = |epoch: Epoch| {
        batches(epoch.clone()).enumerate().map(move |(index, batch)| {
            let (x, labels) = batch?;
            let factor = if epoch.index == 1 && index == 3 { f32::MAX } else { 1.0 };
            Ok((x.map(|value| value * factor * 2.0), labels))
        })
    };
    let error = trainer.fit(3, huge, step, evaluate).unwrap_err();
    let Error::Diverged { step: 8, layer: Some(layer), checkpoint: Some(path), .. } = &error else {
        panic!("{error}")
    };
    assert_eq!((layer.as_str(), path), ("conv", &folder.path().join(LAST)));
    assert!(error.to_string().contains("step 8, first in `conv`"), "{error}");
    // The checkpoint is of the epoch before.
    assert!(trainer.resume().unwrap());
    assert_eq!((trainer.done().epoch, trainer.done().step), (1, 5));

    // A gradient.
    let nan = |model: &mut Trainable<Net>, (x, _): Batch| {
        model.forward(x)?;
        model.backward(Tensor::from_vec(&[4, 3], vec![f32::NAN; 12])?)?;
        Ok(Score::default())
    };
    let error = Trainer::new(model(), Sgd::new(0.1)).progress(false).fit(1, batches, nan, evaluate);
    assert!(matches!(error, Err(Error::Diverged { step: 0, checkpoint: None, .. })), "{error:?}");
}

#[test]
fn bad_batches_are_errors_with_their_place() {
    let fit = |batches: Vec<Result<Batch>>| {
        let mut batches = Some(batches);
        let mut trainer = Trainer::new(model(), Sgd::new(0.1)).progress(false);
        trainer.fit(1, |_| batches.take().unwrap_or_default(), step, evaluate)
    };
    let good = || Ok((noise(&[4, 3, 6, 6], 1), vec![0, 1, 2, 1]));
    assert!(matches!(fit(Vec::new()), Err(Error::EmptyEpoch { epoch: 0 })));
    let out_of_range = fit(vec![good(), Ok((noise(&[4, 3, 6, 6], 1), vec![0, 1, 3, 1]))]).unwrap_err();
    assert!(
        out_of_range.to_string().contains("in batch 1: cross_entropy: label 3 of row 2"),
        "{out_of_range}"
    );
    let other_shape = fit(vec![good(), good(), Ok((noise(&[4, 2, 6, 6], 1), vec![0; 4]))]).unwrap_err();
    let Error::InBatch { batch: 2, source } = &other_shape else { panic!("{other_shape}") };
    assert!(matches!(source.as_ref(), Error::InLayer { layer, .. } if layer == "conv"), "{source}");
    let broken = fit(vec![good(), Err(Error::EmptyCalibration)]);
    assert!(matches!(broken, Err(Error::InBatch { batch: 1, .. })), "{broken:?}");

    let file = tempfile::NamedTempFile::new().unwrap();
    let error = trainer(file.path()).fit(1, batches, step, evaluate).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert!(Trainer::new(model(), Sgd::new(0.1)).resume().is_err());
}
