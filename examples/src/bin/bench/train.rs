//! Times a training step, in float and quantization-aware.

use std::time::Instant;

use anyhow::Result;
use examples::architecture::Architecture;
use examples::synthetic;
use qcore::prelude::*;
use qcore::train::{Optimizer, Sgd, Trainable, cross_entropy};
use qkernels::isa::isa;
use serde_json::json;

use super::{Cli, median, milliseconds};

/// The median time of a step, and what its forward pass keeps for the way back.
struct Measured {
    step_ms: f64,
    saved_bytes: usize,
}

/// Trains `model` on random pictures in float and quantization-aware, step by step in turns, and prints the times.
///
/// A step is forward, cross entropy, backward and SGD with momentum.
pub fn run<M>(mut model: M, arch: Architecture, num_classes: usize, cli: &Cli) -> Result<()>
where
    M: Module<Input = Tensor, Output = Tensor>,
{
    synthetic::fill(&mut model)?;
    let mut float = Training::new(&model, &QConfigMapping::new(), num_classes, cli)?;
    let mut qat = Training::new(&model, &QConfigMapping::for_qat(cli.backend), num_classes, cli)?;
    // The first steps make the buffers.
    float.step()?;
    qat.step()?;
    let (mut float_times, mut qat_times) = (Vec::new(), Vec::new());
    for _ in 0..cli.rounds {
        for (training, times) in [(&mut float, &mut float_times), (&mut qat, &mut qat_times)] {
            let start = Instant::now();
            training.step()?;
            times.push(start.elapsed());
        }
    }
    let measured = |times, training: &Training<M>| Measured {
        step_ms: milliseconds(median(times)),
        saved_bytes: training.saved_bytes,
    };
    let (float, qat) = (measured(float_times, &float), measured(qat_times, &qat));
    if cli.json {
        let report = json!({
            "arch": arch.name(),
            "size": cli.size,
            "batch": cli.batch,
            "num_classes": num_classes,
            "threads": cli.threads,
            "isa": isa().name(),
            "backend": cli.backend.to_string(),
            "rounds": cli.rounds,
            "float_step_ms": float.step_ms,
            "qat_step_ms": qat.step_ms,
            "float_saved_bytes": float.saved_bytes,
            "qat_saved_bytes": qat.saved_bytes,
        });
        println!("{report}");
        return Ok(());
    }
    println!(
        "{arch}, {num_classes} classes, {} x 3 x {size} x {size}, threads: {}, {}, {}",
        cli.batch,
        cli.threads,
        isa(),
        cli.backend,
        size = cli.size,
    );
    for (name, Measured { step_ms, saved_bytes }) in [("float", float), ("qat", qat)] {
        let saved = saved_bytes as f64 / 1e6;
        println!("{name:5}  {step_ms:9.3} ms a step, {saved:.3} MB kept for its way back");
    }
    Ok(())
}

/// A model that trains, with its batch.
struct Training<M: Module> {
    model: Trainable<M>,
    optimizer: Box<dyn Optimizer>,
    x: Tensor,
    labels: Vec<usize>,
    /// Of the last step.
    saved_bytes: usize,
}

impl<M> Training<M>
where
    M: Module<Input = Tensor, Output = Tensor>,
{
    fn new(model: &M, mapping: &QConfigMapping, num_classes: usize, cli: &Cli) -> Result<Self> {
        Ok(Self {
            model: model.prepare_qat(mapping)?,
            optimizer: Box::new(Sgd::new(1e-3).momentum(0.9).weight_decay(1e-4)),
            x: synthetic::pictures("x", cli.batch, cli.size)?,
            labels: (0..cli.batch).map(|index| index % num_classes).collect(),
            saved_bytes: 0,
        })
    }

    fn step(&mut self) -> qcore::Result<()> {
        let logits = self.model.forward(&self.x)?;
        let loss = cross_entropy(&logits, &self.labels, 0.0)?;
        self.saved_bytes = self.model.saved_bytes();
        self.model.backward(loss.gradient)?;
        self.model.step(self.optimizer.as_mut())
    }
}
