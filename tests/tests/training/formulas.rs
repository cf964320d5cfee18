//! Losses, optimizers, schedules and clipping against PyTorch.

use std::collections::BTreeMap;

use qcore::train::{
    Adam, CosineAnnealing, Loss, MultiStep, OneCycle, Optimizer, Schedule, Sgd, WarmUp, bce_with_logits,
    clip_grad_norm, cross_entropy, distillation, mse,
};
use qcore::{Error, Tensor};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    losses: Vec<LossCase>,
    optimizers: Vec<OptimizerCase>,
    schedules: BTreeMap<String, Vec<f64>>,
    clipping: Clipping,
}

#[derive(Deserialize)]
struct LossCase {
    name: String,
    shape: [usize; 2],
    x: Vec<f32>,
    labels: Option<Vec<usize>>,
    smoothing: Option<f32>,
    target: Option<Vec<f32>>,
    temperature: Option<f32>,
    value: f32,
    gradient: Vec<f32>,
}

#[derive(Deserialize)]
struct OptimizerCase {
    name: String,
    start: Vec<f32>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    gradient: Vec<f32>,
    values: Vec<f32>,
}

#[derive(Deserialize)]
struct Clipping {
    max_norm: f32,
    gradients: Vec<Vec<f32>>,
    norm: f32,
    clipped: Vec<Vec<f32>>,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("../../golden/training.json")).unwrap()
}

fn assert_close(what: &str, expected: &[f32], found: &[f32]) {
    assert_eq!(expected.len(), found.len(), "{what}");
    for (expected, found) in expected.iter().zip(found) {
        let allowed = 1e-6 + 3e-6 * expected.abs();
        assert!((expected - found).abs() <= allowed, "{what}: {found} in place of {expected}");
    }
}

fn vector(values: &[f32]) -> Tensor {
    Tensor::from_vec(&[values.len()], values.to_vec()).unwrap()
}

#[test]
fn losses_and_their_gradients_are_those_of_pytorch() {
    for case in reference().losses {
        let tensor = |values: &[f32]| Tensor::from_vec(&case.shape, values.to_vec()).unwrap();
        let (x, target) = (tensor(&case.x), case.target.as_deref().map(tensor));
        let Loss { value, gradient } = match (case.name.as_str(), target) {
            ("cross_entropy", None) => cross_entropy(&x, &case.labels.unwrap(), case.smoothing.unwrap()),
            ("mse", Some(target)) => mse(&x, &target),
            ("bce", Some(target)) => bce_with_logits(&x, &target),
            ("distillation", Some(target)) => distillation(&x, &target, case.temperature.unwrap()),
            (other, _) => panic!("no loss `{other}`"),
        }
        .unwrap();
        assert_close(&case.name, &[case.value], &[value]);
        assert_close(&case.name, &case.gradient, gradient.as_slice().unwrap());
    }
}

#[test]
fn optimizers_take_the_steps_of_pytorch() {
    for case in reference().optimizers {
        let sgd = || Sgd::new(0.1);
        let mut optimizer: Box<dyn Optimizer> = match case.name.as_str() {
            "sgd" => Box::new(sgd()),
            "sgd_decay" => Box::new(sgd().weight_decay(0.01)),
            "sgd_momentum" => Box::new(sgd().momentum(0.9).weight_decay(0.01)),
            "sgd_nesterov" => Box::new(sgd().momentum(0.9).nesterov(true).weight_decay(0.01)),
            "adam" => Box::new(Adam::new(0.01)),
            "adam_decay" => Box::new(Adam::new(0.01).betas(0.8, 0.95).eps(1e-6).weight_decay(0.1)),
            "adamw" => Box::new(Adam::adamw(0.01).weight_decay(0.1)),
            other => panic!("no optimizer `{other}`"),
        };
        let mut values = case.start;
        for step in case.steps {
            optimizer.begin_step().unwrap();
            optimizer.update("weight", &mut values, &step.gradient).unwrap();
            assert_close(&case.name, &step.values, &values);
        }
        // A parameter of another size is another model's.
        assert!(
            case.name.starts_with("sgd_decay") || case.name == "sgd" || optimizer.check("weight", 7).is_err()
        );
    }
}

#[test]
fn schedules_give_the_rates_of_pytorch() {
    let constant = MultiStep { learning_rate: 0.5, milestones: Vec::new(), gamma: 1.0 };
    let schedules: [(&str, Box<dyn Schedule>); 4] = [
        ("multi_step", Box::new(MultiStep { learning_rate: 0.5, milestones: vec![3, 5], gamma: 0.1 })),
        ("cosine", Box::new(CosineAnnealing { learning_rate: 0.5, minimum: 0.01, steps: 10 })),
        ("one_cycle", Box::new(OneCycle::new(0.5, 21))),
        ("linear", Box::new(WarmUp { after: constant, steps: 4, start_factor: 0.1 })),
    ];
    for (name, schedule) in schedules {
        for (step, expected) in reference().schedules[name].iter().enumerate() {
            let found = schedule.learning_rate(step);
            assert!((found - expected).abs() < 1e-9, "{name}, step {step}: {found} in place of {expected}");
        }
    }
}

#[test]
fn every_cycle_has_finite_rates() {
    for (steps, pct_start) in [(1, 0.3), (1, 1.0), (2, 0.5), (10, 0.1), (10, 1.0), (5, 0.0)] {
        let schedule = OneCycle { pct_start, ..OneCycle::new(1.0, steps) };
        for step in 0..steps {
            let rate = schedule.learning_rate(step);
            assert!(rate > 0.0 && rate <= 1.0, "{rate} at {step} of {steps}, rising for {pct_start}");
        }
    }
}

#[test]
fn gradients_are_clipped_as_in_pytorch() {
    let Clipping { max_norm, gradients, norm, clipped } = reference().clipping;
    let mut found: BTreeMap<String, Tensor> =
        gradients.iter().enumerate().map(|(index, values)| (index.to_string(), vector(values))).collect();
    assert_close("norm", &[norm], &[clip_grad_norm(&mut found, max_norm).unwrap()]);
    for (expected, found) in clipped.iter().zip(found.values()) {
        assert_close("clipped", expected, found.as_slice().unwrap());
    }
}

#[test]
fn bad_targets_are_refused() {
    let logits = Tensor::from_vec(&[2, 3], vec![0.0; 6]).unwrap();
    for (labels, smoothing) in
        [(&[0, 3][..], 0.0), (&[0][..], 0.0), (&[0, 1][..], 1.5), (&[0, 1][..], f32::NAN)]
    {
        assert!(cross_entropy(&logits, labels, smoothing).is_err(), "{labels:?} {smoothing}");
    }
    assert!(cross_entropy(&Tensor::zeros(&[0, 3]), &[], 0.0).is_err());
    let other = Tensor::zeros(&[3, 2]);
    assert!(matches!(mse(&logits, &other), Err(Error::Shape { .. })));
    assert!(matches!(bce_with_logits(&Tensor::zeros(&[0]), &Tensor::zeros(&[0])), Err(Error::Shape { .. })));
    assert!(distillation(&logits, &logits, 0.0).is_err());
}
