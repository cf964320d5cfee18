//! `zoo report`: quantizes a checkpoint and writes what that did to it as a page of HTML.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use examples::data::{Pictures, labels};
use examples::scoring::{classes, count_correct};
use examples::with_architecture;
use indicatif::ProgressIterator;
use qcore::prelude::*;
use qcore::{Prepared, Report};

use crate::{Checkpoint, prepared};

/// What a conversion does to a checkpoint, as a page of HTML.
#[derive(Args)]
pub struct ReportCommand {
    #[command(flatten)]
    checkpoint: Checkpoint,
    /// How many calibration batches the errors are measured on.
    #[arg(long, default_value_t = 4)]
    batches: usize,
    /// Pictures `x` [N, 3, H, W] and labels `y`: adds the accuracy of both models.
    #[arg(long)]
    test: Option<PathBuf>,
    /// Where the page goes.
    #[arg(long)]
    out: PathBuf,
    /// Where the same goes as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

impl ReportCommand {
    pub fn run(&self) -> Result<()> {
        let (weights, pictures) = self.checkpoint.open()?;
        with_architecture!(self.checkpoint.arch, new => {
            let model = new(self.checkpoint.num_classes);
            let prepared = prepared(model, &weights, &pictures, &self.checkpoint)?;
            self.write(&prepared, &pictures)
        })
    }

    fn write<M: Module<Input = Tensor, Output = Tensor>>(
        &self,
        prepared: &Prepared<M>,
        pictures: &Pictures,
    ) -> Result<()> {
        let int8 = prepared.convert()?;
        let file = tempfile::NamedTempFile::new()?;
        int8.save(file.path())?;
        let batches = pictures.batches(self.checkpoint.batch_size).take(self.batches);
        let mut report = Report::measure(prepared, &int8, batches)?
            .with_latency(prepared, &int8, pictures.batch(0..1)?)?
            .with_file_sizes(&self.checkpoint.weights, file.path())?;
        if let Some(test) = &self.test {
            let pictures = Pictures::open(test, &self.checkpoint.pixels.normalization())?;
            let labels = labels(test)?;
            let float = self.accuracy(&pictures, &labels, |x| prepared.forward(x))?;
            let converted = self.accuracy(&pictures, &labels, |x| int8.forward(x))?;
            report = report.with_score("top-1", float, converted)?;
        }
        qcore::write_file(&self.out, report.to_html())?;
        if let Some(path) = &self.json {
            qcore::write_file(path, serde_json::to_string_pretty(&report)?)?;
        }
        for row in report.worst().take(5) {
            if let Some(own) = row.own {
                println!("{:5.1} dB  {}", own.sqnr, row.path);
            }
        }
        println!("{}", self.out.display());
        Ok(())
    }

    fn accuracy(
        &self,
        pictures: &Pictures,
        labels: &[usize],
        forward: impl Fn(Tensor) -> qcore::Result<Tensor>,
    ) -> Result<f64> {
        let (mut predictions, mut num_classes) = (Vec::new(), 0);
        for batch in pictures.batches(self.checkpoint.batch_size).progress() {
            let logits = forward(batch?)?;
            num_classes = logits.shape().last().copied().unwrap_or(0);
            predictions.extend(classes(&logits));
        }
        Ok(count_correct(&predictions, labels, num_classes)? as f64 / labels.len() as f64)
    }
}
