//! `RecordingObserver`: keeps every tensor, for debugging.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::state;
use super::{Observer, common_methods, extrema};
use crate::{DType, QParams, Result, Tensor};

/// Keeps every tensor it sees. It has no qparams.
///
/// A tensor is kept without copying its data, which lives on until the observer is reset.
///
/// ```
/// use qcore::Tensor;
/// use qcore::observer::{Observer, RecordingObserver};
///
/// let mut observer = RecordingObserver::new();
/// observer.observe(&Tensor::zeros(&[2, 3]))?;
/// assert_eq!(observer.tensors()[0].shape(), [2, 3]);
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordingObserver {
    dtype: DType,
    tensors: Vec<Recorded>,
}

/// A tensor that serde can write.
#[derive(Clone, Debug, PartialEq)]
struct Recorded(Tensor);

impl Default for RecordingObserver {
    fn default() -> Self {
        Self { dtype: DType::QUInt8, tensors: Vec::new() }
    }
}

impl RecordingObserver {
    /// `quint8`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the type that the edge is to have.
    #[must_use]
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.dtype = dtype;
        self
    }

    /// All tensors in the order of their coming.
    pub fn tensors(&self) -> Vec<&Tensor> {
        self.tensors.iter().map(|recorded| &recorded.0).collect()
    }
}

impl Observer for RecordingObserver {
    common_methods!("RecordingObserver");

    fn observe(&mut self, x: &Tensor) -> Result<()> {
        if extrema::range(x)?.is_some() {
            self.tensors.push(Recorded(x.clone()));
        }
        Ok(())
    }

    fn calculate_qparams(&self) -> Result<QParams> {
        Err(self.refusal("records tensors for debugging and has no qparams"))
    }

    fn gives_qparams(&self) -> bool {
        false
    }

    fn has_observed(&self) -> bool {
        !self.tensors.is_empty()
    }

    fn range(&self) -> Option<(f32, f32)> {
        let ranges = self.tensors.iter().filter_map(|recorded| extrema::range(&recorded.0).ok().flatten());
        ranges.reduce(|(min, max), (low, high)| (min.min(low), max.max(high)))
    }

    fn reset(&mut self) {
        self.tensors.clear();
    }

    fn dtype(&self) -> DType {
        self.dtype
    }

    /// Appends the other's tensors to the own ones.
    fn merge(&mut self, other: &dyn Observer) -> Result<()> {
        let other = state::same_kind(self, other)?;
        self.tensors.extend(other.tensors.iter().cloned());
        Ok(())
    }
}

impl Serialize for Recorded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values: Vec<f32> = self.0.view().iter().copied().collect();
        (self.0.shape(), values).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Recorded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (shape, values) = <(Vec<usize>, Vec<f32>)>::deserialize(deserializer)?;
        let tensor = Tensor::from_vec(&shape, values).map_err(serde::de::Error::custom)?;
        match tensor.first_non_finite() {
            Some((_, value)) => Err(serde::de::Error::custom(format!("a tensor contains {value}"))),
            None => Ok(Self(tensor)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_concatenate_and_survive_a_file() {
        let mut first = RecordingObserver::new();
        let mut second = RecordingObserver::new();
        first.observe(&Tensor::from(ndarray::arr2(&[[0.1], [-0.0]]))).unwrap();
        second.observe(&Tensor::from(ndarray::arr1(&[7.0]))).unwrap();
        first.merge(&second).unwrap();
        assert_eq!(first.tensors().len(), 2);
        assert_eq!(first.range(), Some((0.0, 7.0)));
        let mut loaded = RecordingObserver::new();
        loaded.load_state(&first.state().unwrap()).unwrap();
        assert_eq!(loaded, first);
    }
}
