//! The settings of all range observers, and how they turn a range into a scale and zero point.

use serde::{Deserialize, Serialize};

use crate::{
    DType, Error, FloatQParams, QParams, QScheme, Result, affine_float_qparams, affine_qparams,
    symmetric_scale, symmetric_zero_point,
};

/// The settings that PyTorch's observers have in common, under PyTorch's names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObserverSettings {
    /// The type to quantize to.
    pub dtype: DType,
    /// How a range becomes qparams.
    pub qscheme: QScheme,
    /// Give up one bit: `0..=255` becomes `0..=127`, a range chosen explicitly is halved at both ends.
    pub reduce_range: bool,
    /// Smallest integer, given together with `quant_max`; by default the dtype's.
    pub quant_min: Option<i32>,
    /// Largest integer, given together with `quant_min`; by default the dtype's.
    pub quant_max: Option<i32>,
    /// The smallest scale.
    pub eps: f32,
}

impl Default for ObserverSettings {
    /// `quint8`, per tensor affine, full range, eps 2^-23: PyTorch's defaults.
    fn default() -> Self {
        Self {
            dtype: DType::QUInt8,
            qscheme: QScheme::PerTensorAffine,
            reduce_range: false,
            quant_min: None,
            quant_max: None,
            eps: f32::EPSILON,
        }
    }
}

impl ObserverSettings {
    /// Smallest and largest integer: the explicit ones, else the dtype's, halved by `reduce_range`
    /// (`NUMERICS.md` 2.1).
    ///
    /// # Errors
    /// When the settings contradict each other: a float dtype, only one end of the range, a range that does not
    /// contain 0 or is outside the dtype's, symmetric `quint8` with `reduce_range`, an eps that is no
    /// positive number. `observer` is the name to report.
    pub fn quant_range(&self, observer: &'static str) -> Result<(i32, i32)> {
        let fail = |message: String| Err(Error::parameter(observer, message));
        let Some((low, high)) = self.dtype.range() else {
            return fail(format!("dtype {} has no range of integers", self.dtype.name()));
        };
        if !(self.eps.is_finite() && self.eps > 0.0) {
            return fail(format!("eps {} is not a positive number", self.eps));
        }
        if self.reduce_range && self.qscheme.is_symmetric() && self.dtype == DType::QUInt8 {
            return fail(
                "reduce_range cannot be had with symmetric quint8, whose zero point is 128".to_owned(),
            );
        }
        let (quant_min, quant_max) = match (self.quant_min, self.quant_max) {
            (None, None) => (low, high),
            (Some(quant_min), Some(quant_max)) => (quant_min, quant_max),
            _ => return fail("quant_min and quant_max go together; only one is set".to_owned()),
        };
        if !(low <= quant_min
            && quant_min <= 0
            && 0 <= quant_max
            && quant_max <= high
            && quant_min < quant_max)
        {
            return fail(format!(
                "quantized range {quant_min}..={quant_max} must contain 0 and lie inside {low}..={high} of {}",
                self.dtype.name()
            ));
        }
        if self.reduce_range {
            return Ok((quant_min.div_euclid(2), quant_max.div_euclid(2)));
        }
        Ok((quant_min, quant_max))
    }

    /// Qparams of one range, by the observers' rule ([`affine_qparams`](crate::affine_qparams),
    /// [`symmetric_scale`](crate::symmetric_scale)).
    ///
    /// # Errors
    /// As [`ObserverSettings::quant_range`]; when the scheme is per channel; when the range is so wide that the
    /// scale overflows.
    pub fn per_tensor_qparams(&self, observer: &'static str, min: f32, max: f32) -> Result<QParams> {
        self.check_per_tensor(observer)?;
        self.qparams(observer, &[min], &[max], None)
    }

    /// Qparams of every channel's range, by the same rule. `min` and `max` have the same length.
    ///
    /// # Errors
    /// As [`ObserverSettings::quant_range`]; when the scheme is per tensor or has float zero points.
    pub fn per_channel_qparams(
        &self,
        observer: &'static str,
        min: &[f32],
        max: &[f32],
        axis: usize,
    ) -> Result<QParams> {
        self.check_per_channel(observer)?;
        if self.qscheme == QScheme::PerChannelAffineFloatQParams {
            return Err(Error::Observer {
                observer,
                message: "has float zero points; ask `calculate_float_qparams` for them".to_owned(),
            });
        }
        self.qparams(observer, min, max, Some(axis))
    }

    /// Scale and float zero point of every channel, by
    /// [`affine_float_qparams`](crate::affine_float_qparams).
    ///
    /// # Errors
    /// As [`ObserverSettings::quant_range`]; when the scheme is another one.
    pub fn float_qparams(
        &self,
        observer: &'static str,
        min: &[f32],
        max: &[f32],
        axis: usize,
    ) -> Result<FloatQParams> {
        if self.qscheme != QScheme::PerChannelAffineFloatQParams {
            return Err(Error::Observer {
                observer,
                message: format!(
                    "has qscheme {}; float zero points need per_channel_affine_float_qparams",
                    self.qscheme.name()
                ),
            });
        }
        let range = self.quant_range(observer)?;
        let (scale, zero_point) =
            min.iter().zip(max).map(|(&min, &max)| affine_float_qparams(min, max, range, self.eps)).unzip();
        FloatQParams::new(scale, zero_point, axis, self.dtype)
    }

    /// An error for settings that a per-tensor observer cannot have.
    pub(super) fn check_per_tensor(&self, observer: &'static str) -> Result<()> {
        if self.qscheme.is_per_channel() {
            let name = self.qscheme.name();
            return Err(Error::parameter(observer, format!("qscheme {name} needs a per-channel observer")));
        }
        self.quant_range(observer).map(drop)
    }

    /// An error for settings that a per-channel observer cannot have.
    pub(super) fn check_per_channel(&self, observer: &'static str) -> Result<()> {
        if !self.qscheme.is_per_channel() {
            let name = self.qscheme.name();
            return Err(Error::parameter(observer, format!("qscheme {name} needs a per-tensor observer")));
        }
        self.quant_range(observer).map(drop)
    }

    fn qparams(
        &self,
        observer: &'static str,
        min: &[f32],
        max: &[f32],
        axis: Option<usize>,
    ) -> Result<QParams> {
        let range = self.quant_range(observer)?;
        let is_customized = self.quant_min.is_some();
        let (scale, zero_point) = min
            .iter()
            .zip(max)
            .map(|(&min, &max)| {
                if self.qscheme.is_symmetric() {
                    let scale = symmetric_scale(min, max, range, self.eps);
                    (scale, symmetric_zero_point(self.dtype, range, is_customized))
                } else {
                    affine_qparams(min, max, range, self.eps)
                }
            })
            .unzip();
        let qparams =
            QParams { scale, zero_point, axis, dtype: self.dtype, quant_min: range.0, quant_max: range.1 };
        qparams.validate()?;
        Ok(qparams)
    }
}

/// The builder methods of an observer with a field `settings`.
macro_rules! settings_builders {
    () => {
        /// Sets the type to quantize to.
        #[must_use]
        pub fn dtype(mut self, dtype: DType) -> Self {
            self.settings.dtype = dtype;
            self
        }

        /// Sets how a range becomes qparams.
        #[must_use]
        pub fn qscheme(mut self, qscheme: QScheme) -> Self {
            self.settings.qscheme = qscheme;
            self
        }

        /// Sets whether one bit is given up, see [`ObserverSettings::reduce_range`].
        #[must_use]
        pub fn reduce_range(mut self, reduce_range: bool) -> Self {
            self.settings.reduce_range = reduce_range;
            self
        }

        /// Sets the smallest integer; goes together with `quant_max`.
        #[must_use]
        pub fn quant_min(mut self, quant_min: i32) -> Self {
            self.settings.quant_min = Some(quant_min);
            self
        }

        /// Sets the largest integer; goes together with `quant_min`.
        #[must_use]
        pub fn quant_max(mut self, quant_max: i32) -> Self {
            self.settings.quant_max = Some(quant_max);
            self
        }

        /// Sets the smallest scale.
        #[must_use]
        pub fn eps(mut self, eps: f32) -> Self {
            self.settings.eps = eps;
            self
        }

        /// The settings of the observer.
        pub fn settings(&self) -> &ObserverSettings {
            &self.settings
        }
    };
}
pub(super) use settings_builders;

#[cfg(test)]
mod tests {
    use super::*;

    fn range(change: impl FnOnce(&mut ObserverSettings)) -> Result<(i32, i32)> {
        let mut settings = ObserverSettings::default();
        change(&mut settings);
        settings.quant_range("test")
    }

    #[test]
    fn reduce_range_halves_default_and_customized_ranges() {
        assert_eq!(range(|s| s.reduce_range = true).unwrap(), (0, 127));
        assert_eq!(range(|s| (s.dtype, s.reduce_range) = (DType::QInt8, true)).unwrap(), (-64, 63));
        let customized = range(|s| {
            (s.dtype, s.reduce_range, s.quant_min, s.quant_max) = (DType::QInt8, true, Some(-127), Some(127));
        });
        assert_eq!(customized.unwrap(), (-64, 63));
    }

    #[test]
    fn contradictory_settings_are_errors() {
        assert!(range(|s| s.dtype = DType::Float16).is_err());
        assert!(range(|s| s.quant_min = Some(0)).is_err());
        assert!(range(|s| (s.quant_min, s.quant_max) = (Some(-1), Some(20))).is_err());
        assert!(range(|s| (s.quant_min, s.quant_max) = (Some(1), Some(20))).is_err());
        assert!(range(|s| (s.qscheme, s.reduce_range) = (QScheme::PerTensorSymmetric, true)).is_err());
        assert!(range(|s| s.eps = 0.0).is_err());
    }

    #[test]
    fn a_range_too_wide_for_f32_is_an_error() {
        let settings = ObserverSettings::default();
        assert!(settings.per_tensor_qparams("test", f32::MIN, f32::MAX).is_err());
    }
}
