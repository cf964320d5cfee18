//! Accuracy and agreement of logits.

use anyhow::{Result, ensure};
use qcore::Tensor;

/// The class of the largest logit, for each row of `[N, K]`.
pub fn classes(logits: &Tensor) -> Vec<usize> {
    let view = logits.view();
    view.outer_iter()
        .map(|row| {
            let largest = row.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
            largest.map_or(0, |(class, _)| class)
        })
        .collect()
}

/// How many of `predictions` are right, after checking that each label is one of `num_classes`.
pub fn count_correct(predictions: &[usize], labels: &[usize], num_classes: usize) -> Result<usize> {
    ensure!(
        predictions.len() == labels.len(),
        "{} predictions for {} labels: `x` and `y` must be equally long",
        predictions.len(),
        labels.len()
    );
    if let Some((index, label)) = labels.iter().enumerate().find(|(_, label)| **label >= num_classes) {
        anyhow::bail!("label {label} at index {index} is out of range: the model has {num_classes} classes");
    }
    Ok(predictions.iter().zip(labels).filter(|(prediction, label)| prediction == label).count())
}
