//! PyTorch's ready-made observers under their own names (`NUMERICS.md` 3).

use super::{
    FixedQParamsObserver, HistogramObserver, MinMaxObserver, PerChannelMinMaxObserver, PlaceholderObserver,
    RecordingObserver, ReuseInputObserver,
};
use crate::{DType, QScheme};

/// The smallest scale of the qnnpack presets.
pub(crate) const QNNPACK_EPS: f32 = 1.0 / 4096.0;

/// Activations by their extremes, `quint8` in 0..=127.
pub fn default_observer() -> MinMaxObserver {
    MinMaxObserver::new().quant_min(0).quant_max(127)
}

/// Activations by histogram, `quint8` in 0..=127.
pub fn default_histogram_observer() -> HistogramObserver {
    HistogramObserver::new().quant_min(0).quant_max(127)
}

/// Weights, `qint8` symmetric per tensor.
pub fn default_weight_observer() -> MinMaxObserver {
    MinMaxObserver::new().dtype(DType::QInt8).qscheme(QScheme::PerTensorSymmetric)
}

/// Weights, `qint8` symmetric for each output channel.
pub fn default_per_channel_weight_observer() -> PerChannelMinMaxObserver {
    PerChannelMinMaxObserver::new().dtype(DType::QInt8).qscheme(QScheme::PerChannelSymmetric)
}

/// Weights, `qint8` symmetric per tensor in -127..=127, scale at least 2^-12.
pub fn weight_observer_range_neg_127_to_127() -> MinMaxObserver {
    default_weight_observer().quant_min(-127).quant_max(127).eps(QNNPACK_EPS)
}

/// Weights, `qint8` symmetric for each output channel in -127..=127, scale at least 2^-12.
pub fn per_channel_weight_observer_range_neg_127_to_127() -> PerChannelMinMaxObserver {
    default_per_channel_weight_observer().quant_min(-127).quant_max(127).eps(QNNPACK_EPS)
}

/// Activations quantized at run time from their own range, `quint8`.
pub fn default_dynamic_quant_observer() -> PlaceholderObserver {
    PlaceholderObserver::new().dtype(DType::QUInt8).quant_min(0).quant_max(255).is_dynamic(true)
}

/// Embedding tables, `quint8` with a float zero point for each row.
pub fn default_float_qparams_observer() -> PerChannelMinMaxObserver {
    PerChannelMinMaxObserver::new().qscheme(QScheme::PerChannelAffineFloatQParams)
}

/// Embedding tables, `quint4x2` with a float zero point for each row.
pub fn default_float_qparams_observer_4bit() -> PerChannelMinMaxObserver {
    default_float_qparams_observer().dtype(DType::QUInt4x2)
}

/// Outputs in 0..1, such as a sigmoid's: scale 1/256, zero point 0.
pub fn default_fixed_qparams_range_0to1_observer() -> FixedQParamsObserver {
    FixedQParamsObserver::new(1.0 / 256.0, 0)
}

/// Outputs in -1..1, such as a hyperbolic tangent's: scale 2/256, zero point 128.
pub fn default_fixed_qparams_range_neg1to1_observer() -> FixedQParamsObserver {
    FixedQParamsObserver::new(2.0 / 256.0, 128)
}

/// Stays `float32`.
pub fn default_placeholder_observer() -> PlaceholderObserver {
    PlaceholderObserver::new()
}

/// Keeps every tensor.
pub fn default_debug_observer() -> RecordingObserver {
    RecordingObserver::new()
}

/// Shares the observer of the input.
pub fn default_reuse_input_observer() -> ReuseInputObserver {
    ReuseInputObserver::new()
}
