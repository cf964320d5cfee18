//! `Latency`: how long both models take, and each step of theirs.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::Compared;
use crate::model::{Converted, IntoInput, Module, Prepared, Values};
use crate::network::Network;
use crate::{Result, Tensor};

/// After this long no further round begins.
const ENOUGH: Duration = Duration::from_secs(1);
/// Rounds at least.
const MIN_ROUNDS: usize = 3;

/// How long a call takes: medians of calls of both models that took turns.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// The shapes of the inputs.
    pub inputs: Vec<Vec<usize>>,
    /// The number of threads.
    pub threads: usize,
    /// The instruction set.
    pub isa: &'static str,
    /// How often each model ran.
    pub rounds: usize,
    /// Nanoseconds of a call.
    pub nanoseconds: Compared<u64>,
    /// The float model's steps.
    pub float: Vec<StepLatency>,
    /// The converted model's steps.
    pub converted: Vec<StepLatency>,
}

/// How long a step takes.
#[derive(Clone, Debug, Serialize)]
pub struct StepLatency {
    /// The call in the model; of calls that run as one, all. `quantize`, `dequantize` and `copy` are conversions.
    pub path: String,
    /// `int8`, `float`, `quantize` or `dequantize`.
    pub domain: &'static str,
    /// The shape that it makes, of several the first.
    pub output: Vec<usize>,
    /// Median.
    pub nanoseconds: u64,
}

pub(super) fn measure<M: Module>(
    prepared: &Prepared<M>,
    converted: &Converted<M>,
    input: impl IntoInput<M::Input>,
) -> Result<Latency> {
    let inputs = M::Input::into_vec(input.into_input()?.into_tensors());
    let inputs: Vec<&Tensor> = inputs.iter().collect();
    let mut models = [Model::new(&prepared.plan.network), Model::new(converted.network())];
    for model in &mut models {
        // Plans the memory, and warms the caches.
        model.network.profile(&inputs)?;
    }
    let begin = Instant::now();
    let mut rounds = 0;
    while rounds < MIN_ROUNDS || begin.elapsed() < ENOUGH {
        for model in &mut models {
            model.run(&inputs)?;
        }
        rounds += 1;
    }
    let [(float, float_steps), (converted, converted_steps)] = models.map(Model::medians);
    Ok(Latency {
        inputs: inputs.iter().map(|input| input.shape().to_vec()).collect(),
        threads: qkernels::threads::num_threads(),
        isa: qkernels::isa::isa().name(),
        rounds,
        nanoseconds: Compared { float, converted },
        float: float_steps,
        converted: converted_steps,
    })
}

/// A model, and how long its calls took.
struct Model<'a> {
    network: &'a Network,
    calls: Vec<u64>,
    /// Of each step the times, and what it is.
    steps: Vec<(Vec<u64>, StepLatency)>,
}

impl<'a> Model<'a> {
    fn new(network: &'a Network) -> Self {
        Self { network, calls: Vec::new(), steps: Vec::new() }
    }

    /// One call, and one in which each step is timed.
    fn run(&mut self, inputs: &[&Tensor]) -> Result<()> {
        let start = Instant::now();
        self.network.run(inputs, &mut |_, _| Ok(()))?;
        self.calls.push(start.elapsed().as_nanos() as u64);
        let profile = self.network.profile(inputs)?;
        if self.steps.is_empty() {
            let steps = profile.steps.iter().map(|step| StepLatency {
                path: step.path.clone(),
                domain: step.domain,
                output: step.output.clone(),
                nanoseconds: 0,
            });
            self.steps = steps.map(|step| (Vec::new(), step)).collect();
        }
        for ((times, _), step) in self.steps.iter_mut().zip(&profile.steps) {
            times.push(step.nanoseconds);
        }
        Ok(())
    }

    fn medians(self) -> (u64, Vec<StepLatency>) {
        let steps =
            self.steps.into_iter().map(|(times, step)| StepLatency { nanoseconds: median(times), ..step });
        (median(self.calls), steps.collect())
    }
}

fn median(mut times: Vec<u64>) -> u64 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
