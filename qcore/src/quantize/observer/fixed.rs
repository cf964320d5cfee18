//! `FixedQParamsObserver`: a scale and zero point that no data changes.

use serde::{Deserialize, Serialize};

use super::state;
use super::{Observer, common_methods};
use crate::{DType, QParams, Result, Tensor};

/// Gives the qparams it was made with, for outputs whose range is known: a sigmoid's is 0..1.
///
/// ```
/// use qcore::observer::{FixedQParamsObserver, Observer};
///
/// let sigmoid = FixedQParamsObserver::new(1.0 / 256.0, 0);
/// assert!(sigmoid.has_observed());
/// assert_eq!(sigmoid.calculate_qparams()?.tensor_zero_point(), 0);
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FixedQParamsObserver {
    scale: f32,
    zero_point: i32,
    dtype: DType,
    quant_min: i32,
    quant_max: i32,
}

impl FixedQParamsObserver {
    /// That scale and zero point, `quint8`, 0..=255. They are checked when qparams are asked for.
    pub fn new(scale: f32, zero_point: i32) -> Self {
        Self { scale, zero_point, dtype: DType::QUInt8, quant_min: 0, quant_max: 255 }
    }

    /// Sets the type to quantize to, and the range to all of it.
    #[must_use]
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.dtype = dtype;
        if let Some((quant_min, quant_max)) = dtype.range() {
            (self.quant_min, self.quant_max) = (quant_min, quant_max);
        }
        self
    }

    /// Sets the smallest integer.
    #[must_use]
    pub fn quant_min(mut self, quant_min: i32) -> Self {
        self.quant_min = quant_min;
        self
    }

    /// Sets the largest integer.
    #[must_use]
    pub fn quant_max(mut self, quant_max: i32) -> Self {
        self.quant_max = quant_max;
        self
    }
}

impl Observer for FixedQParamsObserver {
    common_methods!("FixedQParamsObserver");

    fn observe(&mut self, x: &Tensor) -> Result<()> {
        super::extrema::range(x).map(drop)
    }

    fn calculate_qparams(&self) -> Result<QParams> {
        QParams::per_tensor(self.scale, self.zero_point, self.dtype)?
            .with_range(self.quant_min, self.quant_max)
    }

    fn has_observed(&self) -> bool {
        true
    }

    fn reset(&mut self) {}

    fn dtype(&self) -> DType {
        self.dtype
    }

    fn merge(&mut self, other: &dyn Observer) -> Result<()> {
        state::same_kind(self, other).map(drop)
    }
}
