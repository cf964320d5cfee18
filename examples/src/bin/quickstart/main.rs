//! The whole story on handwritten digits: a network trained in PyTorch, quantized, scored, saved and loaded.

mod train;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use examples::data::{Normalization, Pictures, labels};
use examples::models::digits::DigitsNet;
use examples::scoring::{classes, count_correct};
use qcore::observer::{HistogramObserver, MinMaxObserver, default_per_channel_weight_observer};
use qcore::prelude::*;
use qcore::{CalibrationOptions, Converted, QConfig, Report, StateDict, equivalence};

/// `data/digits/README.md` says where the pictures come from and how the split was made.
const TRAINING: usize = 1437;
const CALIBRATION: usize = 512;
const BATCH: usize = 32;

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// Trains the network from scratch instead, then quantizes it after training and while training.
    #[arg(long)]
    train: bool,
    /// Of the order in which training sees the digits.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where the int8 model and the report go.
    #[arg(long, default_value = "target/quickstart")]
    out: PathBuf,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits");
    if cli.train {
        return train::run(&Digits::open(&folder)?, cli.seed);
    }
    let mut model = DigitsNet::new();
    model.load_state_dict(&StateDict::open(folder.join("model.safetensors"))?)?;
    let digits = Digits::open(&folder)?;

    heading("What the macro understood");
    println!("{}", DigitsNet::GRAPH);
    println!("fused: {:?}", DigitsNet::FUSIONS);

    heading("Calibration");
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    let report = prepared.calibrate(digits.calibration())?;
    println!("{report}");
    println!("fused model: {}", equivalence(&model, &prepared, digits.held_out()?.batches(), 1e-4)?);

    heading("Accuracy on the held-out digits");
    let held_out = digits.held_out()?;
    let float = held_out.predict(|x| model.forward(x))?;
    println!("{:28} {:>8} {:>11}", "", "right", "as float");
    println!("{:28} {:>8}", "float", held_out.right(&float)?);
    for (name, mapping) in configurations() {
        let mut prepared = model.prepare(&mapping)?;
        prepared.calibrate_with(digits.calibration(), CalibrationOptions { progress: false })?;
        let int8 = prepared.convert()?;
        let predictions = held_out.predict(|x| int8.forward(x))?;
        let same = predictions.iter().zip(&float).filter(|(a, b)| a == b).count();
        println!("{name:28} {:>8} {:>11}", held_out.right(&predictions)?, format!("{same}/{}", float.len()));
    }

    heading("One file");
    let int8 = prepared.convert()?;
    std::fs::create_dir_all(&cli.out).with_context(|| cli.out.display().to_string())?;
    let path = cli.out.join("digits.int8.safetensors");
    int8.save(&path)?;
    let reloaded = Converted::<DigitsNet>::load(&path)?;
    for batch in held_out.batches() {
        ensure!(int8.forward(&batch)? == reloaded.forward(&batch)?, "the reloaded model gives other logits");
    }
    println!("float {} bytes, int8 {} bytes", size(&folder.join("model.safetensors"))?, size(&path)?);
    println!("the reloaded model gives the same bytes on {} digits", held_out.labels.len());

    heading("Latency of one digit, median");
    let report = Report::measure(&prepared, &int8, digits.calibration().take(4))?
        .with_latency(&prepared, &int8, digits.pictures.batch(0..1)?)?
        .with_file_sizes(folder.join("model.safetensors"), &path)?
        .with_score(
            "top-1",
            held_out.top1(&float)?,
            held_out.top1(&held_out.predict(|x| int8.forward(x))?)?,
        )?;
    if let Some(latency) = &report.latency {
        println!("float {:.0} us", latency.nanoseconds.float as f64 / 1e3);
        println!("int8  {:.0} us", latency.nanoseconds.converted as f64 / 1e3);
    }

    heading("Report");
    let page = cli.out.join("report.html");
    qcore::write_file(&page, report.to_html())?;
    println!("{}", page.display());
    Ok(())
}

/// Each backend's default, and two kinds of observers on the native one.
fn configurations() -> Vec<(String, QConfigMapping)> {
    let mut configurations: Vec<_> =
        Backend::ALL.map(|backend| (format!("int8 {backend}"), QConfigMapping::for_backend(backend))).into();
    let weight = default_per_channel_weight_observer;
    let native = || QConfigMapping::for_backend(Backend::Native);
    configurations.extend([
        (
            "int8 native, MinMax".to_owned(),
            native().global(QConfig::new(MinMaxObserver::default(), weight())),
        ),
        (
            "int8 native, Histogram".to_owned(),
            native().global(QConfig::new(HistogramObserver::default(), weight())),
        ),
    ]);
    configurations
}

struct Digits {
    pictures: Pictures,
    labels: Vec<usize>,
}

/// The digits that training never saw.
struct HeldOut {
    batches: Vec<Tensor>,
    labels: Vec<usize>,
}

impl Digits {
    fn open(folder: &Path) -> Result<Self> {
        let path: PathBuf = folder.join("digits.safetensors");
        // Pixels are 0 to 16 and the network takes 0 to 1: with this std, (x / 255) / std is x / 16.
        let normalization = Normalization { mean: vec![0.0], std: vec![16.0 / 255.0] };
        Ok(Self { pictures: Pictures::open(&path, &normalization)?, labels: labels(&path)? })
    }

    fn calibration(&self) -> impl Iterator<Item = qcore::Result<Tensor>> + '_ {
        self.pictures.batches(BATCH).take(CALIBRATION / BATCH)
    }

    fn held_out(&self) -> Result<HeldOut> {
        let range = TRAINING..self.labels.len();
        let batches = range
            .clone()
            .step_by(BATCH)
            .map(|start| self.pictures.batch(start..(start + BATCH).min(range.end)))
            .collect::<qcore::Result<_>>()?;
        Ok(HeldOut { batches, labels: self.labels[range].to_vec() })
    }
}

impl HeldOut {
    fn batches(&self) -> impl Iterator<Item = Tensor> + '_ {
        self.batches.iter().cloned()
    }

    fn predict(&self, forward: impl Fn(Tensor) -> qcore::Result<Tensor>) -> Result<Vec<usize>> {
        let mut predictions = Vec::with_capacity(self.labels.len());
        for batch in self.batches() {
            predictions.extend(classes(&forward(batch)?));
        }
        Ok(predictions)
    }

    fn top1(&self, predictions: &[usize]) -> Result<f64> {
        Ok(count_correct(predictions, &self.labels, 10)? as f64 / self.labels.len() as f64)
    }

    fn right(&self, predictions: &[usize]) -> Result<String> {
        Ok(format!("{}/{}", count_correct(predictions, &self.labels, 10)?, self.labels.len()))
    }
}

fn heading(text: &str) {
    println!("\n== {text}");
}

fn size(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path)?.len())
}
