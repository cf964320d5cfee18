//! The values that are rounded: the float operations of each formula, and of an addition that follows.

use super::FloatVectors;
use super::limits::Limits;
use crate::qparams::BinaryQParams;
use crate::qparams::QParams;
use crate::rounding::ROUNDING_SHIFT;

/// The values that are rounded, of vector `v` of a row.
pub(super) trait Formula<S: FloatVectors> {
    /// Whether something is added.
    const ADDS: bool;

    fn value(&self, isa: S, v: usize, sums: S::Integers, added: S::Integers) -> S::Floats;
}

pub(super) struct Fbgemm<S: FloatVectors, const V: usize> {
    pub(super) bias: [S::Floats; V],
    pub(super) multiplier: [S::Floats; V],
}

impl<S: FloatVectors, const V: usize> Formula<S> for Fbgemm<S, V> {
    const ADDS: bool = false;

    #[inline(always)]
    fn value(&self, isa: S, v: usize, sums: S::Integers, _added: S::Integers) -> S::Floats {
        isa.mul(isa.add(isa.to_floats(sums), self.bias[v]), self.multiplier[v])
    }
}

pub(super) struct Qnnpack<S: FloatVectors, const V: usize> {
    pub(super) bias: [S::Integers; V],
    pub(super) multiplier: [S::Floats; V],
}

impl<S: FloatVectors, const V: usize> Formula<S> for Qnnpack<S, V> {
    const ADDS: bool = false;

    #[inline(always)]
    fn value(&self, isa: S, v: usize, sums: S::Integers, _added: S::Integers) -> S::Floats {
        isa.mul(isa.to_floats(isa.add_saturating(sums, self.bias[v])), self.multiplier[v])
    }
}

pub(super) struct Onednn<S: FloatVectors, const V: usize> {
    pub(super) scale: [S::Floats; V],
    pub(super) bias: [S::Floats; V],
    pub(super) inverse_output_scale: S::Floats,
    pub(super) zero_point: S::Floats,
}

impl<S: FloatVectors, const V: usize> Formula<S> for Onednn<S, V> {
    const ADDS: bool = false;

    /// Without the ReLU: negative values end at the zero point or below, and the limits raise them to it.
    #[inline(always)]
    fn value(&self, isa: S, v: usize, sums: S::Integers, _added: S::Integers) -> S::Floats {
        let value = isa.add(isa.mul(isa.to_floats(sums), self.scale[v]), self.bias[v]);
        isa.add(isa.mul(value, self.inverse_output_scale), self.zero_point)
    }
}

/// An addition after rounding.
pub(super) struct WithResidual<S: FloatVectors, F> {
    pub(super) formula: F,
    pub(super) limits: Limits,
    pub(super) qparams: BinaryQParams,
    pub(super) inverse_scale: S::Floats,
}

impl<S: FloatVectors, F: Formula<S>> Formula<S> for WithResidual<S, F> {
    const ADDS: bool = true;

    #[inline(always)]
    fn value(&self, isa: S, v: usize, sums: S::Integers, added: S::Integers) -> S::Floats {
        let BinaryQParams { a, b, .. } = self.qparams;
        let Limits { offset, low, high } = self.limits;
        let [low, high] = [isa.splat((low - offset) as f32), isa.splat((high - offset) as f32)];
        let value = self.formula.value(isa, v, sums, added);
        let shifted = isa.add(isa.min(isa.max(value, low), high), isa.splat(ROUNDING_SHIFT));
        // The rounded value and the zero points are small integers: this is exact.
        let zero_point = (a.zero_point - offset) as f32;
        let rounded = isa.sub(shifted, isa.splat(ROUNDING_SHIFT + zero_point));
        let a = isa.mul(rounded, isa.splat(a.scale));
        isa.mul(isa.add(a, dequantize(isa, added, b)), self.inverse_scale)
    }
}

/// A value that may be too large for an integer: infinite values, too, become an integer beyond all limits.
pub(super) struct AtMostInteger<'a, F>(pub(super) &'a F);

impl<S: FloatVectors, F: Formula<S>> Formula<S> for AtMostInteger<'_, F> {
    const ADDS: bool = F::ADDS;

    #[inline(always)]
    fn value(&self, isa: S, v: usize, sums: S::Integers, added: S::Integers) -> S::Floats {
        isa.min(self.0.value(isa, v, sums, added), isa.splat(1_073_741_824.0))
    }
}

#[inline(always)]
fn dequantize<S: FloatVectors>(isa: S, values: S::Integers, qparams: QParams) -> S::Floats {
    let centred = isa.sub_integers(values, isa.splat_integer(qparams.zero_point));
    isa.mul(isa.to_floats(centred), isa.splat(qparams.scale))
}
