//! PyTorch's presets of [`QConfig`] for quantization-aware training, and their mapping.

use super::{
    FakeQuantize, default_embedding_fake_quant, default_embedding_fake_quant_4bit, default_fake_quant,
    default_fused_act_fake_quant, default_fused_per_channel_wt_fake_quant, default_fused_wt_fake_quant,
    default_per_channel_weight_fake_quant, default_weight_fake_quant,
    fused_per_channel_wt_fake_quant_range_neg_127_to_127, fused_wt_fake_quant_range_neg_127_to_127,
};
use crate::observer::{
    MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver, NoopObserver, QNNPACK_EPS,
    default_fixed_qparams_range_0to1_observer, default_fixed_qparams_range_neg1to1_observer,
};
use crate::{Backend, DType, Error, QConfig, QConfigMapping, QScheme, Result};

impl QConfig {
    /// PyTorch's default of a backend for quantization-aware training (version 1): moving averages, fused.
    ///
    /// | backend | activations | weights |
    /// |---|---|---|
    /// | native, onednn | `quint8` 0..=255 | `qint8` symmetric per channel |
    /// | fbgemm, x86 | `quint8` 0..=127 | `qint8` symmetric per channel |
    /// | qnnpack | `quint8` 0..=255 | `qint8` symmetric per tensor |
    pub fn get_default_qat_qconfig(backend: Backend) -> Self {
        let activation = FakeQuantize::fused_moving_avg_obs(activation_observer(backend));
        match backend {
            Backend::Qnnpack => Self::new(activation, default_fused_wt_fake_quant()),
            Backend::Native | Backend::Fbgemm | Backend::X86 | Backend::Onednn => {
                Self::new(activation, default_fused_per_channel_wt_fake_quant())
            }
        }
    }

    /// Version 0 of [`QConfig::get_default_qat_qconfig`]: the same settings, not fused.
    pub fn get_default_qat_qconfig_v0(backend: Backend) -> Self {
        let activation = FakeQuantize::new(activation_observer(backend));
        match backend {
            Backend::Qnnpack => Self::new(activation, default_weight_fake_quant()),
            Backend::Native | Backend::Fbgemm | Backend::X86 | Backend::Onednn => {
                Self::new(activation, default_per_channel_weight_fake_quant())
            }
        }
    }

    /// Activations in 0..=127, weights per tensor, not fused.
    pub fn default_qat_qconfig() -> Self {
        Self::new(default_fake_quant(), default_weight_fake_quant())
    }

    /// Activations in 0..=255, weights per tensor, fused.
    pub fn default_qat_qconfig_v2() -> Self {
        Self::new(default_fused_act_fake_quant(), default_fused_wt_fake_quant())
    }

    /// Embedding tables in `quint8` with a float zero point for each row.
    pub fn default_embedding_qat_qconfig() -> Self {
        Self::new(NoopObserver::new().dtype(DType::Float32), default_embedding_fake_quant())
    }

    /// Embedding tables in `quint4x2` with a float zero point for each row.
    pub fn default_embedding_qat_qconfig_4bit() -> Self {
        Self::new(NoopObserver::new().dtype(DType::Float32), default_embedding_fake_quant_4bit())
    }

    /// `qint8` activations, symmetric weights in -127..=127 per tensor, scales at least 2^-12, fused.
    pub fn default_symmetric_qnnpack_qat_qconfig() -> Self {
        Self::new(signed_activation(), fused_wt_fake_quant_range_neg_127_to_127())
    }

    /// As [`QConfig::default_symmetric_qnnpack_qat_qconfig`], weights per channel.
    pub fn default_per_channel_symmetric_qnnpack_qat_qconfig() -> Self {
        Self::new(signed_activation(), fused_per_channel_wt_fake_quant_range_neg_127_to_127())
    }

    /// The same activations, with weights of this many bits: `qint8` symmetric per channel in
    /// `-2^(bits-1)..=2^(bits-1)-1`, by [`Observer::calculate_qparams`](crate::Observer::calculate_qparams), so that training
    /// and conversion agree.
    ///
    /// # Errors
    /// When `bits` is not 2 to 8.
    pub fn with_weight_bits(&self, bits: u32) -> Result<Self> {
        if !(2..=8).contains(&bits) {
            return Err(Error::parameter("QConfig", format!("{bits} bits for a weight, which takes 2 to 8")));
        }
        let half = 1 << (bits - 1);
        let observer = MovingAveragePerChannelMinMaxObserver::new().dtype(DType::QInt8);
        let observer = observer.qscheme(QScheme::PerChannelSymmetric).averaging_constant(1.0);
        Ok(self.with_weight(FakeQuantize::new(observer.quant_min(-half).quant_max(half - 1))))
    }
}

impl QConfigMapping {
    /// PyTorch's `get_default_qat_qconfig_mapping`: as [`QConfigMapping::for_backend`], with the qconfigs of
    /// quantization-aware training.
    pub fn for_qat(backend: Backend) -> Self {
        let default = QConfig::get_default_qat_qconfig(backend);
        let zero_to_one = FakeQuantize::new(default_fixed_qparams_range_0to1_observer());
        let minus_one_to_one = FakeQuantize::new(default_fixed_qparams_range_neg1to1_observer());
        let transposed = default.with_weight(default_weight_fake_quant());
        Self::for_backend(backend)
            .with_exceptions(&["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"], &transposed)
            .with_exceptions(
                &["Hardsigmoid", "hardsigmoid", "Sigmoid", "sigmoid", "Softmax", "softmax"],
                &QConfig::new(zero_to_one, default_weight_fake_quant()),
            )
            .with_exceptions(&["Tanh", "tanh"], &QConfig::new(minus_one_to_one, default_weight_fake_quant()))
            .global(default)
    }
}

fn activation_observer(backend: Backend) -> MovingAverageMinMaxObserver {
    let reduce_range = matches!(backend, Backend::Fbgemm | Backend::X86);
    MovingAverageMinMaxObserver::new().quant_min(0).quant_max(255).reduce_range(reduce_range)
}

fn signed_activation() -> FakeQuantize {
    let observer = MovingAverageMinMaxObserver::new().dtype(DType::QInt8).eps(QNNPACK_EPS);
    FakeQuantize::fused_moving_avg_obs(observer.quant_min(-128).quant_max(127))
}
