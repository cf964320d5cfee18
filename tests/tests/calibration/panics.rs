//! A panic in code of the user's leaves no part of a calibration.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use qcore::observer::Observer;
use qcore::prelude::*;
use qcore::{CalibrationOptions, DType, QParams, Result};
use tests::networks::Network;
use tests::tensors::noise;

/// Panics at the second batch.
#[derive(Clone, Debug)]
struct Fragile(usize);

impl Observer for Fragile {
    fn name(&self) -> &'static str {
        "Fragile"
    }

    fn observe(&mut self, _: &Tensor) -> Result<()> {
        self.0 += 1;
        assert!(self.0 < 2, "an observer of the user's");
        Ok(())
    }

    fn calculate_qparams(&self) -> Result<QParams> {
        // Parameters without a scale, that nobody may index.
        let qparams = QParams::per_tensor(1.0, 0, DType::QUInt8)?;
        Ok(QParams { scale: Vec::new(), ..qparams })
    }

    fn has_observed(&self) -> bool {
        self.0 > 0
    }

    fn reset(&mut self) {
        self.0 = 0;
    }

    fn dtype(&self) -> DType {
        DType::QUInt8
    }

    fn boxed_clone(&self) -> Box<dyn Observer> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn batch(seed: u64) -> Tensor {
    noise(&[1, 3, 12, 12], seed)
}

#[test]
fn neither_an_iterator_nor_an_observer_that_panics_leaves_a_trace() {
    let mut prepared = Network::small().prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    let options = CalibrationOptions { progress: false };
    let before = format!("{prepared:?}");
    let batches = (0..3).map(|seed| if seed == 2 { panic!("a loader of the user's") } else { batch(seed) });
    let caught = catch_unwind(AssertUnwindSafe(|| prepared.calibrate_with(batches, options).map(drop)));
    assert!(caught.is_err());
    assert_eq!(format!("{prepared:?}"), before);
    assert!(prepared.convert().is_err());

    prepared.set_observer("layers.0.conv1", Fragile(0)).unwrap();
    let before = format!("{prepared:?}");
    let caught =
        catch_unwind(AssertUnwindSafe(|| prepared.calibrate_with((0..3).map(batch), options).map(drop)));
    assert!(caught.is_err());
    assert_eq!(format!("{prepared:?}"), before);

    prepared.observe(batch(0)).unwrap();
    let once = format!("{prepared:?}");
    assert_ne!(once, before);
    let caught = catch_unwind(AssertUnwindSafe(|| prepared.observe(batch(1)).map(drop)));
    assert!(caught.is_err());
    assert_eq!(format!("{prepared:?}"), once);
}

#[test]
fn parameters_that_make_no_sense_are_an_error_at_the_edge() {
    let mut prepared = Network::small().prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    prepared.set_observer("fc", Fragile(0)).unwrap();
    prepared.observe(batch(0)).unwrap();
    assert!(prepared.calibration_report().to_string().contains("fc"));
    let error = prepared.convert().unwrap_err().to_string();
    assert!(error.contains("`fc`") && error.contains("0 scales"), "{error}");
}
