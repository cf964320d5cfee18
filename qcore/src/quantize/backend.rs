//! The engines whose defaults and numerics can be asked for.

use serde::{Deserialize, Serialize};

/// Whose qconfig defaults and whose requantization formula to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Ours: full 8-bit activations, per-channel weights, fbgemm's formula. Our kernels never saturate
    /// inside a sum, so the range need not be reduced.
    #[default]
    Native,
    /// PyTorch's `fbgemm`: activations in 0..=127, per-channel weights.
    Fbgemm,
    /// PyTorch's `x86`: as `fbgemm`.
    X86,
    /// PyTorch's `qnnpack`: activations in 0..=255, per-tensor weights, integer bias.
    Qnnpack,
    /// PyTorch's `onednn`: activations in 0..=255, per-channel weights, zero point added before rounding.
    Onednn,
}

impl Backend {
    /// Every backend.
    pub const ALL: [Self; 5] = [Self::Native, Self::Fbgemm, Self::X86, Self::Qnnpack, Self::Onednn];

    /// The name in lower case, as PyTorch spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Fbgemm => "fbgemm",
            Self::X86 => "x86",
            Self::Qnnpack => "qnnpack",
            Self::Onednn => "onednn",
        }
    }
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Backend {
    type Err = crate::Error;

    fn from_str(name: &str) -> crate::Result<Self> {
        Self::ALL.into_iter().find(|backend| backend.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            crate::Error::parameter("Backend", format!("no backend `{name}`; there are {known}"))
        })
    }
}
