//! Observers: statistics of the data on an edge, and the scale and zero point that follow from them.

mod defaults;
mod exponent_histogram;
pub(crate) mod extrema;
mod fixed;
mod histogram;
mod min_max;
mod per_channel;
mod per_group;
mod placeholder;
mod recording;
mod settings;
pub(in crate::quantize) mod state;
mod value_grid;

use std::any::Any;
use std::fmt::Debug;

use crate::{DType, Error, FakeQuantize, FloatQParams, QParams, QScheme, Result, Tensor};

pub(crate) use defaults::QNNPACK_EPS;
pub use defaults::{
    default_debug_observer, default_dynamic_quant_observer, default_fixed_qparams_range_0to1_observer,
    default_fixed_qparams_range_neg1to1_observer, default_float_qparams_observer,
    default_float_qparams_observer_4bit, default_histogram_observer, default_observer,
    default_per_channel_weight_observer, default_placeholder_observer, default_reuse_input_observer,
    default_weight_observer, per_channel_weight_observer_range_neg_127_to_127,
    weight_observer_range_neg_127_to_127,
};
pub use exponent_histogram::ExponentHistogramObserver;
pub(crate) use extrema::Range;
pub use fixed::FixedQParamsObserver;
pub use histogram::HistogramObserver;
pub use min_max::{MinMaxObserver, MovingAverageMinMaxObserver};
pub(crate) use per_channel::ChannelRanges;
pub use per_channel::{MovingAveragePerChannelMinMaxObserver, PerChannelMinMaxObserver};
pub use per_group::PerGroupMinMaxObserver;
pub use placeholder::{NoopObserver, PlaceholderObserver, ReuseInputObserver};
pub use recording::RecordingObserver;
pub use settings::ObserverSettings;
pub use value_grid::ValueGrid;

/// Watches the data on an edge and gives the scale and zero point for it.
///
/// An observer is the identity on data, ignores empty tensors, and refuses NaN and infinity with
/// [`Error::NotFinite`]. The arithmetic is PyTorch's (`NUMERICS.md` 2 and 4), bit for bit.
///
/// Own observers are possible; [`ObserverSettings`] turns a range into [`QParams`] by PyTorch's rule:
///
/// ```
/// use std::any::Any;
/// use qcore::observer::{Observer, ObserverSettings};
/// use qcore::{DType, QParams, Result, Tensor};
///
/// /// Takes three times the mean magnitude for the range.
/// #[derive(Clone, Debug, Default)]
/// struct MeanObserver {
///     settings: ObserverSettings,
///     sum: f64,
///     count: usize,
/// }
///
/// impl Observer for MeanObserver {
///     fn name(&self) -> &'static str {
///         "MeanObserver"
///     }
///     fn observe(&mut self, x: &Tensor) -> Result<()> {
///         self.sum += x.view().iter().map(|v| f64::from(v.abs())).sum::<f64>();
///         self.count += x.len();
///         Ok(())
///     }
///     fn calculate_qparams(&self) -> Result<QParams> {
///         let limit = 3.0 * (self.sum / self.count as f64) as f32;
///         self.settings.per_tensor_qparams(self.name(), -limit, limit)
///     }
///     fn has_observed(&self) -> bool {
///         self.count > 0
///     }
///     fn reset(&mut self) {
///         (self.sum, self.count) = (0.0, 0);
///     }
///     fn dtype(&self) -> DType {
///         self.settings.dtype
///     }
///     fn boxed_clone(&self) -> Box<dyn Observer> {
///         Box::new(self.clone())
///     }
///     fn as_any(&self) -> &dyn Any {
///         self
///     }
/// }
///
/// let mut observer = MeanObserver::default();
/// observer.observe(&Tensor::from(ndarray::arr1(&[1.0, -1.0])))?;
/// assert_eq!(observer.calculate_qparams()?.tensor_scale(), 6.0 / 255.0);
/// # Ok::<(), qcore::Error>(())
/// ```
pub trait Observer: Send + Sync + Debug {
    /// The type's name, as PyTorch spells it.
    fn name(&self) -> &'static str;

    /// Takes one batch into account.
    ///
    /// # Errors
    /// When the batch contains NaN or infinity ([`Error::NotFinite`]), has a shape the observer cannot take,
    /// or the observer's settings contradict each other. The observer is then as it was before the call.
    fn observe(&mut self, x: &Tensor) -> Result<()>;

    /// The scale and zero point for the data observed so far.
    ///
    /// The result's `quant_min` and `quant_max` are those of the observer; weights and fake quantization clamp
    /// to them, see [`QParams::over_full_range`].
    ///
    /// # Errors
    /// When nothing was seen, the settings contradict each other, or the observer has no integer qparams.
    fn calculate_qparams(&self) -> Result<QParams>;

    /// The scale and float zero point for the data observed so far, of an observer whose scheme is
    /// [`QScheme::PerChannelAffineFloatQParams`].
    ///
    /// # Errors
    /// As [`Observer::calculate_qparams`]; all other observers.
    fn calculate_float_qparams(&self) -> Result<FloatQParams> {
        Err(self.refusal("has integer zero points; float ones need qscheme per_channel_affine_float_qparams"))
    }

    /// Whether [`Observer::calculate_qparams`] gives a scale once there is data; false for those that only carry
    /// a dtype, record, or take the range at run time.
    fn gives_qparams(&self) -> bool {
        true
    }

    /// Whether all that [`Observer::calculate_qparams`] needs has been seen. Observers that need no data, such
    /// as [`FixedQParamsObserver`] and [`PlaceholderObserver`], always have.
    fn has_observed(&self) -> bool;

    /// Smallest and largest value seen, over all channels; `None` before the first or when it is not kept.
    fn range(&self) -> Option<(f32, f32)> {
        None
    }

    /// [`Observer::range`] of each channel; one if there are no channels, none if there is no range.
    fn ranges(&self) -> Vec<(f32, f32)> {
        self.range().into_iter().collect()
    }

    /// Forgets all data and keeps the settings.
    fn reset(&mut self);

    /// The type that the edge is to be quantized to.
    fn dtype(&self) -> DType;

    /// How a range becomes qparams.
    fn qscheme(&self) -> QScheme {
        QScheme::PerTensorAffine
    }

    /// Whether the range is taken from each input at run time (dynamic quantization).
    fn is_dynamic(&self) -> bool {
        false
    }

    /// Merges the data of another observer of the same type and settings, as if this one had observed it.
    ///
    /// # Errors
    /// When the two differ in type or settings; when the result would depend on the order of batches (moving
    /// averages, [`HistogramObserver`]), with the name of an observer that merges.
    fn merge(&mut self, other: &dyn Observer) -> Result<()> {
        let _ = other;
        Err(self.refusal("cannot be merged"))
    }

    /// Settings and data for a file, as JSON. Every f32 survives exactly.
    ///
    /// # Errors
    /// When the observer has none to give (own observers that do not implement it).
    fn state(&self) -> Result<String> {
        Err(self.refusal("has no state for files"))
    }

    /// Loads a state from [`Observer::state`].
    ///
    /// # Errors
    /// When the state is of another type or of other settings, or makes no sense. The observer is then as it
    /// was before the call.
    fn load_state(&mut self, state: &str) -> Result<()> {
        let _ = state;
        Err(self.refusal("has no state for files"))
    }

    /// A copy, data included.
    fn boxed_clone(&self) -> Box<dyn Observer>;

    /// For access to the concrete type.
    fn as_any(&self) -> &dyn Any;

    /// The fake quantization, if it is one, which in training rounds what it observes.
    fn as_fake_quantize_mut(&mut self) -> Option<&mut FakeQuantize> {
        None
    }

    /// An [`Error::Observer`] with this observer's name.
    fn refusal(&self, message: &str) -> Error {
        Error::Observer { observer: self.name(), message: message.to_owned() }
    }
}

impl Clone for Box<dyn Observer> {
    fn clone(&self) -> Self {
        self.as_ref().boxed_clone()
    }
}

/// The error of every observer that is asked for qparams too early.
fn never_observed(observer: &'static str) -> Error {
    Error::Observer { observer, message: "never saw data, so there is no scale".to_owned() }
}

/// The methods of [`Observer`] that are the same for all observers here; the type needs serde.
macro_rules! common_methods {
    ($name:literal) => {
        fn name(&self) -> &'static str {
            $name
        }

        fn state(&self) -> Result<String> {
            $crate::observer::state::save(self)
        }

        fn load_state(&mut self, state: &str) -> Result<()> {
            $crate::observer::state::load(self, state)
        }

        fn boxed_clone(&self) -> Box<dyn Observer> {
            Box::new(self.clone())
        }

        fn as_any(&self) -> &dyn std::any::Any {
            self
        }
    };
}
use common_methods;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observers_are_object_safe_and_a_clone_has_the_data() {
        let mut observer: Box<dyn Observer> = Box::new(MinMaxObserver::new());
        observer.observe(&Tensor::from(ndarray::arr1(&[1.0, 2.0]))).unwrap();
        let copy = observer.clone();
        observer.reset();
        assert_eq!(copy.range(), Some((1.0, 2.0)));
        assert_eq!(observer.range(), None);
    }

    #[test]
    fn a_nan_is_an_error_and_changes_nothing() {
        let bad = Tensor::from(ndarray::arr2(&[[0.0, 1.0], [f32::NAN, 2.0]]));
        let observers: [Box<dyn Observer>; 6] = [
            Box::new(MinMaxObserver::new()),
            Box::new(MovingAverageMinMaxObserver::new()),
            Box::new(PerChannelMinMaxObserver::new()),
            Box::new(HistogramObserver::new()),
            Box::new(ExponentHistogramObserver::new()),
            Box::new(RecordingObserver::new()),
        ];
        for mut observer in observers {
            let error = observer.observe(&bad).unwrap_err();
            assert!(matches!(error, Error::NotFinite { index: 2, .. }), "{error}");
            assert!(!observer.has_observed(), "{}", observer.name());
        }
    }
}
