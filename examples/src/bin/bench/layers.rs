//! Where the time of an int8 run goes, layer by layer.

use std::iter::Sum;
use std::time::{Duration, Instant};

use qcore::{Profile, StepProfile};
use qkernels::isa::isa;
use qkernels::peak::multiply_accumulates_per_second;
use serde_json::{Value, json};

use super::median;

/// The steps of a run with their median times.
pub struct Layers {
    steps: Vec<StepProfile>,
    /// Multiply-accumulates a second that the instruction set allows on all threads; unknown for the scalar one.
    peak: Option<f64>,
}

impl Layers {
    /// Profiles runs for a second, at least three.
    pub fn measure(threads: usize, run: impl Fn() -> qcore::Result<Profile>) -> qcore::Result<Self> {
        let mut steps = run()?.steps;
        let mut times: Vec<Vec<Duration>> = vec![Vec::new(); steps.len()];
        let begin = Instant::now();
        for count in 0.. {
            if count >= 3 && begin.elapsed() > Duration::from_secs(1) {
                break;
            }
            for (times, step) in times.iter_mut().zip(run()?.steps) {
                times.push(Duration::from_nanos(step.nanoseconds));
            }
        }
        for (step, times) in steps.iter_mut().zip(times) {
            step.nanoseconds = median(times).as_nanos() as u64;
        }
        let peak = multiply_accumulates_per_second(isa()).map(|peak| peak * threads as f64);
        Ok(Self { steps, peak })
    }

    /// How much of the peak is reached, if anything is multiplied and there is a peak.
    fn share_of_peak(&self, cost: Cost) -> Option<f64> {
        let rate = cost.multiply_accumulates as f64 / (cost.nanoseconds as f64 / 1e9);
        let share = rate / self.peak?;
        (cost.multiply_accumulates > 0).then_some(share)
    }

    /// The steps as an array, beside the peak.
    pub fn json(&self) -> Value {
        let layers: Vec<Value> = self
            .steps
            .iter()
            .map(|step| {
                json!({
                    "path": step.path,
                    "domain": step.domain,
                    "kernel": step.cost.kernel,
                    "inputs": step.inputs,
                    "output": step.output,
                    "multiply_accumulates": step.cost.multiply_accumulates,
                    "nanoseconds": step.nanoseconds,
                    "share_of_peak": self.share_of_peak(Cost::of(step)),
                    "bytes_moved": step.bytes_moved(),
                })
            })
            .collect();
        json!({ "peak_multiply_accumulates_per_second": self.peak, "steps": layers })
    }

    /// Prints a table, with all steps together in the last row.
    pub fn print(&self) {
        let width = self.steps.iter().map(|step| step.path.len()).max().unwrap_or_default();
        let row = |path: &str, output: &str, cost: Cost, kernel: &str| {
            let Cost { multiply_accumulates, nanoseconds, bytes_moved } = cost;
            let share = self.share_of_peak(cost).map(|share| format!("{:.1}", share * 100.0));
            println!(
                "{path:width$} {output:>16} {:>9.2} {:>9.4} {:>6} {:>9.1}  {kernel}",
                multiply_accumulates as f64 / 1e6,
                nanoseconds as f64 / 1e6,
                share.unwrap_or_default(),
                bytes_moved as f64 / 1e3,
            );
        };
        println!(
            "{:width$} {:>16} {:>9} {:>9} {:>6} {:>9}  kernel",
            "layer", "output", "MMAC", "ms", "peak %", "kB moved"
        );
        for step in &self.steps {
            let output: Vec<String> = step.output.iter().map(usize::to_string).collect();
            let kernel = if step.cost.kernel.is_empty() { step.domain } else { &step.cost.kernel };
            row(&step.path, &output.join("x"), Cost::of(step), kernel);
        }
        row("together", "", self.steps.iter().map(Cost::of).sum(), "");
        if let Some(peak) = self.peak {
            println!("the peak of {} on these threads is {:.1} GMAC/s", isa(), peak / 1e9);
        }
    }
}

/// The time of a step, or of several.
#[derive(Clone, Copy, Default)]
struct Cost {
    multiply_accumulates: u64,
    nanoseconds: u64,
    bytes_moved: u64,
}

impl Cost {
    fn of(step: &StepProfile) -> Self {
        Self {
            multiply_accumulates: step.cost.multiply_accumulates,
            nanoseconds: step.nanoseconds,
            bytes_moved: step.bytes_moved(),
        }
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), |sum, cost| Self {
            multiply_accumulates: sum.multiply_accumulates + cost.multiply_accumulates,
            nanoseconds: sum.nanoseconds + cost.nanoseconds,
            bytes_moved: sum.bytes_moved + cost.bytes_moved,
        })
    }
}
