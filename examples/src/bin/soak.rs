//! A server's day in short: threads that call several models with pictures of several sizes, while the number of threads
//! a call may use changes, memory is given back, and some requests are bad. Every output is compared with the expected
//! bytes.
//!
//! ```text
//! cargo run --release -p examples --bin soak -- --minutes 60
//! ```

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use examples::models::digits::DigitsNet;
use examples::models::mobilenet_v2::mobilenet_v2;
use examples::models::resnet::resnet18;
use examples::synthetic;
use qcore::prelude::*;
use qcore::{CalibrationOptions, Converted, set_num_threads};

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// How long.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Threads that call models.
    #[arg(long, default_value_t = 4)]
    threads: usize,
    /// Seconds between two lines of output.
    #[arg(long, default_value_t = 10.0)]
    interval: f64,
    /// Other requests for another number.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Batches and sizes of pictures.
const SHAPES: [[usize; 3]; 9] = [
    [1, 32, 32],
    [1, 40, 33],
    [2, 32, 48],
    [1, 64, 64],
    [3, 33, 35],
    [1, 96, 64],
    [5, 32, 32],
    [1, 128, 112],
    [0, 32, 32],
];

/// A model behind one interface.
trait Served: Send + Sync {
    fn name(&self) -> &'static str;
    fn call(&self, input: &Tensor) -> qcore::Result<Tensor>;
    fn tidy(&self, shapes: usize);
}

impl<M: Module<Input = Tensor, Output = Tensor>> Served for Converted<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn call(&self, input: &Tensor) -> qcore::Result<Tensor> {
        self.forward(input)
    }

    fn tidy(&self, shapes: usize) {
        self.set_remembered_shapes(shapes);
        self.release_memory();
    }
}

/// A float model as it is.
struct Float<M>(M);

impl<M: Module<Input = Tensor, Output = Tensor> + Send + Sync> Served for Float<M> {
    fn name(&self) -> &'static str {
        "float"
    }

    fn call(&self, input: &Tensor) -> qcore::Result<Tensor> {
        self.0.run(input.clone())
    }

    fn tidy(&self, _shapes: usize) {}
}

/// A model with requests and the answers that it has to give.
struct Service {
    model: Box<dyn Served>,
    requests: Vec<(Tensor, Tensor)>,
    bad: Tensor,
}

impl Service {
    fn new(model: Box<dyn Served>, inputs: Vec<Tensor>) -> Result<Self> {
        let answer = |input: Tensor| Ok((input.clone(), model.call(&input)?));
        let requests = inputs.into_iter().map(answer).collect::<qcore::Result<_>>()?;
        Ok(Self { model, requests, bad: Tensor::zeros(&[1, 7, 9, 9]) })
    }
}

fn int8<M: Module<Input = Tensor, Output = Tensor>>(
    model: &M,
    input: &Tensor,
    backend: Backend,
) -> Result<Converted<M>> {
    let mut prepared = model.prepare(&QConfigMapping::for_backend(backend))?;
    prepared.calibrate_with([input], CalibrationOptions { progress: false })?;
    Ok(prepared.convert()?)
}

fn services() -> Result<Vec<Service>> {
    let pictures = SHAPES.map(|[batch, height, width]| synthetic::rectangles("soak", batch, [height, width]));
    let pictures = pictures.into_iter().collect::<qcore::Result<Vec<_>>>()?;
    let (mut resnet, mut mobilenet) = (resnet18(10), mobilenet_v2(10));
    synthetic::fill(&mut resnet)?;
    synthetic::fill(&mut mobilenet)?;
    let mut digits = DigitsNet::new();
    synthetic::fill(&mut digits)?;
    let of_digits = (0..6).map(|batch| synthetic::uniform("digits", &[batch, 1, 8, 8], (0.0, 1.0)));
    let of_digits = of_digits.collect::<qcore::Result<Vec<_>>>()?;
    Ok(vec![
        Service::new(Box::new(int8(&resnet, &pictures[0], Backend::Native)?), pictures.clone())?,
        Service::new(Box::new(int8(&mobilenet, &pictures[0], Backend::Qnnpack)?), pictures.clone())?,
        Service::new(Box::new(int8(&digits, &of_digits[3], Backend::X86)?), of_digits)?,
        Service::new(Box::new(Float(mobilenet)), pictures)?,
    ])
}

/// Numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % limit
    }
}

#[derive(Default)]
struct Counts {
    runs: AtomicU64,
    /// Bad requests that got their error.
    refused: AtomicU64,
    errors: AtomicU64,
    first_error: Mutex<Option<String>>,
}

impl Counts {
    fn error(&self, message: impl FnOnce() -> String) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let mut first = self.first_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        first.get_or_insert_with(message);
    }
}

/// One thread's requests.
fn serve(services: &[Service], counts: &Counts, end: &AtomicBool, seed: u64) {
    let mut numbers = Numbers(seed | 1);
    while !end.load(Ordering::Relaxed) {
        let service = &services[numbers.below(services.len())];
        if numbers.below(50) == 0 {
            match service.model.call(&service.bad) {
                Ok(_) => counts.error(|| format!("{}: a bad request was answered", service.model.name())),
                Err(_) => drop(counts.refused.fetch_add(1, Ordering::Relaxed)),
            }
            continue;
        }
        let (input, expected) = &service.requests[numbers.below(service.requests.len())];
        match service.model.call(input) {
            Ok(found) if found == *expected => drop(counts.runs.fetch_add(1, Ordering::Relaxed)),
            Ok(_) => {
                counts.error(|| format!("{}: other bytes for {:?}", service.model.name(), input.shape()))
            }
            Err(error) => counts.error(|| format!("{}: {error}", service.model.name())),
        }
    }
}

/// Kilobytes of resident memory, and seconds of processor time, where Linux tells.
fn usage() -> (u64, f64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: f64 =
        after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    (kilobytes, ticks / 100.0)
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    set_num_threads(1);
    let services = services().context("the models")?;
    let (counts, end) = (Counts::default(), AtomicBool::new(false));
    let begin = Instant::now();
    let seconds = 60.0 * cli.minutes;
    println!(
        "{:>8}  {:>10}  {:>8}  {:>6}  {:>7}  {:>7}",
        "seconds", "runs", "refused", "errors", "MB", "CPU s"
    );
    thread::scope(|scope| {
        for thread in 0..cli.threads.max(1) as u64 {
            let (services, counts, end) = (&services, &counts, &end);
            scope.spawn(move || {
                serve(services, counts, end, (cli.seed + thread + 1).wrapping_mul(0x9E37_79B9))
            });
        }
        let mut numbers = Numbers(cli.seed ^ 0x5DEE_CE66);
        let mut next_line = cli.interval;
        loop {
            let elapsed = begin.elapsed().as_secs_f64();
            if elapsed >= next_line.min(seconds) {
                let [runs, refused, errors] = [&counts.runs, &counts.refused, &counts.errors]
                    .map(|count| count.load(Ordering::Relaxed));
                let (kilobytes, processor) = usage();
                let megabytes = kilobytes as f64 / 1024.0;
                println!(
                    "{elapsed:>8.1}  {runs:>10}  {refused:>8}  {errors:>6}  {megabytes:>7.1}  {processor:>7.1}"
                );
                next_line += cli.interval;
            }
            if elapsed >= seconds {
                break;
            }
            thread::sleep(Duration::from_millis(100));
            // What an operator does while requests come in.
            match numbers.below(10) {
                0 => set_num_threads(numbers.below(4)),
                1 => services[numbers.below(services.len())].model.tidy(1 + numbers.below(12)),
                _ => {}
            }
        }
        end.store(true, Ordering::Relaxed);
    });
    let first = counts.first_error.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(match first {
        None => ExitCode::SUCCESS,
        Some(error) => {
            println!("first error: {error}");
            ExitCode::FAILURE
        }
    })
}
