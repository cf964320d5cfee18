//! Times a network of torchvision, or one for text, on this machine, in fp32 and in int8, or a step of its training.

mod layers;
mod networks;
mod train;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{ArgGroup, Parser};
use examples::architecture::Architecture;
use examples::{synthetic, with_architecture};
use layers::Layers;
use networks::Network;
use qcore::prelude::*;
use qcore::{CalibrationOptions, Converted, LoadOptions, MemoryReport, StateDict};
use qkernels::isa::{Isa, isa, set_isa};
use qkernels::threads::set_num_threads;
use serde_json::json;

#[derive(Parser)]
#[command(version, about, group(ArgGroup::new("what").required(true)))]
struct Cli {
    /// A network of torchvision, on pictures.
    #[arg(long, group = "what")]
    arch: Option<Architecture>,
    /// A network on texts, or a linear layer.
    #[arg(long, group = "what")]
    network: Option<Network>,
    /// Height and width of the pictures.
    #[arg(long, conflicts_with = "network", default_value_t = 224, value_parser = at_least_one)]
    size: usize,
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    threads: usize,
    /// Pictures or texts in a call.
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    batch: usize,
    /// Float checkpoint (safetensors, torchvision's key names); without one the weights are made up.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// As many as the checkpoint has if not given; without a checkpoint 1000, in training 10.
    #[arg(long, conflicts_with = "network", value_parser = at_least_one)]
    num_classes: Option<usize>,
    /// Whose qconfig and numerics. PyTorch's for x86 leaves a bit of the activations unused, which AVX2 likes; `native`
    /// uses it.
    #[arg(long, default_value_t = Backend::X86)]
    backend: Backend,
    /// A lesser instruction set than this processor's best.
    #[arg(long, value_parser = instruction_set)]
    isa: Option<Isa>,
    /// How often fp32 and int8 take turns, or steps of training in float and with fake quantization.
    #[arg(long, default_value_t = 5, value_parser = at_least_one)]
    rounds: usize,
    /// Where the int8 model goes, if it is to be kept.
    #[arg(long, conflicts_with = "network")]
    save: Option<PathBuf>,
    /// Also where the time goes: each step of a run, its share of the peak of the instruction set's dot product
    /// (more than all of it where fewer or faster products do), the bytes it moves.
    #[arg(long)]
    layers: bool,
    /// A step of training instead: forward, cross entropy, backward and SGD, in float and with fake quantization.
    #[arg(long, conflicts_with_all = ["network", "weights", "save", "layers"])]
    train: bool,
    /// One JSON object in place of a table.
    #[arg(long)]
    json: bool,
}

fn at_least_one(text: &str) -> Result<usize> {
    let number = text.parse()?;
    ensure!(number > 0, "it must be at least 1");
    Ok(number)
}

fn instruction_set(name: &str) -> Result<Isa> {
    Isa::from_name(name).with_context(|| {
        let names: Vec<_> = Isa::available().map(Isa::name).collect();
        format!("this processor has {}", names.join(", "))
    })
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let name = cli.arch.map(Architecture::name).or(cli.network.map(Network::name)).unwrap_or_default();
    run(&cli).with_context(|| match &cli.weights {
        Some(path) => format!("{name} with the weights {}", path.display()),
        None => format!("{name} with made-up weights"),
    })
}

fn run(cli: &Cli) -> Result<()> {
    set_isa(cli.isa);
    set_num_threads(cli.threads);
    let weights = cli.weights.as_deref().map(StateDict::open).transpose()?;
    if let Some(network) = cli.network {
        networks::run(network, weights.as_ref(), cli)?;
    }
    if let Some(arch) = cli.arch {
        time_architecture(arch, weights.as_ref(), cli)?;
    }
    Ok(())
}

fn time_architecture(arch: Architecture, weights: Option<&StateDict>, cli: &Cli) -> Result<()> {
    let num_classes = match (cli.num_classes, weights) {
        (Some(number), _) => number,
        (None, Some(weights)) => arch.num_classes(weights)?,
        (None, None) if cli.train => 10,
        (None, None) => 1000,
    };
    if cli.train {
        return with_architecture!(arch, new => train::run(new(num_classes), arch, num_classes, cli));
    }
    let measured = with_architecture!(arch, new => measure(new(num_classes), arch, weights, cli))?;
    if cli.json {
        print_json(cli, arch, num_classes, &measured)
    } else {
        print_table(cli, arch, num_classes, &measured)
    }
    Ok(())
}

/// Median times, and the memory of the int8 model.
struct Measured {
    fp32: Duration,
    int8: Duration,
    /// From opening the int8 file to the first output.
    load: Duration,
    /// The same with the weights in a map of the file.
    load_mapped: Duration,
    file_bytes: u64,
    memory: MemoryReport,
    layers: Option<Layers>,
}

fn measure<M>(mut model: M, arch: Architecture, weights: Option<&StateDict>, cli: &Cli) -> Result<Measured>
where
    M: Module<Input = Tensor, Output = Tensor>,
{
    match weights {
        Some(weights) => model.load_state_dict(weights)?,
        None => synthetic::fill(&mut model)?,
    }
    let calibration = synthetic::pictures("calibration", 8, cli.size)?;
    let mut prepared = model.prepare(&QConfigMapping::for_backend(cli.backend))?;
    prepared.calibrate_with([calibration], CalibrationOptions { progress: false })?;
    let mut int8 = prepared.convert()?;
    int8.set_metadata("arch", arch.name());

    let x = synthetic::pictures("x", cli.batch, cli.size)?;
    let (mut fp32_times, mut int8_times) = (Vec::new(), Vec::new());
    for _ in 0..cli.rounds {
        fp32_times.extend(times(|| model.run(x.clone()))?);
        int8_times.extend(times(|| int8.forward(&x))?);
    }

    let folder = tempfile::tempdir()?;
    let path = cli.save.clone().unwrap_or_else(|| folder.path().join("int8.safetensors"));
    int8.save(&path)?;
    let (mut load_times, mut mapped_times) = (Vec::new(), Vec::new());
    for _ in 0..cli.rounds {
        load_times.extend(times(|| Converted::<M>::load(&path)?.forward(&x))?);
        mapped_times.extend(times(|| Converted::<M>::load_with(&path, LoadOptions::mapped())?.forward(&x))?);
    }
    Ok(Measured {
        fp32: median(fp32_times),
        int8: median(int8_times),
        load: median(load_times),
        load_mapped: median(mapped_times),
        file_bytes: file_bytes(&path)?,
        memory: int8.memory(&x)?,
        layers: cli.layers.then(|| Layers::measure(cli.threads, || int8.profile(&x))).transpose()?,
    })
}

/// One turn: after a call that warms the caches, as many calls as go into a third of a second, at least three.
fn times(mut run: impl FnMut() -> qcore::Result<Tensor>) -> qcore::Result<Vec<Duration>> {
    run()?;
    let begin = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || begin.elapsed() < Duration::from_millis(333) {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed());
    }
    Ok(times)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn file_bytes(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path).with_context(|| format!("reading {}", path.display()))?.len())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn print_json(cli: &Cli, arch: Architecture, num_classes: usize, measured: &Measured) {
    let mut report = json!({
        "arch": arch.name(),
        "size": cli.size,
        "batch": cli.batch,
        "num_classes": num_classes,
        "threads": cli.threads,
        "isa": isa().name(),
        "backend": cli.backend.to_string(),
        "rounds": cli.rounds,
        "fp32_ms": milliseconds(measured.fp32),
        "int8_ms": milliseconds(measured.int8),
        "load_ms": milliseconds(measured.load),
        "load_mapped_ms": milliseconds(measured.load_mapped),
        "file_bytes": measured.file_bytes,
        "peak_bytes": measured.memory.peak_bytes,
        "lower_bound_bytes": measured.memory.lower_bound_bytes,
    });
    if let Some(layers) = &measured.layers {
        report["layers"] = layers.json();
    }
    println!("{report}");
}

fn print_table(cli: &Cli, arch: Architecture, num_classes: usize, measured: &Measured) {
    let Measured { fp32, int8, load, load_mapped, file_bytes, memory, layers } = measured;
    println!(
        "{arch}, {num_classes} classes, {} x 3 x {size} x {size}, threads: {}, {}, {}",
        cli.batch,
        cli.threads,
        isa(),
        cli.backend,
        size = cli.size,
    );
    println!("fp32   {:9.3} ms", milliseconds(*fp32));
    println!("int8   {:9.3} ms, {:.2} times as fast", milliseconds(*int8), fp32.div_duration_f64(*int8));
    println!(
        "load   {:9.3} ms from the file to the first answer, {:.3} ms mapped",
        milliseconds(*load),
        milliseconds(*load_mapped)
    );
    println!("file   {:9.3} MB", *file_bytes as f64 / 1e6);
    println!(
        "memory {:9.3} MB of activations, {:.3} MB at least",
        memory.peak_bytes as f64 / 1e6,
        memory.lower_bound_bytes as f64 / 1e6
    );
    if let Some(layers) = layers {
        println!();
        layers.print();
    }
}
