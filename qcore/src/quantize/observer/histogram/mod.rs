//! `HistogramObserver`: PyTorch's histogram of an edge, and the range that loses least when quantized.

mod bins;
mod search;

use serde::{Deserialize, Serialize};

use self::bins::Histogram;
use super::settings::settings_builders;
use super::state;
use super::{Observer, ObserverSettings, common_methods, extrema, never_observed};
use crate::{DType, Error, QParams, QScheme, Result, Tensor};

/// Counts values in bins of equal width and searches the range with the smallest squared error, so that
/// outliers do not cost precision. PyTorch's observer, bit for bit (`NUMERICS.md` 4.1).
///
/// When a batch exceeds the range so far, the old histogram is rebinned. The result then
/// depends on the order of batches, so it does not merge;
/// [`ExponentHistogramObserver`](super::ExponentHistogramObserver) does.
///
/// ```
/// use qcore::Tensor;
/// use qcore::observer::{HistogramObserver, Observer};
///
/// let mut observer = HistogramObserver::new();
/// let mut values: Vec<f32> = (0..1_000_000).map(|i| (i as f32).sin()).collect();
/// values.push(4.0);
/// observer.observe(&Tensor::from_vec(&[1_000_001], values)?)?;
/// assert!(observer.best_range()?.1 < 2.0);
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct HistogramObserver {
    settings: ObserverSettings,
    bins: usize,
    ignore_infinity: bool,
    histogram: Option<Histogram>,
}

/// The form in a file, unchecked.
#[derive(Deserialize)]
struct Saved {
    settings: ObserverSettings,
    bins: usize,
    ignore_infinity: bool,
    histogram: Option<Histogram>,
}

impl TryFrom<Saved> for HistogramObserver {
    type Error = String;

    fn try_from(Saved { settings, bins, ignore_infinity, histogram }: Saved) -> Result<Self, String> {
        if let Some(histogram) = &histogram {
            histogram.check(bins)?;
        }
        Ok(Self { settings, bins, ignore_infinity, histogram })
    }
}

impl Default for HistogramObserver {
    fn default() -> Self {
        Self { settings: ObserverSettings::default(), bins: 2048, ignore_infinity: false, histogram: None }
    }
}

impl HistogramObserver {
    /// `quint8`, per tensor affine, full range, 2048 bins.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of bins.
    #[must_use]
    pub fn bins(mut self, bins: usize) -> Self {
        self.bins = bins;
        self
    }

    /// Sets whether infinite values are left out, as PyTorch does, instead of being an error. NaN is an error
    /// in either case.
    #[must_use]
    pub fn ignore_infinity(mut self, ignore_infinity: bool) -> Self {
        self.ignore_infinity = ignore_infinity;
        self
    }

    settings_builders!();

    /// The counts of all bins, from the smallest value to the largest; empty before the first batch. Fractions
    /// come from re-binning.
    pub fn histogram(&self) -> &[f32] {
        self.histogram.as_ref().map_or(&[], |histogram| &histogram.counts)
    }

    /// The range with the smallest quantization error, from which the qparams are calculated.
    ///
    /// # Errors
    /// When nothing was seen, or the settings contradict each other.
    pub fn best_range(&self) -> Result<(f32, f32)> {
        self.check_settings()?;
        let histogram = self.histogram.as_ref().ok_or_else(|| never_observed(self.name()))?;
        Ok(search::best_range(histogram))
    }

    fn check_settings(&self) -> Result<()> {
        self.settings.check_per_tensor(self.name())?;
        if !matches!(self.settings.dtype, DType::QUInt8 | DType::QInt8) {
            let dtype = self.settings.dtype.name();
            return Err(Error::parameter(self.name(), format!("dtype {dtype} is not an 8-bit type")));
        }
        if !(1..=1 << 20).contains(&self.bins) {
            return Err(Error::parameter(self.name(), format!("{} bins; there can be 1 to 2^20", self.bins)));
        }
        Ok(())
    }
}

impl Observer for HistogramObserver {
    common_methods!("HistogramObserver");

    fn observe(&mut self, x: &Tensor) -> Result<()> {
        self.check_settings()?;
        let view = x.view();
        let copy: Vec<f32>;
        let mut values = match view.as_slice_memory_order() {
            Some(values) => values,
            None => {
                copy = view.iter().copied().collect();
                &copy
            }
        };
        let finite: Vec<f32>;
        if self.ignore_infinity && values.iter().any(|value| value.is_infinite()) {
            finite = values.iter().copied().filter(|value| !value.is_infinite()).collect();
            values = &finite;
        }
        if values.is_empty() {
            return Ok(());
        }
        let Some((low, high)) = extrema::slice_range(values) else {
            return Err(if self.ignore_infinity { extrema::not_a_number(x) } else { extrema::not_finite(x) });
        };
        match &mut self.histogram {
            Some(histogram) => histogram.add(values, low, high),
            None => self.histogram = Some(Histogram::new(values, low, high, self.bins)),
        }
        Ok(())
    }

    fn calculate_qparams(&self) -> Result<QParams> {
        let (min, max) = self.best_range()?;
        self.settings.per_tensor_qparams(self.name(), min, max)
    }

    fn has_observed(&self) -> bool {
        self.histogram.is_some()
    }

    fn range(&self) -> Option<(f32, f32)> {
        self.histogram.as_ref().map(|histogram| (histogram.min, histogram.max))
    }

    fn reset(&mut self) {
        self.histogram = None;
    }

    fn dtype(&self) -> DType {
        self.settings.dtype
    }

    fn qscheme(&self) -> QScheme {
        self.settings.qscheme
    }

    fn merge(&mut self, _other: &dyn Observer) -> Result<()> {
        Err(state::order_dependent(self, "ExponentHistogramObserver"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waves(count: usize, amplitude: f32) -> Tensor {
        let values = (0..count).map(|i| amplitude * (i as f32 * 0.37).sin() * (i as f32 * 0.011).cos());
        Tensor::from_vec(&[count], values.collect()).unwrap()
    }

    #[test]
    fn rebinning_keeps_every_count() {
        let mut observer = HistogramObserver::new().bins(64);
        for amplitude in [1.0, 2.0, 0.5, 7.5] {
            observer.observe(&waves(1000, amplitude)).unwrap();
        }
        let total: f64 = observer.histogram().iter().copied().map(f64::from).sum();
        assert!((total - 4000.0).abs() < 0.01, "{total}");
    }

    #[test]
    fn infinity_is_an_error_unless_it_is_to_be_ignored() {
        let x = Tensor::from(ndarray::arr1(&[0.0, f32::INFINITY, 1.0]));
        assert!(matches!(HistogramObserver::new().observe(&x), Err(Error::NotFinite { index: 1, .. })));
        let mut tolerant = HistogramObserver::new().ignore_infinity(true);
        tolerant.observe(&x).unwrap();
        assert_eq!(tolerant.range(), Some((0.0, 1.0)));
        let nan = Tensor::from(ndarray::arr1(&[f32::INFINITY, f32::NAN]));
        assert!(matches!(tolerant.observe(&nan), Err(Error::NotFinite { index: 1, .. })));
    }

    #[test]
    fn state_survives_bit_for_bit() {
        let mut observer = HistogramObserver::new();
        observer.observe(&waves(1000, 1.0)).unwrap();
        observer.observe(&waves(1000, 1.7)).unwrap();
        let text = observer.state().unwrap();
        let mut loaded = HistogramObserver::new();
        loaded.load_state(&text).unwrap();
        assert_eq!(loaded, observer);
    }

    #[test]
    fn a_state_that_makes_no_sense_is_refused_however_it_comes() {
        let state = HistogramObserver::new().bins(2).state().unwrap();
        let mut state: serde_json::Value = serde_json::from_str(&state).unwrap();
        for (counts, range) in [
            (vec![], [0.0, 1.0]),
            (vec![1.0], [0.0, 1.0]),
            (vec![0.0, 0.0], [0.0, 1.0]),
            (vec![1.0, -1.0], [0.0, 1.0]),
            (vec![3e38, 3e38], [0.0, 1.0]),
            (vec![1.0, 1.0], [1.0, 0.0]),
        ] {
            state["histogram"] = serde_json::json!({"min": range[0], "max": range[1], "counts": counts});
            assert!(serde_json::from_value::<HistogramObserver>(state.clone()).is_err(), "{state}");
            assert!(HistogramObserver::new().bins(2).load_state(&state.to_string()).is_err(), "{state}");
        }
        state["histogram"] = serde_json::json!({"min": 0.0, "max": 1.0, "counts": [1.0, 1.0]});
        assert!(serde_json::from_value::<HistogramObserver>(state).is_ok());
    }

    #[test]
    fn constant_data_has_a_range() {
        let mut observer = HistogramObserver::new();
        for _ in 0..2 {
            observer.observe(&Tensor::from(ndarray::arr1(&[2.5; 50]))).unwrap();
        }
        assert_eq!(observer.best_range().unwrap(), (2.5, 2.5));
    }
}
