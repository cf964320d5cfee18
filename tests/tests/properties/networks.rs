//! Networks of different shapes: the converted model gives the results of its operations one by one.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use qcore::ops::{self, Extent, Op};
use qcore::prelude::*;
use qcore::{CalibrationOptions, Mode, Parameters, Size};

use crate::cases;
use crate::randomness::Random;
use crate::reference::{Made, Reference};

/// The parameters of a random case.
#[derive(Clone, Debug)]
struct Setup {
    seed: u64,
    batch: usize,
    channels: usize,
    height: usize,
    width: usize,
    backend: Backend,
    mode: Mode,
    /// Of each layer that can be left in float, whether it is.
    skipped: [bool; 2],
    /// A choice that models make of their own.
    variant: bool,
}

prop_compose! {
    fn setups()(
        seed in any::<u64>(),
        batch in 1_usize..3,
        channels in 1_usize..5,
        height in 5_usize..10,
        width in 5_usize..10,
        backend in select(&Backend::ALL[..]),
        mode in select(&[Mode::Graph, Mode::Eager][..]),
        skipped in any::<[bool; 2]>(),
        variant in any::<bool>(),
    ) -> Setup {
        Setup { seed, batch, channels, height, width, backend, mode, skipped, variant }
    }
}

impl Setup {
    /// Compares the converted `model` with `body`, which runs the same operations one by one.
    fn check<M>(
        &self,
        mut model: M,
        can_be_skipped: [&str; 2],
        channels: usize,
        body: impl for<'a> Fn(&M, &mut Reference<'a>, Made<'a>) -> Made<'a>,
    ) where
        M: Module<Input = Tensor, Output = Tensor> + Parameters,
    {
        let mut random = Random(self.seed);
        random.fill(&mut model);
        let mut mapping = QConfigMapping::for_backend(self.backend).with_mode(self.mode);
        for (name, _) in can_be_skipped.into_iter().zip(self.skipped).filter(|(_, skipped)| *skipped) {
            mapping = mapping.module(name, None);
        }
        let shape = [self.batch, channels, self.height, self.width];
        let batches: Vec<Tensor> = (0..3).map(|_| random.tensor(&shape, -2.0, 1.5)).collect();
        let mut prepared = model.prepare(&mapping).unwrap();
        prepared.calibrate_with(&batches[..2], CalibrationOptions { progress: false }).unwrap();
        let converted = prepared.convert().unwrap();
        for x in &batches {
            let mut reference = Reference::new(converted.summary());
            let input = reference.input(x);
            let expected = body(&model, &mut reference, input).float();
            reference.finish();
            assert_eq!(converted.forward(x).unwrap(), expected);
        }
    }
}

/// A shortcut that is a layer or nothing.
#[quantizable]
struct Residual {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    downsample: Option<Sequential<(Conv2d, BatchNorm2d)>>,
}

#[quantizable]
impl Residual {
    fn new(channels: usize, downsamples: bool) -> Self {
        let stride = if downsamples { 2 } else { 1 };
        Self {
            conv1: Conv2d::new(channels, channels, 3).stride(stride).padding(1).bias(false),
            bn1: BatchNorm2d::new(channels),
            conv2: Conv2d::new(channels, channels, (3, 1)).padding((1, 0)),
            bn2: BatchNorm2d::new(channels),
            downsample: downsamples.then(|| {
                Sequential((Conv2d::new(channels, channels, 1).stride(2), BatchNorm2d::new(channels)))
            }),
        }
    }

    fn forward(&self, x: Tensor) -> Tensor {
        let y = relu(self.bn1(self.conv1(x)));
        let y = self.bn2(self.conv2(y));
        let identity = match &self.downsample {
            Some(downsample) => downsample(x),
            None => x,
        };
        relu(y + identity)
    }

    fn reference<'a>(&self, run: &mut Reference<'a>, x: Made<'a>) -> Made<'a> {
        let y = run.run_with_relu(&*folded(&self.conv1, &self.bn1), &[&x]);
        let y = run.run(&*folded(&self.conv2, &self.bn2), &[&y]);
        let identity = match &self.downsample {
            Some(Sequential((conv, bn))) => run.run(&*folded(conv, bn), &[&x]),
            None => x,
        };
        run.run_with_relu(&ops::Add, &[&y, &identity])
    }
}

fn folded(conv: &Conv2d, batch_norm: &BatchNorm2d) -> Arc<dyn Op> {
    conv.fold_batch_norm(batch_norm.as_batch_norm().unwrap()).unwrap().unwrap()
}

/// Two branches that one scale joins.
#[quantizable]
struct Branches {
    left: Conv2d,
    right: Conv2d,
    head: Conv2d,
}

#[quantizable]
impl Branches {
    fn forward(&self, x: Tensor) -> Tensor {
        let left = relu(self.left(x));
        let both = cat([left, self.right(x), x], 1);
        relu6(self.head(max_pool2d(both, 2)))
    }

    fn reference<'a>(&self, run: &mut Reference<'a>, x: Made<'a>) -> Made<'a> {
        let left = run.run_with_relu(&self.left, &[&x]);
        let right = run.run(&self.right, &[&x]);
        let both = run.run(&ops::cat(Some(1)).unwrap(), &[&left, &right, &x]);
        let pooled = run.run(&ops::max_pool2d(2, None, None, None, None).unwrap(), &[&both]);
        let head = run.run(&self.head, &[&pooled]);
        run.run(&ReLU6, &[&head])
    }
}

/// Linear layers, and scales that follow from numbers in the source.
#[quantizable]
struct Scalars {
    fc1: Linear,
    fc2: Linear,
}

#[quantizable]
impl Scalars {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = relu(self.fc1(x.flatten(1)));
        self.fc2(relu((y + 0.75) * -1.5) - y)
    }

    fn reference<'a>(&self, run: &mut Reference<'a>, x: Made<'a>) -> Made<'a> {
        let flat = run.run(&ops::flatten(Some(1), None).unwrap(), &[&x]);
        let y = run.run_with_relu(&self.fc1, &[&flat]);
        let added = run.run(&ops::add_scalar(0.75).unwrap(), &[&y]);
        let scaled = run.run_with_relu(&ops::mul_scalar(-1.5).unwrap(), &[&added]);
        let difference = run.run(&ops::Sub, &[&scaled, &y]);
        run.run(&self.fc2, &[&difference])
    }
}

/// A value with three readers, and a product that broadcasts.
#[quantizable]
struct Gate {
    conv: Conv2d,
    gate: Conv2d,
}

#[quantizable]
impl Gate {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.conv(x);
        let gate = clamp(self.gate(adaptive_avg_pool2d(y, 1)), 0.0, 1.0);
        relu(y * gate) + y
    }

    fn reference<'a>(&self, run: &mut Reference<'a>, x: Made<'a>) -> Made<'a> {
        let y = run.run(&self.conv, &[&x]);
        let mean = run.run(&ops::adaptive_avg_pool2d(1).unwrap(), &[&y]);
        let gate = run.run(&self.gate, &[&mean]);
        let gate = run.run(&ops::clamp(0.0, 1.0).unwrap(), &[&gate]);
        let gated = run.run_with_relu(&ops::Mul, &[&y, &gate]);
        run.run(&ops::Add, &[&gated, &y])
    }
}

/// A loop over nested models.
#[quantizable]
struct Stack {
    blocks: Vec<Residual>,
    bn: BatchNorm2d,
    fc: Linear,
}

#[quantizable]
impl Stack {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = x;
        for block in &self.blocks {
            x = block(x);
        }
        let x = relu(self.bn(avg_pool2d(x, 3, 2, 1)));
        self.fc(mean(x, (2, 3)))
    }

    fn reference<'a>(&self, run: &mut Reference<'a>, x: Made<'a>) -> Made<'a> {
        let x = self.blocks.iter().fold(x, |x, block| block.reference(run, x));
        let pool = ops::avg_pool2d(3, Some(Size::from(2)), Some(Size::from(1)), None, None).unwrap();
        let x = run.run(&pool, &[&x]);
        let x = run.run_with_relu(&self.bn, &[&x]);
        let x = run.run(&ops::mean(vec![2, 3], None).unwrap(), &[&x]);
        run.run(&self.fc, &[&x])
    }
}

/// Pieces that go different ways, and every operation that only moves values.
#[quantizable]
struct Shuffle {
    depthwise: Conv2d,
    fc: Linear,
}

#[quantizable]
impl Shuffle {
    fn forward(&self, x: Tensor) -> Tensor {
        let (left, right) = x.chunk(2, 1);
        let y = cat([self.depthwise(right), left], 1);
        let y = y.permute((0, 2, 3, 1)).transpose(1, 2);
        self.fc(y.reshape((x.size(0), -1)))
    }

    fn reference<'a>(&self, run: &mut Reference<'a>, x: Made<'a>) -> Made<'a> {
        let batch = x.float().shape()[0];
        let left = run.run(&ops::chunk(2, Some(1), 0).unwrap(), &[&x]);
        let right = run.run(&ops::chunk(2, Some(1), 1).unwrap(), &[&x]);
        let right = run.run(&self.depthwise, &[&right]);
        let y = run.run(&ops::cat(Some(1)).unwrap(), &[&right, &left]);
        let y = run.run(&ops::permute(vec![0, 2, 3, 1]).unwrap(), &[&y]);
        let y = run.run(&ops::transpose(1, 2).unwrap(), &[&y]);
        let y = run.run(&ops::reshape(vec![Extent::from(batch), Extent::Is(-1)]).unwrap(), &[&y]);
        run.run(&self.fc, &[&y])
    }
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn a_residual_block_computes_its_operations_one_by_one(setup in setups()) {
        let model = Residual::new(setup.channels, setup.variant);
        setup.check(model, ["conv1", "conv2"], setup.channels, Residual::reference);
    }

    #[test]
    fn joined_branches_compute_their_operations_one_by_one(setup in setups()) {
        let Setup { channels, .. } = setup;
        let model = Branches {
            left: Conv2d::new(channels, 3, 3).padding(1),
            right: Conv2d::new(channels, 2, 3).padding(1).bias(setup.variant),
            head: Conv2d::new(channels + 5, 4, 2),
        };
        setup.check(model, ["right", "head"], channels, Branches::reference);
    }

    #[test]
    fn scalars_compute_their_operations_one_by_one(setup in setups()) {
        let Setup { channels, height, width, .. } = setup;
        let hidden = if setup.variant { 3 } else { 17 };
        let model =
            Scalars { fc1: Linear::new(channels * height * width, hidden), fc2: Linear::new(hidden, 5) };
        setup.check(model, ["fc1", "fc2"], channels, Scalars::reference);
    }

    #[test]
    fn a_gate_computes_its_operations_one_by_one(setup in setups()) {
        let dilation = if setup.variant { 2 } else { 1 };
        let model = Gate {
            conv: Conv2d::new(setup.channels, 6, (3, 2)).dilation((dilation, 1)),
            gate: Conv2d::new(6, 6, 1),
        };
        setup.check(model, ["conv", "gate"], setup.channels, Gate::reference);
    }

    #[test]
    fn a_stack_of_blocks_computes_its_operations_one_by_one(setup in setups()) {
        let Setup { channels, .. } = setup;
        let blocks = vec![Residual::new(channels, setup.variant), Residual::new(channels, false)];
        let model = Stack { blocks, bn: BatchNorm2d::new(channels), fc: Linear::new(channels, 3) };
        setup.check(model, ["blocks.0", "blocks.1.conv1"], channels, Stack::reference);
    }

    #[test]
    fn shuffled_chunks_compute_their_operations_one_by_one(setup in setups()) {
        let Setup { channels, height, width, .. } = setup;
        let model = Shuffle {
            depthwise: Conv2d::new(channels, channels, 3).padding(1).groups(channels),
            fc: Linear::new(2 * channels * height * width, 3),
        };
        setup.check(model, ["depthwise", "fc"], 2 * channels, Shuffle::reference);
    }
}
