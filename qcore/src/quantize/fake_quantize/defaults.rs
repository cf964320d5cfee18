//! PyTorch's ready-made fake-quantize modules under their own names (`NUMERICS.md` 3).

use super::FakeQuantize;
use crate::observer::{MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver, QNNPACK_EPS};
use crate::{DType, QScheme};

fn weight_observer() -> MovingAverageMinMaxObserver {
    let observer = MovingAverageMinMaxObserver::new().dtype(DType::QInt8);
    observer.qscheme(QScheme::PerTensorSymmetric).quant_min(-128).quant_max(127)
}

fn per_channel_weight_observer() -> MovingAveragePerChannelMinMaxObserver {
    let observer = MovingAveragePerChannelMinMaxObserver::new().dtype(DType::QInt8);
    observer.qscheme(QScheme::PerChannelSymmetric).quant_min(-128).quant_max(127)
}

fn activation_observer() -> MovingAverageMinMaxObserver {
    MovingAverageMinMaxObserver::new().quant_min(0).quant_max(255)
}

fn embedding_observer() -> MovingAveragePerChannelMinMaxObserver {
    let observer = MovingAveragePerChannelMinMaxObserver::new();
    observer.qscheme(QScheme::PerChannelAffineFloatQParams).averaging_constant(1.0)
}

/// Activations, `quint8` in 0..=127.
pub fn default_fake_quant() -> FakeQuantize {
    FakeQuantize::new(activation_observer().reduce_range(true))
}

/// Weights, `qint8` symmetric per tensor.
pub fn default_weight_fake_quant() -> FakeQuantize {
    FakeQuantize::new(weight_observer())
}

/// Weights, `qint8` symmetric for each output channel.
pub fn default_per_channel_weight_fake_quant() -> FakeQuantize {
    FakeQuantize::new(per_channel_weight_observer())
}

/// Activations, `quint8` in 0..=255, fused.
pub fn default_fused_act_fake_quant() -> FakeQuantize {
    FakeQuantize::fused_moving_avg_obs(activation_observer())
}

/// Weights, `qint8` symmetric per tensor, fused.
pub fn default_fused_wt_fake_quant() -> FakeQuantize {
    FakeQuantize::fused_moving_avg_obs(weight_observer())
}

/// Weights, `qint8` symmetric for each output channel, fused.
pub fn default_fused_per_channel_wt_fake_quant() -> FakeQuantize {
    FakeQuantize::fused_moving_avg_obs(per_channel_weight_observer())
}

/// Weights, `qint8` symmetric per tensor in -127..=127, scale at least 2^-12, fused.
pub fn fused_wt_fake_quant_range_neg_127_to_127() -> FakeQuantize {
    FakeQuantize::fused_moving_avg_obs(weight_observer().quant_min(-127).eps(QNNPACK_EPS))
}

/// Weights, `qint8` symmetric for each output channel in -127..=127, scale at least 2^-12, fused.
pub fn fused_per_channel_wt_fake_quant_range_neg_127_to_127() -> FakeQuantize {
    FakeQuantize::fused_moving_avg_obs(per_channel_weight_observer().quant_min(-127).eps(QNNPACK_EPS))
}

/// Embedding tables, `quint8` with a float zero point for each row.
pub fn default_embedding_fake_quant() -> FakeQuantize {
    FakeQuantize::new(embedding_observer())
}

/// Embedding tables, `quint4x2` with a float zero point for each row.
pub fn default_embedding_fake_quant_4bit() -> FakeQuantize {
    FakeQuantize::new(embedding_observer().dtype(DType::QUInt4x2))
}
