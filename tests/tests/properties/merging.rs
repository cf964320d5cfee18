//! Calibration in parts: however batches are split and in whatever order the parts are merged, the observers
//! are the same to the byte.

use proptest::prelude::*;
use qcore::observer::{ExponentHistogramObserver, MinMaxObserver, Observer, PerChannelMinMaxObserver};
use qcore::prelude::*;
use qcore::{CalibrationOptions, Prepared};

use crate::cases;
use crate::randomness::Random;

/// Batches, and for each the part that sees it.
#[derive(Clone, Debug)]
struct Split {
    seed: u64,
    parts: usize,
    part_of_batch: Vec<usize>,
}

fn splits() -> impl Strategy<Value = Split> {
    (any::<u64>(), 1_usize..5, prop::collection::vec(any::<usize>(), 1..9)).prop_map(
        |(seed, parts, batches)| Split {
            seed,
            parts,
            part_of_batch: batches.into_iter().map(|part| part % parts).collect(),
        },
    )
}

impl Split {
    /// Batches of different ranges; `shape` gives all extents but the first.
    fn batches(&self, shape: &[usize]) -> Vec<Tensor> {
        let mut random = Random(self.seed);
        let batch = |_: &usize| {
            let magnitude = random.between(-8.0, 8.0).exp2();
            let extents: Vec<usize> =
                [1 + (random.next() % 3) as usize].iter().chain(shape).copied().collect();
            random.tensor(&extents, -magnitude, 0.7 * magnitude)
        };
        self.part_of_batch.iter().map(batch).collect()
    }

    /// The parts in a random order.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.parts).collect();
        Random(!self.seed).shuffle(&mut order);
        order
    }
}

fn state(observer: &dyn Observer) -> String {
    observer.state().unwrap()
}

/// The observer `fresh` after all batches in one go, and in parts that are merged.
fn in_one_go_and_merged<O: Observer + Clone>(fresh: &O, split: &Split) -> [String; 2] {
    let batches = split.batches(&[3, 5]);
    let mut whole = fresh.clone();
    let mut parts = vec![fresh.clone(); split.parts];
    for (batch, &part) in batches.iter().zip(&split.part_of_batch) {
        whole.observe(batch).unwrap();
        parts[part].observe(batch).unwrap();
    }
    let mut merged = fresh.clone();
    for part in split.order() {
        merged.merge(&parts[part]).unwrap();
    }
    [state(&whole), state(&merged)]
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn min_max_observers_merge_exactly(split in splits()) {
        let [whole, merged] = in_one_go_and_merged(&MinMaxObserver::new(), &split);
        prop_assert_eq!(whole, merged);
    }

    #[test]
    fn per_channel_observers_merge_exactly(split in splits(), ch_axis in 1_usize..3) {
        let [whole, merged] = in_one_go_and_merged(&PerChannelMinMaxObserver::new().ch_axis(ch_axis), &split);
        prop_assert_eq!(whole, merged);
    }

    #[test]
    fn exponent_histograms_merge_exactly(split in splits()) {
        let [whole, merged] = in_one_go_and_merged(&ExponentHistogramObserver::new(), &split);
        prop_assert_eq!(whole, merged);
    }
}

/// Two layers, so that there are several observers.
#[quantizable]
struct Net {
    conv: Conv2d,
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(relu(self.conv(x)).flatten(1))
    }
}

fn calibrate(prepared: &mut Prepared<Net>, batch: &Tensor) {
    prepared.calibrate_with([batch], CalibrationOptions { progress: false }).unwrap();
}

fn states(prepared: &Prepared<Net>) -> Vec<String> {
    prepared.observed_paths().map(|path| state(prepared.observer(path).unwrap())).collect()
}

proptest! {
    #![proptest_config(cases(20))]

    #[test]
    fn a_model_calibrated_in_parts_is_the_model_calibrated_in_one_go(split in splits()) {
        let weight = qcore::observer::default_per_channel_weight_observer();
        let qconfig = QConfig::new(ExponentHistogramObserver::new(), weight);
        let mut model = Net { conv: Conv2d::new(2, 3, 3), fc: Linear::new(3 * 2 * 3, 4) };
        Random(split.seed).fill(&mut model);
        let mut whole = model.prepare(&QConfigMapping::for_backend(Backend::Native).global(qconfig)).unwrap();
        let mut merged = whole.clone();
        let mut parts = vec![whole.clone(); split.parts];
        let batches = split.batches(&[2, 4, 5]);
        for (batch, &part) in batches.iter().zip(&split.part_of_batch) {
            calibrate(&mut whole, batch);
            calibrate(&mut parts[part], batch);
        }
        for part in split.order() {
            merged.merge(&parts[part]).unwrap();
        }
        prop_assert_eq!(states(&merged), states(&whole));
        let (merged, whole) = (merged.convert().unwrap(), whole.convert().unwrap());
        for batch in &batches {
            prop_assert_eq!(merged.forward(batch).unwrap(), whole.forward(batch).unwrap());
        }
    }
}
