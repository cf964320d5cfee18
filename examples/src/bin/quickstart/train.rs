//! `quickstart --train`: the digits network from scratch, then quantized after training and while training.

use anyhow::{Context, Result, bail};
use examples::models::digits::DigitsNet;
use examples::scoring::count_correct;
use qcore::prelude::*;
use qcore::train::{CosineAnnealing, Optimizer, Schedule, Sgd, Trainable, cross_entropy};
use qcore::{Converted, QConfig};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::{BATCH, CALIBRATION, Digits, HeldOut, TRAINING, heading};

const EPOCHS: usize = 15;
const EPOCHS_OF_QAT: usize = 4;

/// Trains in float, then compares calibration alone with training on, for weights of 8, 4 and 3 bits.
pub fn run(digits: &Digits, seed: u64) -> Result<()> {
    let data = Data { pictures: digits.pictures.batch(0..TRAINING)?, labels: &digits.labels[..TRAINING] };
    let held_out = digits.held_out()?;
    let mut random = StdRng::seed_from_u64(seed);

    heading("Training in float");
    let mut float = DigitsNet::new().prepare_qat(&QConfigMapping::new())?;
    train(&mut float, &data, EPOCHS, 0.1, &mut random)?;
    let mut model = DigitsNet::new();
    model.load_state_dict(&float.state_dict())?;
    let predictions = held_out.predict(|x| model.forward(x))?;
    println!("float: {} of the held-out digits", held_out.right(&predictions)?);

    heading("Quantized after training, and trained on with fake quantization");
    let mut rows = Vec::new();
    for bits in [8, 4, 3] {
        let qconfig = QConfig::get_default_qat_qconfig(Backend::Native).with_weight_bits(bits)?;
        let mapping = QConfigMapping::for_qat(Backend::Native).global(qconfig);
        // Training that does not train: observers look, weights stay.
        let mut ptq = model.prepare_qat(&mapping)?;
        observe(&mut ptq, &data)?;
        let mut qat = model.prepare_qat(&mapping)?;
        println!("weights of {bits} bits");
        train(&mut qat, &data, EPOCHS_OF_QAT, 0.01, &mut random)?;
        rows.push((bits, accuracy(&ptq.convert()?, &held_out)?, accuracy(&qat.convert()?, &held_out)?));
    }
    println!("\n{:>6}  {:>9}  {:>9}", "bits", "PTQ", "QAT");
    for (bits, ptq, qat) in &rows {
        println!("{bits:>6}  {:>8.2}%  {:>8.2}%", 100.0 * ptq, 100.0 * qat);
    }
    println!();
    for (bits, ptq, qat) in rows {
        for (name, accuracy) in [("PTQ", ptq), ("QAT", qat)] {
            println!("{bits} bits {name} {}", "#".repeat((60.0 * accuracy).round() as usize));
        }
    }
    Ok(())
}

/// Pictures `[N, 1, 8, 8]` with their classes.
struct Data<'a> {
    pictures: Tensor,
    labels: &'a [usize],
}

impl Data<'_> {
    /// The examples at `indices`.
    fn select(&self, indices: &[usize]) -> Result<(Tensor, Vec<usize>)> {
        let [_, channels, height, width] = *self.pictures.shape() else {
            bail!("pictures have four dimensions")
        };
        let pixels = self.pictures.as_slice().context("pictures are in row-major order")?;
        let len = channels * height * width;
        let pixels = indices.iter().flat_map(|&index| &pixels[index * len..(index + 1) * len]);
        let pictures =
            Tensor::from_vec(&[indices.len(), channels, height, width], pixels.copied().collect())?;
        Ok((pictures, indices.iter().map(|&index| self.labels[index]).collect()))
    }
}

fn train(
    model: &mut Trainable<DigitsNet>,
    data: &Data<'_>,
    epochs: usize,
    learning_rate: f64,
    random: &mut StdRng,
) -> Result<()> {
    let mut indices: Vec<usize> = (0..data.labels.len()).collect();
    let schedule = CosineAnnealing { learning_rate, minimum: 0.0, steps: epochs };
    let mut sgd = Sgd::new(learning_rate).momentum(0.9).weight_decay(5e-4);
    for epoch in 0..epochs {
        sgd.set_learning_rate(schedule.learning_rate(epoch));
        indices.shuffle(random);
        model.train();
        if epoch == epochs - 1 && epochs > 1 {
            // The ranges and statistics that the int8 model will have.
            model.freeze_bn_stats();
        }
        let mut sum = 0.0;
        for batch in indices.chunks(BATCH) {
            let (pictures, labels) = data.select(batch)?;
            let loss = cross_entropy(&model.forward(&pictures)?, &labels, 0.0)?;
            model.backward(loss.gradient)?;
            model.step(&mut sgd)?;
            sum += f64::from(loss.value) * labels.len() as f64;
        }
        println!("epoch {:>2}  loss {:.4}", epoch + 1, sum / data.labels.len() as f64);
    }
    model.eval();
    Ok(())
}

/// Shows the first batches to the observers, as calibration does.
fn observe(model: &mut Trainable<DigitsNet>, data: &Data<'_>) -> Result<()> {
    model.eval();
    model.disable_fake_quant();
    let indices: Vec<usize> = (0..CALIBRATION).collect();
    for batch in indices.chunks(BATCH) {
        model.forward(&data.select(batch)?.0)?;
    }
    Ok(())
}

/// The share of the held-out digits that the int8 model knows.
fn accuracy(int8: &Converted<DigitsNet>, held_out: &HeldOut) -> Result<f64> {
    let predictions = held_out.predict(|x| int8.forward(x))?;
    let right = count_correct(&predictions, &held_out.labels, 10)?;
    Ok(right as f64 / held_out.labels.len() as f64)
}
