//! Losses, each with the gradient of what it is given; the mean over the batch, as in PyTorch.

use crate::{Error, Result, Tensor};

/// The value of a loss and the gradient of the model's output.
#[derive(Clone, Debug)]
pub struct Loss {
    /// The mean.
    pub value: f32,
    /// Of the output, of its shape.
    pub gradient: Tensor,
}

impl Loss {
    /// Of a sum over the batch; a loss that is NaN or infinite is an error, which names the output's value that made it so.
    fn mean(operation: &str, output: &Tensor, sum: f64, count: f64, gradient: Vec<f32>) -> Result<Self> {
        let value = (sum / count) as f32;
        if !value.is_finite() {
            let (what, (index, value)) = match output.first_non_finite() {
                Some(found) => (format!("the input of {operation}"), found),
                None => (format!("the loss {operation}"), (0, value)),
            };
            return Err(Error::NotFinite { what, value, index });
        }
        Ok(Self { value, gradient: Tensor::from_vec(output.shape(), gradient)? })
    }
}

/// Of each row the logarithms of the softmax, in double.
fn log_softmax(row: &[f32], temperature: f64) -> Vec<f64> {
    let scaled: Vec<f64> = row.iter().map(|&value| f64::from(value) / temperature).collect();
    let largest = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = scaled.iter().map(|value| (value - largest).exp()).sum();
    scaled.iter().map(|value| value - largest - sum.ln()).collect()
}

fn rows<'a>(operation: &'static str, logits: &'a Tensor, values: &'a [f32]) -> Result<(usize, &'a [f32])> {
    match *logits.shape() {
        [rows, classes] if rows > 0 && classes > 0 => Ok((classes, values)),
        _ => Err(Error::shape(operation, "[N, classes], neither 0", logits.shape())),
    }
}

/// PyTorch's `cross_entropy` of `logits` `[N, classes]` and the class of each row.
///
/// The target of a row is `1 - label_smoothing` at its class, plus `label_smoothing / classes` everywhere.
///
/// # Errors
/// When there is another number of labels, a label is not a class, `label_smoothing` is not in `[0, 1]`, or the
/// loss is NaN or infinite.
pub fn cross_entropy(logits: &Tensor, labels: &[usize], label_smoothing: f32) -> Result<Loss> {
    const NAME: &str = "cross_entropy";
    let contiguous = logits.clone().contiguous();
    let (classes, values) = rows(NAME, logits, contiguous.as_slice().unwrap_or_default())?;
    if labels.len() * classes != values.len() {
        return Err(Error::shape(NAME, format!("logits for {} labels", labels.len()), logits.shape()));
    }
    if !(0.0..=1.0).contains(&label_smoothing) {
        return Err(Error::parameter(NAME, format!("label_smoothing {label_smoothing} is not in [0, 1]")));
    }
    if let Some((row, label)) = labels.iter().enumerate().find(|(_, label)| **label >= classes) {
        return Err(Error::parameter(
            NAME,
            format!("label {label} of row {row} is not one of {classes} classes"),
        ));
    }
    let smoothing = f64::from(label_smoothing);
    let count = labels.len() as f64;
    let (mut value, mut gradient) = (0.0, Vec::with_capacity(values.len()));
    for (row, &label) in values.chunks_exact(classes).zip(labels) {
        for (class, log) in log_softmax(row, 1.0).into_iter().enumerate() {
            let target = smoothing / classes as f64 + if class == label { 1.0 - smoothing } else { 0.0 };
            value -= if target == 0.0 { 0.0 } else { target * log };
            gradient.push(((log.exp() - target) / count) as f32);
        }
    }
    Loss::mean(NAME, logits, value, count, gradient)
}

/// PyTorch's `mse_loss`: the mean of the squared differences.
///
/// # Errors
/// When the shapes differ, there are no values, or the loss is NaN or infinite.
pub fn mse(output: &Tensor, target: &Tensor) -> Result<Loss> {
    elementwise("mse_loss", output, target, |x, t| ((x - t).powi(2), 2.0 * (x - t)))
}

/// PyTorch's `binary_cross_entropy_with_logits`: the mean over all elements.
///
/// # Errors
/// When the shapes differ, there are no values, or the loss is NaN or infinite.
pub fn bce_with_logits(logits: &Tensor, target: &Tensor) -> Result<Loss> {
    elementwise("binary_cross_entropy_with_logits", logits, target, |x, t| {
        let value = x.max(0.0) - x * t + (-x.abs()).exp().ln_1p();
        (value, 1.0 / (1.0 + (-x).exp()) - t)
    })
}

fn elementwise(
    operation: &'static str,
    output: &Tensor,
    target: &Tensor,
    of: impl Fn(f64, f64) -> (f64, f64),
) -> Result<Loss> {
    if output.shape() != target.shape() || output.is_empty() {
        return Err(Error::shape(operation, format!("values of shape {:?}", target.shape()), output.shape()));
    }
    let count = output.len() as f64;
    let (mut value, mut gradient) = (0.0, Vec::with_capacity(output.len()));
    for (&x, &t) in output.view().iter().zip(target.view().iter()) {
        let (term, slope) = of(f64::from(x), f64::from(t));
        value += term;
        gradient.push((slope / count) as f32);
    }
    Loss::mean(operation, output, value, count, gradient)
}

/// Knowledge distillation: `T^2` times the mean divergence `KL(teacher || student)` of the softmaxes at temperature `T` of
/// two `[N, classes]`; PyTorch's `kl_div(log_softmax(s / T), softmax(t / T), reduction="batchmean") * T * T`.
///
/// # Errors
/// When the shapes differ, the temperature is not a positive number, or the loss is NaN or infinite.
pub fn distillation(logits: &Tensor, teacher: &Tensor, temperature: f32) -> Result<Loss> {
    const NAME: &str = "distillation";
    if !(temperature > 0.0 && temperature.is_finite()) {
        return Err(Error::parameter(NAME, format!("temperature {temperature} is not a positive number")));
    }
    if logits.shape() != teacher.shape() {
        return Err(Error::shape(NAME, format!("logits of shape {:?}", teacher.shape()), logits.shape()));
    }
    let (students, teachers) = (logits.clone().contiguous(), teacher.clone().contiguous());
    let (classes, students) = rows(NAME, logits, students.as_slice().unwrap_or_default())?;
    let teachers = teachers.as_slice().unwrap_or_default();
    let (t, count) = (f64::from(temperature), (students.len() / classes) as f64);
    let (mut value, mut gradient) = (0.0, Vec::with_capacity(students.len()));
    for (student, teacher) in students.chunks_exact(classes).zip(teachers.chunks_exact(classes)) {
        for (student, teacher) in log_softmax(student, t).into_iter().zip(log_softmax(teacher, t)) {
            let target = teacher.exp();
            value += target * (teacher - student) * t * t;
            gradient.push(((student.exp() - target) * t / count) as f32);
        }
    }
    Loss::mean(NAME, logits, value, count, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: [f32; 6]) -> Tensor {
        Tensor::from_vec(&[2, 3], values.to_vec()).unwrap()
    }

    fn logits() -> Tensor {
        tensor([1.5, -0.5, 0.25, -2.0, 0.75, 3.0])
    }

    #[test]
    fn labels_and_batches_are_checked() {
        assert!(matches!(cross_entropy(&logits(), &[2], 0.0), Err(Error::Shape { .. })));
        let error = cross_entropy(&logits(), &[2, 3], 0.0).unwrap_err().to_string();
        assert!(error.contains("label 3 of row 1 is not one of 3 classes"), "{error}");
        let empty = Tensor::from_vec(&[0, 3], Vec::new()).unwrap();
        assert!(cross_entropy(&empty, &[], 0.0).is_err());
        assert!(mse(&empty, &empty).is_err());
        assert!(bce_with_logits(&empty, &empty).is_err());
        assert!(distillation(&empty, &empty, 1.0).is_err());
    }

    #[test]
    fn a_loss_that_is_not_finite_names_the_value() {
        let nan = tensor([1.5, -0.5, 0.25, -2.0, f32::NAN, 3.0]);
        for result in [
            cross_entropy(&nan, &[0, 0], 0.0),
            mse(&nan, &logits()),
            bce_with_logits(&nan, &logits()),
            distillation(&nan, &logits(), 1.0),
        ] {
            assert!(matches!(result, Err(Error::NotFinite { index: 4, .. })), "{result:?}");
        }
    }
}
