//! Observers of the smallest and largest value of every channel: running, and as a moving average.

use serde::{Deserialize, Serialize};

use super::extrema::{self, Range};
use super::min_max::{average, check_averaging_constant};
use super::settings::settings_builders;
use super::state;
use super::{Observer, ObserverSettings, common_methods, never_observed};
use crate::{DType, Error, FloatQParams, QParams, QScheme, Result, Tensor};

/// Smallest and largest value of every channel; empty lists before the first batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub(crate) struct ChannelRanges {
    min: Vec<f32>,
    max: Vec<f32>,
}

/// The form in a file, unchecked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    #[serde(deserialize_with = "state::list")]
    min: Vec<f32>,
    #[serde(deserialize_with = "state::list")]
    max: Vec<f32>,
}

impl TryFrom<Saved> for ChannelRanges {
    type Error = String;

    fn try_from(Saved { min, max }: Saved) -> Result<Self, String> {
        if min.len() != max.len() {
            return Err(format!("{} minima and {} maxima", min.len(), max.len()));
        }
        min.iter().zip(&max).try_for_each(|(&min, &max)| Range::try_from((min, max)).map(drop))?;
        Ok(Self { min, max })
    }
}

impl ChannelRanges {
    fn is_empty(&self) -> bool {
        self.min.is_empty()
    }

    /// Combines with the ranges of one more batch; the first is taken as it is.
    fn update(&mut self, low: Vec<f32>, high: Vec<f32>, combine: [impl Fn(f32, f32) -> f32; 2]) {
        if self.is_empty() {
            (self.min, self.max) = (low, high);
            return;
        }
        for (min, low) in self.min.iter_mut().zip(low) {
            *min = combine[0](*min, low);
        }
        for (max, high) in self.max.iter_mut().zip(high) {
            *max = combine[1](*max, high);
        }
    }

    /// The ranges of a batch, `None` if it is empty.
    fn of(&self, observer: &'static str, x: &Tensor, axis: usize) -> Result<Option<(Vec<f32>, Vec<f32>)>> {
        let Some((low, high)) = extrema::channel_ranges(observer, x, axis)? else { return Ok(None) };
        if !self.is_empty() && self.min.len() != low.len() {
            let expected = format!("{} channels along axis {axis} as before", self.min.len());
            return Err(Error::shape(observer, expected, x.shape()));
        }
        Ok(Some((low, high)))
    }

    /// Widens the ranges by those of `x`; forgets them, if it has another number of channels.
    ///
    /// # Errors
    /// When a value is NaN or infinite.
    pub(crate) fn widen(&mut self, x: &Tensor, axis: usize) -> Result<()> {
        if let Some((min, max)) = extrema::channel_ranges("", x, axis)? {
            self.join(&Self { min, max });
        }
        Ok(())
    }

    /// Widens the ranges by others; forgets them, if those are of another number of channels.
    pub(crate) fn join(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        if !self.is_empty() && self.len() != other.len() {
            *self = Self::default();
            return;
        }
        self.update(other.min.clone(), other.max.clone(), [f32::min, f32::max]);
    }

    pub(crate) fn len(&self) -> usize {
        self.min.len()
    }

    /// How many channels have had one value alone.
    pub(crate) fn constant(&self) -> usize {
        self.min.iter().zip(&self.max).filter(|(min, max)| min == max).count()
    }

    fn overall(&self) -> Option<(f32, f32)> {
        let min = self.min.iter().copied().reduce(f32::min)?;
        let max = self.max.iter().copied().reduce(f32::max)?;
        Some((min, max))
    }
}

fn default_settings() -> ObserverSettings {
    ObserverSettings { qscheme: QScheme::PerChannelAffine, ..ObserverSettings::default() }
}

/// The methods that both observers below share.
macro_rules! per_channel_methods {
    () => {
        fn calculate_qparams(&self) -> Result<QParams> {
            if self.ranges.is_empty() {
                return Err(never_observed(self.name()));
            }
            let ChannelRanges { min, max } = &self.ranges;
            self.settings.per_channel_qparams(self.name(), min, max, self.ch_axis)
        }

        fn calculate_float_qparams(&self) -> Result<FloatQParams> {
            if self.ranges.is_empty() {
                return Err(never_observed(self.name()));
            }
            let ChannelRanges { min, max } = &self.ranges;
            self.settings.float_qparams(self.name(), min, max, self.ch_axis)
        }

        fn has_observed(&self) -> bool {
            !self.ranges.is_empty()
        }

        fn range(&self) -> Option<(f32, f32)> {
            self.ranges.overall()
        }

        fn ranges(&self) -> Vec<(f32, f32)> {
            let ChannelRanges { min, max } = &self.ranges;
            min.iter().copied().zip(max.iter().copied()).collect()
        }

        fn reset(&mut self) {
            self.ranges = ChannelRanges::default();
        }

        fn dtype(&self) -> DType {
            self.settings.dtype
        }

        fn qscheme(&self) -> QScheme {
            self.settings.qscheme
        }
    };
}

/// Keeps the smallest and largest value of every channel over all batches.
///
/// Merges exactly: any split of the batches, in any order, gives the same result.
///
/// ```
/// use qcore::observer::{Observer, PerChannelMinMaxObserver};
/// use qcore::{DType, QScheme, Tensor};
///
/// let mut observer =
///     PerChannelMinMaxObserver::new().dtype(DType::QInt8).qscheme(QScheme::PerChannelSymmetric);
/// observer.observe(&Tensor::from(ndarray::arr2(&[[-1.275, 1.0], [2.55, 0.0]])))?;
/// assert_eq!(observer.calculate_qparams()?.scale, [0.01, 0.02]);
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerChannelMinMaxObserver {
    settings: ObserverSettings,
    ch_axis: usize,
    ranges: ChannelRanges,
}

impl Default for PerChannelMinMaxObserver {
    fn default() -> Self {
        Self { settings: default_settings(), ch_axis: 0, ranges: ChannelRanges::default() }
    }
}

impl PerChannelMinMaxObserver {
    /// `quint8`, per channel affine along axis 0, full range.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the channel axis.
    #[must_use]
    pub fn ch_axis(mut self, ch_axis: usize) -> Self {
        self.ch_axis = ch_axis;
        self
    }

    /// The smallest value of every channel; empty before the first batch.
    pub fn min(&self) -> &[f32] {
        &self.ranges.min
    }

    /// The largest value of every channel; empty before the first batch.
    pub fn max(&self) -> &[f32] {
        &self.ranges.max
    }

    settings_builders!();
}

impl Observer for PerChannelMinMaxObserver {
    common_methods!("PerChannelMinMaxObserver");
    per_channel_methods!();

    fn observe(&mut self, x: &Tensor) -> Result<()> {
        self.settings.check_per_channel(self.name())?;
        if let Some((low, high)) = self.ranges.of(self.name(), x, self.ch_axis)? {
            self.ranges.update(low, high, [f32::min, f32::max]);
        }
        Ok(())
    }

    fn merge(&mut self, other: &dyn Observer) -> Result<()> {
        let other = state::same_kind(self, other)?;
        let (mine, theirs) = (self.ranges.min.len(), other.ranges.min.len());
        if mine > 0 && theirs > 0 && mine != theirs {
            return Err(self.refusal(&format!("cannot merge {theirs} channels with {mine}")));
        }
        if other.has_observed() {
            let ChannelRanges { min, max } = other.ranges.clone();
            self.ranges.update(min, max, [f32::min, f32::max]);
        }
        Ok(())
    }
}

/// Averages the smallest and largest value of each batch, channel by channel; the first batch as it is.
///
/// The result depends on the order of batches, so it does not merge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MovingAveragePerChannelMinMaxObserver {
    settings: ObserverSettings,
    averaging_constant: f32,
    ch_axis: usize,
    ranges: ChannelRanges,
}

impl Default for MovingAveragePerChannelMinMaxObserver {
    fn default() -> Self {
        Self {
            settings: default_settings(),
            averaging_constant: 0.01,
            ch_axis: 0,
            ranges: ChannelRanges::default(),
        }
    }
}

impl MovingAveragePerChannelMinMaxObserver {
    /// `quint8`, per channel affine along axis 0, full range, averaging constant 0.01.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the channel axis.
    #[must_use]
    pub fn ch_axis(mut self, ch_axis: usize) -> Self {
        self.ch_axis = ch_axis;
        self
    }

    /// Sets the weight of the newest batch; with 1 only the last batch counts.
    #[must_use]
    pub fn averaging_constant(mut self, averaging_constant: f32) -> Self {
        self.averaging_constant = averaging_constant;
        self
    }

    /// The averaged smallest value of every channel; empty before the first batch.
    pub fn min(&self) -> &[f32] {
        &self.ranges.min
    }

    /// The averaged largest value of every channel; empty before the first batch.
    pub fn max(&self) -> &[f32] {
        &self.ranges.max
    }

    settings_builders!();
}

impl Observer for MovingAveragePerChannelMinMaxObserver {
    common_methods!("MovingAveragePerChannelMinMaxObserver");
    per_channel_methods!();

    fn observe(&mut self, x: &Tensor) -> Result<()> {
        self.settings.check_per_channel(self.name())?;
        check_averaging_constant(self.name(), self.averaging_constant)?;
        if let Some((low, high)) = self.ranges.of(self.name(), x, self.ch_axis)? {
            let step = |old, new| average(old, new, self.averaging_constant);
            self.ranges.update(low, high, [step, step]);
        }
        Ok(())
    }

    fn merge(&mut self, _other: &dyn Observer) -> Result<()> {
        Err(state::order_dependent(self, "PerChannelMinMaxObserver"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_may_not_change_between_batches() {
        let mut observer = PerChannelMinMaxObserver::new().ch_axis(1);
        observer.observe(&Tensor::zeros(&[2, 3])).unwrap();
        assert!(matches!(observer.observe(&Tensor::zeros(&[2, 4])), Err(Error::Shape { .. })));
        assert!(matches!(observer.observe(&Tensor::zeros(&[2])), Err(Error::Shape { .. })));
        assert_eq!(observer.min().len(), 3);
    }

    #[test]
    fn a_state_that_makes_no_sense_is_refused_however_it_comes() {
        let state = PerChannelMinMaxObserver::new().state().unwrap();
        let mut state: serde_json::Value = serde_json::from_str(&state).unwrap();
        for ranges in [
            serde_json::json!({"min": [0.0, 1.0], "max": [2.0]}),
            serde_json::json!({"min": [], "max": [2.0]}),
            serde_json::json!({"min": [3.0], "max": [2.0]}),
        ] {
            state["ranges"] = ranges;
            assert!(serde_json::from_value::<PerChannelMinMaxObserver>(state.clone()).is_err(), "{state}");
            assert!(PerChannelMinMaxObserver::new().load_state(&state.to_string()).is_err());
        }
    }

    #[test]
    fn a_per_tensor_scheme_is_refused() {
        let mut observer = PerChannelMinMaxObserver::new().qscheme(QScheme::PerTensorAffine);
        assert!(observer.observe(&Tensor::zeros(&[2, 3])).is_err());
    }

    #[test]
    fn merging_equals_observing_everything() {
        let batches = [ndarray::arr2(&[[1.0, -2.0], [3.0, 4.0]]), ndarray::arr2(&[[5.0, 0.0], [-6.0, 1.0]])];
        let mut together = PerChannelMinMaxObserver::new();
        let mut merged = PerChannelMinMaxObserver::new();
        for batch in batches.map(Tensor::from) {
            together.observe(&batch).unwrap();
            let mut part = PerChannelMinMaxObserver::new();
            part.observe(&batch).unwrap();
            merged.merge(&part).unwrap();
        }
        assert_eq!(together, merged);
    }

    #[test]
    fn float_qparams_are_asked_for_by_name() {
        let mut observer = PerChannelMinMaxObserver::new().qscheme(QScheme::PerChannelAffineFloatQParams);
        observer.observe(&Tensor::from(ndarray::arr2(&[[1.0, 256.0]]))).unwrap();
        assert!(observer.calculate_qparams().is_err());
        let qparams = observer.calculate_float_qparams().unwrap();
        assert_eq!((qparams.scale[0], qparams.zero_point[0]), (1.0, -1.0));
    }
}
