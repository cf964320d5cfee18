//! Quantizes, runs and evaluates torchvision's networks with weights of your own.
//!
//! Without a subcommand it quantizes a ResNet-18 with random weights, to show that all is well.

mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use examples::architecture::Architecture;
use examples::data::{Normalization, Pictures, labels};
use examples::models::resnet::{BasicBlock, ResNet, resnet18};
use examples::scoring::{classes, count_correct};
use examples::with_architecture;
use indicatif::ProgressIterator;
use qcore::prelude::*;
use qcore::{Converted, EqualizationOptions, Network, Prepared, QParams, StateDict};
use report::ReportCommand;

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Calibrates a float checkpoint and writes the int8 model.
    Quantize(Quantize),
    /// Calibrates a float checkpoint and writes what int8 does to it as a page of HTML.
    Report(ReportCommand),
    /// Prints the layers of an architecture: shapes, parameters, multiply-accumulates.
    Summary(SummaryCommand),
    /// Writes the logits of a file of pictures.
    Run(Run),
    /// Prints the top-1 accuracy on a file of pictures and labels.
    Evaluate(Evaluate),
}

/// A float checkpoint, and how it is quantized.
#[derive(Args)]
struct Checkpoint {
    #[arg(long)]
    arch: Architecture,
    #[arg(long)]
    num_classes: usize,
    /// Float checkpoint (safetensors, torchvision's key names).
    #[arg(long)]
    weights: PathBuf,
    /// Pictures to calibrate on: `x` [N, 3, H, W], f32 or u8.
    #[arg(long)]
    calibration: PathBuf,
    #[arg(long, default_value_t = 32)]
    batch_size: usize,
    #[arg(long, default_value_t = Backend::Native)]
    backend: Backend,
    /// A layer that stays in float, e.g. `layer1.0.conv1`; may be given several times.
    #[arg(long, value_name = "NAME")]
    skip: Vec<String>,
    /// Makes the channels of neighbouring layers equally wide before it calibrates.
    #[arg(long)]
    equalize: bool,
    /// Lets `--equalize` make a ReLU of a ReLU6 between two layers.
    #[arg(long, requires = "equalize")]
    replace_relu6: bool,
    #[command(flatten)]
    pixels: PixelOptions,
}

#[derive(Args)]
struct Quantize {
    #[command(flatten)]
    checkpoint: Checkpoint,
    /// Where the int8 model goes.
    #[arg(long)]
    out: PathBuf,
    /// Where the scales and zero points of every edge and weight go, as JSON.
    #[arg(long)]
    qparams: Option<PathBuf>,
}

#[derive(Args)]
struct SummaryCommand {
    #[arg(long)]
    arch: Architecture,
    #[arg(long, default_value_t = 1000)]
    num_classes: usize,
    /// Height and width of the picture.
    #[arg(long, default_value_t = 224)]
    size: usize,
}

#[derive(Args)]
struct Run {
    #[command(flatten)]
    model: ModelChoice,
    /// Pictures `x` [N, 3, H, W], f32 or u8.
    #[arg(long)]
    input: PathBuf,
    /// Where the logits `y` [N, K] go.
    #[arg(long)]
    out: PathBuf,
    #[arg(long, default_value_t = 32)]
    batch_size: usize,
    #[command(flatten)]
    pixels: PixelOptions,
}

#[derive(Args)]
struct Evaluate {
    #[command(flatten)]
    model: ModelChoice,
    /// Pictures `x` [N, 3, H, W] and labels `y`, one for each.
    #[arg(long)]
    test: PathBuf,
    #[arg(long, default_value_t = 32)]
    batch_size: usize,
    #[command(flatten)]
    pixels: PixelOptions,
}

/// An int8 model, or an architecture with float weights.
#[derive(Args)]
struct ModelChoice {
    /// An int8 model of `zoo quantize`.
    #[arg(long, required_unless_present = "weights", conflicts_with_all = ["arch", "num_classes", "weights"])]
    model: Option<PathBuf>,
    #[arg(long, requires = "weights")]
    arch: Option<Architecture>,
    #[arg(long, requires = "weights")]
    num_classes: Option<usize>,
    /// Float checkpoint.
    #[arg(long, requires_all = ["arch", "num_classes"])]
    weights: Option<PathBuf>,
}

/// How u8 pictures become floats: `(x / 255 - mean) / std`.
#[derive(Args)]
struct PixelOptions {
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "0.485,0.456,0.406")]
    mean: Vec<f32>,
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "0.229,0.224,0.225")]
    std: Vec<f32>,
}

impl PixelOptions {
    fn normalization(&self) -> Normalization {
        Normalization { mean: self.mean.clone(), std: self.std.clone() }
    }
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Some(Command::Quantize(arguments)) => quantize(&arguments),
        Some(Command::Report(command)) => command.run(),
        Some(Command::Summary(command)) => command.run(),
        Some(Command::Run(arguments)) => run(&arguments),
        Some(Command::Evaluate(arguments)) => evaluate(&arguments),
        None => demonstrate(),
    }
}

impl Checkpoint {
    fn open(&self) -> Result<(StateDict, Pictures)> {
        ensure!(self.num_classes > 0, "--num-classes must be at least 1");
        let weights = StateDict::open(&self.weights)?;
        Ok((weights, Pictures::open(&self.calibration, &self.pixels.normalization())?))
    }
}

/// With the checkpoint's weights, and calibrated.
fn prepared<M: Module<Input = Tensor, Output = Tensor>>(
    mut model: M,
    weights: &StateDict,
    pictures: &Pictures,
    checkpoint: &Checkpoint,
) -> Result<Prepared<M>> {
    model
        .load_state_dict(weights)
        .with_context(|| format!("loading {} as {}", checkpoint.weights.display(), checkpoint.arch))?;
    let mapping = checkpoint
        .skip
        .iter()
        .fold(QConfigMapping::for_backend(checkpoint.backend), |mapping, name| mapping.module(name, None));
    let mut prepared = model.prepare(&mapping)?;
    if checkpoint.equalize {
        let options = EqualizationOptions { replace_relu6: checkpoint.replace_relu6 };
        println!("{}", prepared.equalize_with(options)?);
    }
    println!("{}", prepared.calibrate(pictures.batches(checkpoint.batch_size))?);
    Ok(prepared)
}

fn quantize(arguments: &Quantize) -> Result<()> {
    let checkpoint = &arguments.checkpoint;
    let (weights, pictures) = checkpoint.open()?;
    with_architecture!(checkpoint.arch, new => {
        let prepared = prepared(new(checkpoint.num_classes), &weights, &pictures, checkpoint)?;
        save(&prepared, arguments)
    })
}

fn save<M: Module>(prepared: &Prepared<M>, arguments: &Quantize) -> Result<()> {
    let mut int8 = prepared.convert()?;
    int8.set_metadata("arch", arguments.checkpoint.arch.name());
    int8.save(&arguments.out)?;
    println!("{}: {}", arguments.out.display(), file_size(&arguments.out)?);
    if let Some(path) = &arguments.qparams {
        qcore::write_file(path, qparams_json(&int8)?)?;
    }
    Ok(())
}

impl SummaryCommand {
    fn run(&self) -> Result<()> {
        let picture = Tensor::try_zeros(&[1, 3, self.size, self.size])?;
        let summary = with_architecture!(self.arch, new => qcore::summary(&new(self.num_classes), picture))?;
        println!("{summary}");
        Ok(())
    }
}

/// Each observed edge and each weight, to its scales, zero points and type.
fn qparams_json<M: Module>(int8: &Converted<M>) -> Result<String> {
    let edges: BTreeMap<&str, &QParams> = int8
        .summary()
        .edges
        .iter()
        .filter_map(|edge| Some((edge.path.as_str(), edge.qparams.as_ref()?)))
        .collect();
    let mut weights = BTreeMap::new();
    int8.visit_weights(&mut |path, weight| {
        weights.insert(path.to_owned(), weight.qparams().clone());
    });
    Ok(serde_json::to_string_pretty(&serde_json::json!({ "edges": edges, "weights": weights }))?)
}

/// A network behind one type, whatever it is: a batch of pictures in, logits out.
type Predict = Box<dyn Fn(Tensor) -> qcore::Result<Tensor>>;

fn open_model(choice: &ModelChoice) -> Result<Predict> {
    if let Some(path) = &choice.model {
        return open_int8(path);
    }
    let (Some(arch), Some(num_classes), Some(path)) = (choice.arch, choice.num_classes, &choice.weights)
    else {
        bail!("pass --model, or --arch with --num-classes and --weights");
    };
    let weights = StateDict::open(path)?;
    with_architecture!(arch, new => {
        let mut model = new(num_classes);
        model.load_state_dict(&weights).with_context(|| format!("loading {} as {arch}", path.display()))?;
        Ok(Box::new(move |x: Tensor| model.forward(x)))
    })
}

/// The file holds the whole network: no type is needed to run it.
fn open_int8(path: &Path) -> Result<Predict> {
    let int8 = Network::load(path)?;
    let model = int8.model().to_owned();
    Ok(Box::new(move |x: Tensor| match <[Tensor; 1]>::try_from(int8.forward(&[x])?) {
        Ok([logits]) => Ok(logits),
        Err(outputs) => Err(qcore::Error::Unsupported(format!(
            "{} outputs of `{model}`, where logits are",
            outputs.len()
        ))),
    }))
}

/// The logits of all pictures, row after row, and the number of classes.
fn predict(predict: &Predict, pictures: &Pictures, batch_size: usize) -> Result<(Vec<Tensor>, usize)> {
    let logits = pictures
        .batches(batch_size)
        .progress()
        .map(|batch| predict(batch?))
        .collect::<qcore::Result<Vec<_>>>()?;
    let num_classes = match logits.first().map(Tensor::shape) {
        None => 0,
        Some(&[_, num_classes]) => num_classes,
        Some(shape) => bail!("the model gives tensors of shape {shape:?}, logits are [N, classes]"),
    };
    Ok((logits, num_classes))
}

fn run(arguments: &Run) -> Result<()> {
    let model = open_model(&arguments.model)?;
    let pictures = Pictures::open(&arguments.input, &arguments.pixels.normalization())?;
    let (logits, num_classes) = predict(&model, &pictures, arguments.batch_size)?;
    let values = logits.iter().flat_map(|batch| batch.view().iter().copied().collect::<Vec<_>>()).collect();
    let y = Tensor::from_vec(&[pictures.len(), num_classes], values)?;
    StateDict::from_iter([("y", y)]).save(&arguments.out)?;
    println!("{}: y [{}, {num_classes}]", arguments.out.display(), pictures.len());
    Ok(())
}

fn evaluate(arguments: &Evaluate) -> Result<()> {
    let model = open_model(&arguments.model)?;
    let pictures = Pictures::open(&arguments.test, &arguments.pixels.normalization())?;
    let labels = labels(&arguments.test)?;
    let (logits, num_classes) = predict(&model, &pictures, arguments.batch_size)?;
    let predictions: Vec<usize> = logits.iter().flat_map(classes).collect();
    let correct = count_correct(&predictions, &labels, num_classes)?;
    println!("top-1 {:.4} ({correct} of {})", correct as f64 / labels.len() as f64, labels.len());
    Ok(())
}

fn file_size(path: &Path) -> Result<String> {
    let bytes = std::fs::metadata(path)?.len();
    Ok(format!("{:.1} MB", bytes as f64 / 1e6))
}

/// ResNet-18 with random weights on random pictures: quantize, save, load, compare.
fn demonstrate() -> Result<()> {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand::rngs::StdRng::seed_from_u64(0);
    let shape = [8, 3, 32, 32];
    let pixels = (0..shape.iter().product()).map(|_| rng.random()).collect();
    let pictures = Pictures::from_bytes(shape, pixels, Normalization::imagenet())?;

    let model = resnet18(10);
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate(pictures.batches(4))?;
    let int8 = prepared.convert()?;

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("resnet18.int8.safetensors");
    int8.save(&path)?;
    let reloaded = Converted::<ResNet<BasicBlock>>::load(&path)?;
    let x = pictures.batch(0..4)?;
    let (float, before, after) = (model.forward(&x)?, int8.forward(&x)?, reloaded.forward(&x)?);
    ensure!(before == after, "the reloaded model gives other logits");
    println!("resnet18, random weights: int8 file {}, reloaded bit for bit", file_size(&path)?);
    println!("float classes {:?}, int8 classes {:?}", classes(&float), classes(&before));
    println!("run `zoo --help` for quantize, report, summary, run and evaluate");
    Ok(())
}
