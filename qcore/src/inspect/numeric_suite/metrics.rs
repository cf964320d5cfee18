//! `ErrorMetrics`: how far values are from what they should be, over any number of batches.

use serde::{Deserialize, Serialize};

use crate::{Error, Result, Tensor};

/// How far values are from reference values, with PyTorch's definitions (`NUMERICS.md`, section 15). `x` is the
/// reference, `y` what is compared with it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorMetrics {
    /// The signal-to-quantization-noise ratio in dB, `20 log10(‖x‖ / ‖x - y‖)`; infinite for equal values.
    #[serde(with = "infinite")]
    pub sqnr: f64,
    /// `x · y / max(‖x‖ ‖y‖, 1e-8)`; 1 for the same direction.
    pub cosine_similarity: f64,
    /// `‖x - y‖ / ‖x‖`; of a reference that is zero throughout 0 if `y` is too, otherwise infinite.
    #[serde(with = "infinite")]
    pub normalized_l2: f64,
    /// The largest `|x - y|`.
    pub max_error: f32,
    /// The share of reference values beyond the range of the integers that they became, if they did.
    pub clipped: Option<f64>,
    /// How many values were compared.
    pub values: u64,
}

/// JSON has no infinity: it is written as a string.
mod infinite {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        match value.is_finite() {
            true => serializer.serialize_f64(*value),
            false => serializer.collect_str(value),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Number {
            Finite(f64),
            Text(String),
        }
        match Number::deserialize(deserializer)? {
            Number::Finite(value) => Ok(value),
            Number::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

/// The sums that [`ErrorMetrics`] follow from; they do not grow with the number of values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ErrorSums {
    reference: f64,
    found: f64,
    product: f64,
    difference: f64,
    max_error: f32,
    clipped: Option<u64>,
    values: u64,
}

impl ErrorSums {
    /// Adds values, shape by shape; of integers `range` is the values that they can stand for.
    ///
    /// # Errors
    /// When the shapes differ, or a value is NaN or infinite.
    pub(super) fn add(&mut self, reference: &Tensor, found: &Tensor, range: Option<[f32; 2]>) -> Result<()> {
        if reference.shape() != found.shape() {
            let expected = format!("shape {:?}", reference.shape());
            return Err(Error::shape("a comparison", expected, found.shape()));
        }
        for (what, tensor) in [("the reference", reference), ("what is compared with it", found)] {
            if let Some((index, value)) = tensor.first_non_finite() {
                return Err(Error::NotFinite { what: what.into(), value, index });
            }
        }
        let mut clipped = 0;
        for (&x, &y) in reference.view().iter().zip(found.view().iter()) {
            let [a, b] = [f64::from(x), f64::from(y)];
            self.reference += a * a;
            self.found += b * b;
            self.product += a * b;
            self.difference += (a - b) * (a - b);
            self.max_error = self.max_error.max((x - y).abs());
            clipped += u64::from(range.is_some_and(|[low, high]| x < low || x > high));
        }
        if range.is_some() {
            self.clipped = Some(self.clipped.unwrap_or(0) + clipped);
        }
        self.values += reference.len() as u64;
        Ok(())
    }

    /// Whether nothing was compared.
    pub(super) fn is_empty(&self) -> bool {
        self.values == 0
    }

    pub(super) fn metrics(&self) -> ErrorMetrics {
        let Self { max_error, values, .. } = *self;
        // Of zero throughout nothing is lost, or everything.
        let normalized_l2 = match self.difference {
            0.0 => 0.0,
            difference => (difference / self.reference).sqrt(),
        };
        ErrorMetrics {
            sqnr: if normalized_l2 == 0.0 { f64::INFINITY } else { -20.0 * normalized_l2.log10() },
            cosine_similarity: self.product / (self.reference.sqrt() * self.found.sqrt()).max(1e-8),
            normalized_l2,
            max_error,
            clipped: self.clipped.map(|clipped| clipped as f64 / values.max(1) as f64),
            values,
        }
    }
}

/// How far `found` is from `reference`.
///
/// ```
/// use qcore::{Tensor, error_metrics};
///
/// let x = Tensor::from_vec(&[2], vec![3.0, 4.0])?;
/// let y = Tensor::from_vec(&[2], vec![3.0, 4.5])?;
/// assert_eq!(error_metrics(&x, &y)?.sqnr, 20.0); // 5 / 0.5
/// # Ok::<(), qcore::Error>(())
/// ```
///
/// # Errors
/// When the shapes differ, or a value is NaN or infinite.
pub fn error_metrics(reference: &Tensor, found: &Tensor) -> Result<ErrorMetrics> {
    let mut sums = ErrorSums::default();
    sums.add(reference, found, None)?;
    Ok(sums.metrics())
}
