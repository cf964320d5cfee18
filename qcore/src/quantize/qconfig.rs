//! `QConfig`: which observers a layer gets for its output and its weights, with PyTorch's presets.

use std::sync::Arc;

use crate::observer::{
    self, HistogramObserver, MinMaxObserver, NoopObserver, Observer, PerGroupMinMaxObserver,
    PlaceholderObserver,
};
use crate::{Backend, DType};

/// How to quantize a layer: an observer for its activations and one for its weights.
///
/// The two are prototypes. Every observed edge and every weight gets a copy of its own.
///
/// ```
/// use qcore::observer::{ExponentHistogramObserver, Observer, default_per_channel_weight_observer};
/// use qcore::{Backend, QConfig};
///
/// let like_pytorch = QConfig::get_default_qconfig(Backend::Fbgemm);
/// let own = QConfig::new(ExponentHistogramObserver::new(), default_per_channel_weight_observer());
/// assert_eq!(own.activation_observer().name(), "ExponentHistogramObserver");
/// # assert_ne!(own, like_pytorch);
/// ```
#[derive(Clone, Debug)]
pub struct QConfig {
    activation: Arc<dyn Observer>,
    weight: Arc<dyn Observer>,
}

impl QConfig {
    /// A qconfig with these prototypes; their observations are reset.
    pub fn new(activation: impl Observer + 'static, weight: impl Observer + 'static) -> Self {
        let (mut activation, mut weight) = (activation, weight);
        activation.reset();
        weight.reset();
        Self { activation: Arc::new(activation), weight: Arc::new(weight) }
    }

    /// The same activations with other weights.
    #[must_use]
    pub fn with_weight(&self, weight: impl Observer + 'static) -> Self {
        let mut weight = weight;
        weight.reset();
        Self { activation: Arc::clone(&self.activation), weight: Arc::new(weight) }
    }

    /// A fresh observer for activations.
    pub fn activation_observer(&self) -> Box<dyn Observer> {
        self.activation.boxed_clone()
    }

    /// A fresh observer for weights.
    pub fn weight_observer(&self) -> Box<dyn Observer> {
        self.weight.boxed_clone()
    }

    /// PyTorch's post-training default of a backend.
    ///
    /// | backend | activations | weights |
    /// |---|---|---|
    /// | native | histogram, `quint8` 0..=255 | `qint8` symmetric per channel |
    /// | fbgemm, x86 | histogram, `quint8` 0..=127 | `qint8` symmetric per channel |
    /// | qnnpack | histogram, `quint8` 0..=255 | `qint8` symmetric per tensor |
    /// | onednn | histogram, `quint8` 0..=255 | `qint8` symmetric per channel |
    pub fn get_default_qconfig(backend: Backend) -> Self {
        let reduce_range = matches!(backend, Backend::Fbgemm | Backend::X86);
        let activation = HistogramObserver::new().reduce_range(reduce_range);
        match backend {
            Backend::Qnnpack => Self::new(activation, observer::default_weight_observer()),
            Backend::Native | Backend::Fbgemm | Backend::X86 | Backend::Onednn => {
                Self::new(activation, observer::default_per_channel_weight_observer())
            }
        }
    }

    /// Activations by their extremes in 0..=127, weights per tensor.
    pub fn default_qconfig() -> Self {
        Self::new(observer::default_observer(), observer::default_weight_observer())
    }

    /// Activations by their extremes in 0..=127, weights per channel.
    pub fn default_per_channel_qconfig() -> Self {
        Self::new(observer::default_observer(), observer::default_per_channel_weight_observer())
    }

    /// Records every activation, and so cannot be converted; weights per tensor.
    pub fn default_debug_qconfig() -> Self {
        Self::new(observer::default_debug_observer(), observer::default_weight_observer())
    }

    /// `qint8` activations by histogram, symmetric weights in -127..=127 per tensor, scales at least 2^-12.
    pub fn default_symmetric_qnnpack_qconfig() -> Self {
        Self::new(signed_histogram_observer(), observer::weight_observer_range_neg_127_to_127())
    }

    /// `qint8` activations by histogram, symmetric weights in -127..=127 per channel, scales at least 2^-12.
    pub fn default_per_channel_symmetric_qnnpack_qconfig() -> Self {
        Self::new(signed_histogram_observer(), observer::per_channel_weight_observer_range_neg_127_to_127())
    }

    /// Activations quantized at run time from their own range, weights per tensor.
    pub fn default_dynamic_qconfig() -> Self {
        Self::new(observer::default_dynamic_quant_observer(), observer::default_weight_observer())
    }

    /// Short for [`QConfig::default_dynamic_qconfig`].
    pub fn dynamic() -> Self {
        Self::default_dynamic_qconfig()
    }

    /// Activations quantized at run time from their own range, weights per channel.
    pub fn per_channel_dynamic_qconfig() -> Self {
        Self::new(observer::default_dynamic_quant_observer(), observer::default_per_channel_weight_observer())
    }

    /// Weights stored in half precision, float arithmetic.
    pub fn float16_dynamic_qconfig() -> Self {
        let half = PlaceholderObserver::new().dtype(DType::Float16);
        Self::new(half.clone().is_dynamic(true), half)
    }

    /// Activations and weights in half precision.
    pub fn float16_static_qconfig() -> Self {
        let half = PlaceholderObserver::new().dtype(DType::Float16);
        Self::new(half.clone(), half)
    }

    /// Embedding tables in `quint8` with a float zero point for each row, everything else in float.
    pub fn float_qparams_weight_only_qconfig() -> Self {
        Self::new(observer::default_placeholder_observer(), observer::default_float_qparams_observer())
    }

    /// Embedding tables in `quint4x2` with a float zero point for each row, everything else in float.
    pub fn float_qparams_weight_only_qconfig_4bit() -> Self {
        Self::new(observer::default_placeholder_observer(), observer::default_float_qparams_observer_4bit())
    }

    /// Weights of linear layers in integers of 2 to 8 bits, with a scale for each row, everything else in float: nothing is
    /// calibrated. Weights of up to 4 bits take half a byte, others a byte.
    ///
    /// ```
    /// use qcore::prelude::*;
    ///
    /// #[quantizable]
    /// struct Net {
    ///     fc: Linear,
    /// }
    ///
    /// #[quantizable]
    /// impl Net {
    ///     fn forward(&self, x: Tensor) -> Tensor {
    ///         self.fc(x)
    ///     }
    /// }
    ///
    /// # fn main() -> qcore::Result<()> {
    /// let four_bits = QConfig::weight_only(4).with_group_size(32);
    /// let model = Net { fc: Linear::new(64, 3) };
    /// let small = model.prepare(&QConfigMapping::new().module_type::<Linear>(four_bits))?.convert()?;
    /// assert_eq!(small.forward(Tensor::zeros(&[1, 64]))?.shape(), [1, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn weight_only(bits: u32) -> Self {
        Self::new(observer::default_placeholder_observer(), PerGroupMinMaxObserver::new(bits))
    }

    /// The same with a scale for each `group_size` neighbouring weights of a row, which must be a divisor of its length
    /// (32, 64 and 128 are usual). For [`QConfig::weight_only`]; the weights of another qconfig would become such groups of
    /// 8 bits, and [`prepare`](crate::Module::prepare) refuses that.
    #[must_use]
    pub fn with_group_size(&self, group_size: usize) -> Self {
        let weight = self.weight_observer();
        let groups = weight.as_any().downcast_ref::<PerGroupMinMaxObserver>().cloned();
        self.with_weight(groups.unwrap_or_else(|| PerGroupMinMaxObserver::new(8)).group_size(group_size))
    }

    /// Activations by histogram, weights in `quint8` per tensor: for `PReLU`.
    pub fn default_quint8_weight_qconfig() -> Self {
        Self::new(HistogramObserver::new(), MinMaxObserver::new())
    }

    /// The output shares the observer, and so the scale and zero point, of the input: for `reshape`.
    ///
    /// If the input is not observed, neither is the output. The activation observer is the marker
    /// [`ReuseInputObserver`](observer::ReuseInputObserver), which never sees data itself.
    pub fn default_reuse_input_qconfig() -> Self {
        Self::new(observer::default_reuse_input_observer(), NoopObserver::new())
    }
}

impl PartialEq for QConfig {
    /// Whether both make the same observers. Own observers without [`Observer::state`] equal only themselves.
    fn eq(&self, other: &Self) -> bool {
        is_same(&self.activation, &other.activation) && is_same(&self.weight, &other.weight)
    }
}

fn is_same(left: &Arc<dyn Observer>, right: &Arc<dyn Observer>) -> bool {
    Arc::ptr_eq(left, right)
        || left.name() == right.name()
            && matches!((left.state(), right.state()), (Ok(left), Ok(right)) if left == right)
}

fn signed_histogram_observer() -> HistogramObserver {
    HistogramObserver::new().dtype(DType::QInt8).eps(observer::QNNPACK_EPS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;

    #[test]
    fn every_observer_is_a_fresh_one() {
        let mut seen = MinMaxObserver::new();
        seen.observe(&Tensor::zeros(&[1])).unwrap();
        let qconfig = QConfig::new(seen, MinMaxObserver::new());
        let mut first = qconfig.activation_observer();
        assert!(!first.has_observed());
        first.observe(&Tensor::zeros(&[1])).unwrap();
        assert!(!qconfig.activation_observer().has_observed());
    }

    #[test]
    fn qconfigs_compare_by_type_and_settings() {
        assert_eq!(QConfig::get_default_qconfig(Backend::X86), QConfig::get_default_qconfig(Backend::Fbgemm));
        assert_ne!(
            QConfig::get_default_qconfig(Backend::Native),
            QConfig::get_default_qconfig(Backend::Fbgemm)
        );
        assert_ne!(
            QConfig::get_default_qconfig(Backend::Native),
            QConfig::get_default_qconfig(Backend::Qnnpack)
        );
    }

    #[test]
    fn presets_have_pytorchs_ranges() {
        let x = Tensor::from(ndarray::arr2(&[[-1.0, 2.0]]));
        let ranges = |qconfig: QConfig| {
            let range = |mut observer: Box<dyn Observer>| {
                observer.observe(&x).unwrap();
                let qparams = observer.calculate_qparams().unwrap();
                (qparams.quant_min, qparams.quant_max, qparams.axis)
            };
            (range(qconfig.activation_observer()), range(qconfig.weight_observer()))
        };
        let default = |backend| ranges(QConfig::get_default_qconfig(backend));
        assert_eq!(default(Backend::Native), ((0, 255, None), (-128, 127, Some(0))));
        assert_eq!(default(Backend::Fbgemm), ((0, 127, None), (-128, 127, Some(0))));
        assert_eq!(default(Backend::Qnnpack), ((0, 255, None), (-128, 127, None)));
        assert_eq!(ranges(QConfig::default_qconfig()), ((0, 127, None), (-128, 127, None)));
        let symmetric = ranges(QConfig::default_per_channel_symmetric_qnnpack_qconfig());
        assert_eq!(symmetric, ((-128, 127, None), (-127, 127, Some(0))));
    }
}
