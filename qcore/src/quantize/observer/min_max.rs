//! Per-tensor observers of the smallest and largest value: running, and as a moving average.

use serde::{Deserialize, Serialize};

use super::extrema::{self, Range};
use super::settings::settings_builders;
use super::state;
use super::{Observer, ObserverSettings, common_methods, never_observed};
use crate::{DType, Error, QParams, QScheme, Result, Tensor};

/// Keeps the smallest and largest value of all batches.
///
/// Merges exactly: any split of the batches, in any order, gives the same result.
///
/// ```
/// use qcore::observer::{MinMaxObserver, Observer};
/// use qcore::{QScheme, Tensor};
///
/// let mut observer = MinMaxObserver::new().qscheme(QScheme::PerTensorAffine).reduce_range(true);
/// observer.observe(&Tensor::from(ndarray::arr1(&[0.0, 63.5])))?;
/// let qparams = observer.calculate_qparams()?;
/// assert_eq!((qparams.tensor_scale(), qparams.quant_max), (0.5, 127));
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MinMaxObserver {
    settings: ObserverSettings,
    range: Option<Range>,
}

impl MinMaxObserver {
    /// `quint8`, per tensor affine, full range.
    pub fn new() -> Self {
        Self::default()
    }

    settings_builders!();
}

/// The methods that both observers below share.
macro_rules! per_tensor_methods {
    () => {
        fn calculate_qparams(&self) -> Result<QParams> {
            let Range { min, max } = self.range.ok_or_else(|| never_observed(self.name()))?;
            self.settings.per_tensor_qparams(self.name(), min, max)
        }

        fn has_observed(&self) -> bool {
            self.range.is_some()
        }

        fn range(&self) -> Option<(f32, f32)> {
            self.range.map(Into::into)
        }

        fn reset(&mut self) {
            self.range = None;
        }

        fn dtype(&self) -> DType {
            self.settings.dtype
        }

        fn qscheme(&self) -> QScheme {
            self.settings.qscheme
        }
    };
}

impl Observer for MinMaxObserver {
    common_methods!("MinMaxObserver");
    per_tensor_methods!();

    fn observe(&mut self, x: &Tensor) -> Result<()> {
        self.settings.check_per_tensor(self.name())?;
        if let Some(batch) = extrema::range(x)?.map(Range::of) {
            self.range = Some(self.range.map_or(batch, |range| range.joined(batch)));
        }
        Ok(())
    }

    fn merge(&mut self, other: &dyn Observer) -> Result<()> {
        let other = state::same_kind(self, other)?;
        self.range = match (self.range, other.range) {
            (Some(mine), Some(theirs)) => Some(mine.joined(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        Ok(())
    }
}

/// Averages the smallest and largest value of each batch: `min += c * (batch_min - min)`, the first batch as it
/// is, every step in f32.
///
/// The result depends on the order of batches, so it does not merge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MovingAverageMinMaxObserver {
    settings: ObserverSettings,
    averaging_constant: f32,
    range: Option<Range>,
}

impl Default for MovingAverageMinMaxObserver {
    fn default() -> Self {
        Self { settings: ObserverSettings::default(), averaging_constant: 0.01, range: None }
    }
}

impl MovingAverageMinMaxObserver {
    /// `quint8`, per tensor affine, full range, averaging constant 0.01.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the weight of the newest batch; with 1 only the last batch counts.
    #[must_use]
    pub fn averaging_constant(mut self, averaging_constant: f32) -> Self {
        self.averaging_constant = averaging_constant;
        self
    }

    settings_builders!();
}

impl Observer for MovingAverageMinMaxObserver {
    common_methods!("MovingAverageMinMaxObserver");
    per_tensor_methods!();

    fn observe(&mut self, x: &Tensor) -> Result<()> {
        self.settings.check_per_tensor(self.name())?;
        check_averaging_constant(self.name(), self.averaging_constant)?;
        if let Some(batch) = extrema::range(x)?.map(Range::of) {
            let step = |old, new| average(old, new, self.averaging_constant);
            self.range = Some(self.range.map_or(batch, |range| Range {
                min: step(range.min, batch.min),
                max: step(range.max, batch.max),
            }));
        }
        Ok(())
    }

    fn merge(&mut self, _other: &dyn Observer) -> Result<()> {
        Err(state::order_dependent(self, "MinMaxObserver or ExponentHistogramObserver"))
    }
}

/// One step of the moving average.
pub(super) fn average(old: f32, new: f32, averaging_constant: f32) -> f32 {
    old + averaging_constant * (new - old)
}

/// An error for a weight that is no weight.
pub(super) fn check_averaging_constant(observer: &'static str, averaging_constant: f32) -> Result<()> {
    if averaging_constant > 0.0 && averaging_constant <= 1.0 {
        return Ok(());
    }
    Err(Error::parameter(observer, format!("averaging_constant {averaging_constant} is not in (0, 1]")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::from(ndarray::Array1::from(values.to_vec()))
    }

    #[test]
    fn an_empty_batch_is_ignored() {
        let mut observer = MinMaxObserver::new();
        observer.observe(&Tensor::zeros(&[0, 4])).unwrap();
        assert!(!observer.has_observed());
        assert!(matches!(observer.calculate_qparams(), Err(Error::Observer { .. })));
    }

    #[test]
    fn the_first_batch_of_a_moving_average_counts_in_full() {
        let mut observer = MovingAverageMinMaxObserver::new().averaging_constant(0.5);
        observer.observe(&tensor(&[-1.0, 3.0])).unwrap();
        assert_eq!(observer.range(), Some((-1.0, 3.0)));
        observer.observe(&tensor(&[0.0, 5.0])).unwrap();
        assert_eq!(observer.range(), Some((-0.5, 4.0)));
    }

    #[test]
    fn merging_equals_observing_everything() {
        let (mut left, mut right) = (MinMaxObserver::new(), MinMaxObserver::new());
        left.merge(&right).unwrap();
        assert!(!left.has_observed());
        right.observe(&tensor(&[2.0])).unwrap();
        left.merge(&right).unwrap();
        left.observe(&tensor(&[-1.0])).unwrap();
        assert_eq!(left.range(), Some((-1.0, 2.0)));
    }

    #[test]
    fn what_cannot_be_merged_says_why() {
        let mut observer = MinMaxObserver::new();
        assert!(observer.merge(&MinMaxObserver::new().reduce_range(true)).is_err());
        let mut average = MovingAverageMinMaxObserver::new();
        assert!(observer.merge(&average).is_err());
        let message = average.merge(&MovingAverageMinMaxObserver::new()).unwrap_err().to_string();
        assert!(message.contains("order of batches"), "{message}");
    }

    #[test]
    fn state_survives_as_text_bit_for_bit() {
        let mut observer = MinMaxObserver::new();
        observer.observe(&tensor(&[-1e-45, 0.1, 16_777_217.0, f32::MAX])).unwrap();
        let text = observer.state().unwrap();
        let mut loaded = MinMaxObserver::new();
        loaded.load_state(&text).unwrap();
        let bits =
            |observer: &MinMaxObserver| observer.range().map(|(min, max)| (min.to_bits(), max.to_bits()));
        assert_eq!(bits(&observer), bits(&loaded));
    }

    #[test]
    fn a_state_that_makes_no_sense_is_refused_however_it_comes() {
        let state = MinMaxObserver::new().state().unwrap();
        let mut state: serde_json::Value = serde_json::from_str(&state).unwrap();
        for range in
            [serde_json::json!([1.0, -1.0]), serde_json::json!([0.0, null]), serde_json::json!([0.0, 1e39])]
        {
            state["range"] = range;
            assert!(serde_json::from_value::<MinMaxObserver>(state.clone()).is_err(), "{state}");
        }
    }

    #[test]
    fn a_foreign_state_is_refused() {
        let mut observer = MinMaxObserver::new();
        assert!(observer.load_state(r#"{"range": [1.0, 2.0]}"#).is_err());
        assert!(observer.load_state(&MinMaxObserver::new().eps(1e-3).state().unwrap()).is_err());
        let state = observer.state().unwrap();
        let upside_down = state.replace("\"range\":null", "\"range\":[2.0,1.0]");
        assert!(upside_down != state && observer.load_state(&upside_down).is_err());
    }
}
