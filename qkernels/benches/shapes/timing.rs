//! Two functions, timed in turns.

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::geometries::Kind;

/// A sample repeats a call until it takes as long as this.
const SAMPLE: Duration = Duration::from_micros(60);

/// Time for all samples of a geometry.
const BUDGET: Duration = Duration::from_millis(100);

const MIN_SAMPLES: usize = 5;

pub struct Timing {
    pub kind: Kind,
    name: String,
    /// Medians in microseconds.
    integer: f64,
    float: f64,
}

impl Timing {
    pub fn measure(kind: Kind, name: String, integer: &mut dyn FnMut(), float: &mut dyn FnMut()) -> Self {
        let mut integer = Samples::of(integer);
        let mut float = Samples::of(float);
        let start = Instant::now();
        while integer.times.len() < MIN_SAMPLES || start.elapsed() < BUDGET {
            integer.take();
            float.take();
        }
        Self { kind, name, integer: integer.median(), float: float.median() }
    }

    /// How many times as fast int8 is.
    pub fn ratio(&self) -> f64 {
        self.float / self.integer
    }

    pub fn to_json(&self) -> Value {
        json!({
            "kind": self.kind.name(),
            "geometry": self.name,
            "int8_us": self.integer,
            "float_us": self.float,
            "ratio": self.ratio(),
        })
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, integer, float } = self;
        write!(f, "{:6.3}  {} {name} (int8 {integer:.2} us, float {float:.2} us)", self.ratio(), kind.name())
    }
}

struct Samples<'a> {
    run: &'a mut dyn FnMut(),
    calls: u32,
    /// Microseconds of a call.
    times: Vec<f64>,
}

impl<'a> Samples<'a> {
    /// Warms up, and finds out how many calls make a sample.
    fn of(run: &'a mut dyn FnMut()) -> Self {
        run();
        let start = Instant::now();
        run();
        let calls = SAMPLE.as_nanos() / start.elapsed().as_nanos().max(20) + 1;
        Self { run, calls: u32::try_from(calls).unwrap_or(1), times: Vec::new() }
    }

    fn take(&mut self) {
        let start = Instant::now();
        for _ in 0..self.calls {
            (self.run)();
        }
        self.times.push(1e6 * start.elapsed().as_secs_f64() / f64::from(self.calls));
    }

    fn median(mut self) -> f64 {
        self.times.sort_by(f64::total_cmp);
        self.times[self.times.len() / 2]
    }
}
