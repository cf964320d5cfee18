//! Scale and zero point, and the rules by which they follow from a range.

use serde::{Deserialize, Serialize};

use crate::{DType, Error, Result};

/// How integers stand for real numbers: `real = (integer - zero_point) * scale`.
///
/// `scale` and `zero_point` hold one entry (per tensor) or one for each channel along `axis`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct QParams {
    /// The step between neighbouring integers; positive and finite.
    pub scale: Vec<f32>,
    /// The integer that stands for 0.
    pub zero_point: Vec<i32>,
    /// The channel axis, `None` for per tensor.
    pub axis: Option<usize>,
    /// The type of the integers.
    pub dtype: DType,
    /// Smallest integer that quantization may produce; narrower than the dtype's under `reduce_range`.
    pub quant_min: i32,
    /// Largest integer that quantization may produce.
    pub quant_max: i32,
}

/// The form in a file, unchecked.
#[derive(Deserialize)]
struct Saved {
    scale: Vec<f32>,
    zero_point: Vec<i32>,
    axis: Option<usize>,
    dtype: DType,
    quant_min: i32,
    quant_max: i32,
}

impl TryFrom<Saved> for QParams {
    type Error = Error;

    fn try_from(saved: Saved) -> Result<Self> {
        let Saved { scale, zero_point, axis, dtype, quant_min, quant_max } = saved;
        let qparams = Self { scale, zero_point, axis, dtype, quant_min, quant_max };
        qparams.validate()?;
        Ok(qparams)
    }
}

impl QParams {
    /// One scale and zero point for the whole tensor, over the full range of `dtype`.
    ///
    /// # Errors
    /// When the scale is not a positive finite number, the dtype is a float type, or the zero point is
    /// outside its range.
    pub fn per_tensor(scale: f32, zero_point: i32, dtype: DType) -> Result<Self> {
        Self::new(vec![scale], vec![zero_point], None, dtype)
    }

    /// A scale and zero point for every channel along `axis`, over the full range of `dtype`.
    ///
    /// # Errors
    /// As [`QParams::per_tensor`], or when the two lists differ in length or are empty.
    pub fn per_channel(scale: Vec<f32>, zero_point: Vec<i32>, axis: usize, dtype: DType) -> Result<Self> {
        Self::new(scale, zero_point, Some(axis), dtype)
    }

    fn new(scale: Vec<f32>, zero_point: Vec<i32>, axis: Option<usize>, dtype: DType) -> Result<Self> {
        let Some((quant_min, quant_max)) = dtype.range() else {
            return Err(Error::parameter("QParams", format!("{} is not an integer type", dtype.name())));
        };
        let qparams = Self { scale, zero_point, axis, dtype, quant_min, quant_max };
        qparams.validate()?;
        Ok(qparams)
    }

    /// The same scale and zero point, quantizing into `[quant_min, quant_max]` only.
    ///
    /// # Errors
    /// When that is not a range inside the dtype's.
    pub fn with_range(mut self, quant_min: i32, quant_max: i32) -> Result<Self> {
        (self.quant_min, self.quant_max) = (quant_min, quant_max);
        self.validate()?;
        Ok(self)
    }

    /// Checks the values of a file or a caller.
    ///
    /// # Errors
    /// As the constructors.
    pub fn validate(&self) -> Result<()> {
        let fail = |message: String| Err(Error::parameter("QParams", message));
        let Some((low, high)) = self.dtype.range() else {
            return fail(format!("{} is not an integer type", self.dtype.name()));
        };
        if self.scale.is_empty() || self.scale.len() != self.zero_point.len() {
            return fail(format!("{} scales and {} zero points", self.scale.len(), self.zero_point.len()));
        }
        if self.axis.is_none() && self.scale.len() != 1 {
            return fail(format!("{} scales without a channel axis", self.scale.len()));
        }
        if let Some(scale) = self.scale.iter().find(|scale| !is_scale(**scale)) {
            return fail(format!("scale {scale} is not a positive finite number with a finite reciprocal"));
        }
        if let Some(zero) = self.zero_point.iter().find(|zero| !(low..=high).contains(*zero)) {
            return fail(format!("zero point {zero} is outside {low}..={high} of {}", self.dtype.name()));
        }
        if !(low <= self.quant_min && self.quant_min < self.quant_max && self.quant_max <= high) {
            return fail(format!(
                "quantized range {}..={} is not a range inside {low}..={high} of {}",
                self.quant_min,
                self.quant_max,
                self.dtype.name()
            ));
        }
        Ok(())
    }

    /// The same scale and zero point, quantizing into the full range of the dtype.
    ///
    /// An observer's `reduce_range` or `quant_min`/`quant_max` decides the scale, and fake quantization and
    /// weights clamp to it; but activations are quantized into the full range of their dtype all the same, so
    /// values beyond the observed range still find integers above 127. Conversion of an activation therefore
    /// takes the observer's qparams through this.
    #[must_use]
    pub fn over_full_range(mut self) -> Self {
        if let Some((low, high)) = self.dtype.range() {
            (self.quant_min, self.quant_max) = (low, high);
        }
        self
    }

    /// Whether every channel along [`QParams::axis`] has a scale of its own.
    pub fn is_per_channel(&self) -> bool {
        self.axis.is_some()
    }

    /// The scale of the first (or only) channel; NaN if there is none, which [`QParams::validate`] refuses.
    pub fn tensor_scale(&self) -> f32 {
        self.scale.first().copied().unwrap_or(f32::NAN)
    }

    /// The zero point of the first (or only) channel; 0 if there is none, which [`QParams::validate`] refuses.
    pub fn tensor_zero_point(&self) -> i32 {
        self.zero_point.first().copied().unwrap_or(0)
    }
}

/// Whether one can divide and multiply by `scale`.
fn is_scale(scale: f32) -> bool {
    scale > 0.0 && scale.is_finite() && scale.recip().is_finite()
}

/// Scales and zero points of which both are real numbers, one of each for every channel: PyTorch's
/// `per_channel_affine_float_qparams`, made for embedding tables.
///
/// `integer = round(zero_point + real / scale)`, the zero point added before rounding; and
/// `real = (integer - zero_point) * scale`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SavedFloat")]
pub struct FloatQParams {
    /// The step between neighbouring integers of each channel; positive and finite.
    pub scale: Vec<f32>,
    /// The position of 0 on the scale of integers, not necessarily at one of them nor between the ends.
    pub zero_point: Vec<f32>,
    /// The channel axis.
    pub axis: usize,
    /// The type of the integers: `quint8` or `quint4x2`.
    pub dtype: DType,
}

/// The form in a file, unchecked.
#[derive(Deserialize)]
struct SavedFloat {
    scale: Vec<f32>,
    zero_point: Vec<f32>,
    axis: usize,
    dtype: DType,
}

impl TryFrom<SavedFloat> for FloatQParams {
    type Error = Error;

    fn try_from(SavedFloat { scale, zero_point, axis, dtype }: SavedFloat) -> Result<Self> {
        Self::new(scale, zero_point, axis, dtype)
    }
}

impl FloatQParams {
    /// A scale and zero point for every channel along `axis`.
    ///
    /// # Errors
    /// When the lists differ in length or are empty, a scale is not a positive finite number, a zero point is
    /// not finite, or the dtype is neither `quint8` nor `quint4x2`.
    pub fn new(scale: Vec<f32>, zero_point: Vec<f32>, axis: usize, dtype: DType) -> Result<Self> {
        let qparams = Self { scale, zero_point, axis, dtype };
        qparams.validate()?;
        Ok(qparams)
    }

    /// Checks the values of a file or a caller.
    ///
    /// # Errors
    /// As [`FloatQParams::new`].
    pub fn validate(&self) -> Result<()> {
        let fail = |message: String| Err(Error::parameter("FloatQParams", message));
        if !matches!(self.dtype, DType::QUInt8 | DType::QUInt4x2) {
            return fail(format!(
                "dtype {}; a float zero point goes with quint8 or quint4x2",
                self.dtype.name()
            ));
        }
        if self.scale.is_empty() || self.scale.len() != self.zero_point.len() {
            return fail(format!("{} scales and {} zero points", self.scale.len(), self.zero_point.len()));
        }
        if let Some(scale) = self.scale.iter().find(|scale| !is_scale(**scale)) {
            return fail(format!("scale {scale} is not a positive finite number with a finite reciprocal"));
        }
        if let Some(zero) = self.zero_point.iter().find(|zero| !zero.is_finite()) {
            return fail(format!("zero point {zero} is not finite"));
        }
        Ok(())
    }
}

/// How a range becomes a scale and a zero point, with PyTorch's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QScheme {
    /// One scale and zero point; the range is used as it is.
    #[default]
    PerTensorAffine,
    /// One scale; the range is widened to `[-m, m]`.
    PerTensorSymmetric,
    /// A scale and zero point for each channel.
    PerChannelAffine,
    /// A scale for each channel; the range is widened to `[-m, m]`.
    PerChannelSymmetric,
    /// A scale and a real zero point for each channel, see [`FloatQParams`].
    #[serde(rename = "per_channel_affine_float_qparams")]
    PerChannelAffineFloatQParams,
}

impl QScheme {
    /// PyTorch's name, e.g. `per_tensor_affine`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PerTensorAffine => "per_tensor_affine",
            Self::PerTensorSymmetric => "per_tensor_symmetric",
            Self::PerChannelAffine => "per_channel_affine",
            Self::PerChannelSymmetric => "per_channel_symmetric",
            Self::PerChannelAffineFloatQParams => "per_channel_affine_float_qparams",
        }
    }

    /// Whether each channel gets parameters of its own.
    pub const fn is_per_channel(self) -> bool {
        !matches!(self, Self::PerTensorAffine | Self::PerTensorSymmetric)
    }

    /// Whether the range is widened to `[-m, m]`.
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::PerTensorSymmetric | Self::PerChannelSymmetric)
    }
}

/// Observers' rule, affine: the smallest scale with which `[min, max]` and 0 fit into the quantized range.
///
/// `NUMERICS.md` 2.1, PyTorch's `calculate_qparams`; every step in f32. Gives `(1, 0)` for the range
/// `(inf, -inf)` of an observer that never saw data. Ends of either range that come in the wrong order are taken in the
/// right one.
///
/// ```
/// let (scale, zero_point) = qcore::affine_qparams(-1.0, 4.1, (0, 255), f32::EPSILON);
/// assert_eq!((scale, zero_point), (0.02, 50));
/// ```
pub fn affine_qparams(min: f32, max: f32, quant_range: (i32, i32), eps: f32) -> (f32, i32) {
    if never_observed(min, max) {
        return (1.0, 0);
    }
    let (quant_min, quant_max) = ascending(quant_range);
    let (low, high) = (min.min(max).min(0.0), max.max(min).max(0.0));
    let scale = ((high - low) / (quant_max - quant_min) as f32).max(eps);
    let zero_point = (quant_min - (low / scale).round_ties_even() as i64).clamp(quant_min, quant_max);
    (scale, zero_point as i32)
}

/// Observers' rule, symmetric: the smallest scale with which `[-m, m]` fits, `m` the larger magnitude of the
/// two ends (a negative `max` or positive `min` counts as 0).
///
/// `NUMERICS.md` 2.1. The step is `m` over *half the range* (127.5 for 8 bit, not 127). The zero point
/// depends on the dtype alone: [`symmetric_zero_point`]. Gives 1 for an observer that never saw data.
pub fn symmetric_scale(min: f32, max: f32, quant_range: (i32, i32), eps: f32) -> f32 {
    if never_observed(min, max) {
        return 1.0;
    }
    let (quant_min, quant_max) = ascending(quant_range);
    let half = (quant_max - quant_min) as f64 / 2.0;
    let magnitude = (-min.min(max).min(0.0)).max(max.max(min).max(0.0));
    (magnitude / half as f32).max(eps)
}

/// The zero point of symmetric quantization: 0 for signed types; for `quint8` 128, or the middle of the range
/// when that was chosen explicitly (`NUMERICS.md` 2.1).
pub fn symmetric_zero_point(dtype: DType, quant_range: (i32, i32), is_customized: bool) -> i32 {
    match dtype {
        DType::QUInt8 if is_customized => {
            (i64::from(quant_range.0) + i64::from(quant_range.1)).div_euclid(2) as i32
        }
        DType::QUInt8 => 128,
        _ => 0,
    }
}

/// Observers' rule for a real zero point: the range need not contain 0, and a vanishing one has scale 1.
///
/// `NUMERICS.md` 2.1, `affine_float_qparams`. Gives `(1, 0)` for an observer that never saw data.
pub fn affine_float_qparams(min: f32, max: f32, quant_range: (i32, i32), eps: f32) -> (f32, f32) {
    if never_observed(min, max) {
        return (1.0, 0.0);
    }
    let (quant_min, quant_max) = ascending(quant_range);
    let (min, max) = (min.min(max), max.max(min));
    let scale = (max - min) / (quant_max - quant_min) as f32;
    let scale = if scale > eps { scale } else { 1.0 };
    (scale, -min / scale)
}

/// The ends of a quantized range, the smaller one first.
fn ascending((a, b): (i32, i32)) -> (i64, i64) {
    (a.min(b).into(), a.max(b).into())
}

fn never_observed(min: f32, max: f32) -> bool {
    min == f32::INFINITY && max == f32::NEG_INFINITY
}

/// No scale of [`choose_qparams`] is smaller, so that its reciprocal fits half precision.
const SMALLEST_SCALE: f32 = 6.1e-5;

/// The rule of dynamic quantization and of the fused fake quantization.
///
/// `NUMERICS.md` 2.2, PyTorch's C++ `ChooseQuantizationParams`. It differs from the observers' rule: f64
/// inside; scales below 6.1e-5 are raised to that; an all-zero range has scale 0.1; and the zero point comes
/// from whichever end gives the smaller error. With `preserve_sparsity` a range on both sides of 0 is
/// quantized symmetrically.
pub fn choose_qparams(min: f32, max: f32, quant_range: (i32, i32), preserve_sparsity: bool) -> (f32, i32) {
    let quant_range = ascending(quant_range);
    let (quant_min, quant_max) = (quant_range.0 as f64, quant_range.1 as f64);
    let (mut min, mut max) = (min.min(max), max.max(min));
    let is_symmetric = preserve_sparsity && min < 0.0 && max > 0.0;
    if is_symmetric {
        let half = (quant_range.1 - quant_range.0).div_euclid(2);
        let (below, above) = (-(half + 1) as f64, half as f64);
        let step = f64::from((min / below as f32).abs().max((max / above as f32).abs()));
        (min, max) = ((step * below) as f32, (step * above) as f32);
    }
    (min, max) = (min.min(0.0), max.max(0.0));

    let mut scale = (f64::from(max) - f64::from(min)) / (quant_max - quant_min);
    if scale as f32 == 0.0 || (1.0 / scale as f32).is_infinite() {
        scale = 0.1;
    }
    if scale < f64::from(SMALLEST_SCALE) {
        let amplification = SMALLEST_SCALE / scale as f32;
        scale = f64::from(SMALLEST_SCALE);
        let widest = SMALLEST_SCALE * (quant_max - quant_min) as f32;
        if min == 0.0 {
            max = widest;
        } else if max == 0.0 {
            min = -widest;
        } else {
            (min, max) = (min * amplification, max * amplification);
        }
    }

    let (below, above) = (f64::from(min) / scale, f64::from(max) / scale);
    let error_from_min = quant_min.abs() - below.abs();
    let error_from_max = quant_max.abs() - above.abs();
    let zero_point = if is_symmetric {
        (quant_min + quant_max) / 2.0
    } else if error_from_min < error_from_max {
        quant_min - below
    } else {
        quant_max - above
    };
    (scale as f32, zero_point.clamp(quant_min, quant_max).round_ties_even() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_zero_data_has_the_smallest_scale_and_the_lowest_zero_point() {
        assert_eq!(affine_qparams(0.0, 0.0, (-128, 127), f32::EPSILON), (f32::EPSILON, -128));
    }

    #[test]
    fn symmetric_divides_by_half_the_range() {
        assert_eq!(symmetric_scale(-255.0, 3.0, (-128, 127), f32::EPSILON), 2.0);
        assert_eq!(symmetric_zero_point(DType::QUInt8, (0, 127), true), 63);
    }

    #[test]
    fn an_unobserved_range_is_the_identity() {
        let (min, max) = (f32::INFINITY, f32::NEG_INFINITY);
        assert_eq!(affine_qparams(min, max, (0, 255), f32::EPSILON), (1.0, 0));
        assert_eq!(affine_float_qparams(min, max, (0, 255), f32::EPSILON), (1.0, 0.0));
    }

    #[test]
    fn ends_in_the_wrong_order_are_taken_in_the_right_one() {
        let eps = f32::EPSILON;
        assert_eq!(affine_qparams(4.1, -1.0, (255, 0), eps), affine_qparams(-1.0, 4.1, (0, 255), eps));
        assert_eq!(
            symmetric_scale(4.1, -1.0, (127, -128), eps),
            symmetric_scale(-1.0, 4.1, (-128, 127), eps)
        );
        let range = (0, 255);
        assert_eq!(affine_float_qparams(4.1, 1.0, range, eps), affine_float_qparams(1.0, 4.1, range, eps));
        assert_eq!(choose_qparams(4.1, -1.0, (255, 0), true), choose_qparams(-1.0, 4.1, range, true));
    }

    #[test]
    fn parameters_of_a_file_are_checked_as_they_are_read() {
        let text = serde_json::to_string(&QParams::per_tensor(0.5, 3, DType::QUInt8).unwrap()).unwrap();
        assert!(serde_json::from_str::<QParams>(&text).is_ok());
        for (good, bad) in [
            ("[0.5]", "[]"),
            ("[3]", "[300]"),
            ("[0.5]", "[0.5,1.0]"),
            ("\"quant_min\":0", "\"quant_min\":255"),
        ] {
            let damaged = text.replace(good, bad);
            assert_ne!(damaged, text);
            assert!(serde_json::from_str::<QParams>(&damaged).is_err(), "{damaged}");
        }
        assert!(
            serde_json::from_str::<FloatQParams>(r#"{"scale":[],"zero_point":[],"axis":0,"dtype":"quint8"}"#)
                .is_err()
        );
    }

    #[test]
    fn the_rule_of_dynamic_quantization_bounds_the_scale_from_below() {
        assert_eq!(choose_qparams(0.0, 0.0, (0, 255), false), (0.1, 0));
        assert_eq!(choose_qparams(0.0, 1e-9, (0, 255), false).0, 6.1e-5);
    }

    #[test]
    fn sparsity_is_preserved_only_when_the_range_straddles_zero() {
        assert_eq!(choose_qparams(-1.28, 0.5, (-128, 127), true), (0.01, 0));
        assert_eq!(choose_qparams(0.0, 2.55, (-128, 127), true), (0.01, -128));
    }

    #[test]
    fn qparams_of_a_file_are_checked() {
        let good = QParams::per_tensor(0.5, 3, DType::QUInt8).unwrap();
        assert!(good.clone().with_range(0, 127).is_ok());
        assert!(good.clone().with_range(0, 256).is_err());
        assert!(QParams { scale: vec![f32::NAN], ..good.clone() }.validate().is_err());
        assert!(
            QParams { axis: None, scale: vec![1.0; 2], zero_point: vec![0; 2], ..good }.validate().is_err()
        );
        assert!(FloatQParams::new(vec![1.0], vec![f32::NAN], 0, DType::QUInt8).is_err());
    }
}
