//! Memory is asked for before it is taken: what is too much for a call is an error that says how much, in every variant;
//! and what a model keeps for its next runs is bounded, and given back.

mod held;
mod limits;

use std::sync::{Mutex, MutexGuard, PoisonError};

use qcore::observer::FixedQParamsObserver;
use qcore::prelude::*;
use qcore::{Converted, Error, Result};

/// The limit is that of the process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `run` while a call may take `bytes`.
fn with_limit<T>(bytes: usize, run: impl FnOnce() -> T) -> T {
    struct Unlimited;
    impl Drop for Unlimited {
        fn drop(&mut self) {
            qcore::set_memory_limit(None);
        }
    }
    let _end = Unlimited;
    qcore::set_memory_limit(Some(bytes));
    assert_eq!(qcore::memory_limit(), bytes);
    run()
}

/// The int8 model without calibration: all scales are fixed.
fn converted<M: Module>(model: &M) -> Result<Converted<M>> {
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    let paths: Vec<String> = prepared.observed_paths().map(str::to_owned).collect();
    for path in paths {
        prepared.set_observer(&path, FixedQParamsObserver::new(0.1, 128))?;
    }
    prepared.convert()
}

/// Who asked for too much, for how much, and what the limit is.
#[track_caller]
fn refusal<T>(result: Result<T>) -> (String, usize, usize) {
    let mut error = result.map(drop).expect_err("this is too much");
    let text = error.to_string();
    let mut layers = String::new();
    while let Error::InLayer { layer, source } = error {
        layers = layer;
        error = *source;
    }
    let Error::Memory { what, bytes, limit } = error else { panic!("not for memory: {text}") };
    for part in [&layers, &what, &limit.to_string()] {
        assert!(text.contains(part.as_str()), "{text}");
    }
    assert!(bytes > limit, "{text}");
    (if layers.is_empty() { what } else { layers }, bytes, limit)
}

#[quantizable]
struct Net {
    conv: Conv2d,
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(adaptive_avg_pool2d(relu(self.conv(x)), 1).flatten(1))
    }
}

fn net() -> Net {
    Net { conv: Conv2d::new(3, 8, 3).padding(1), fc: Linear::new(8, 4) }
}
