//! Observers that look at no data and only give the dtype of an edge: placeholder, noop, reuse input.

use serde::{Deserialize, Serialize};

use super::state;
use super::{Observer, common_methods};
use crate::{DType, QParams, QScheme, Result, Tensor, observer::ObserverSettings};

/// The methods of an observer that looks at no data.
macro_rules! dataless_methods {
    ($why:literal) => {
        fn observe(&mut self, _x: &Tensor) -> Result<()> {
            Ok(())
        }

        fn calculate_qparams(&self) -> Result<QParams> {
            Err(self.refusal($why))
        }

        fn gives_qparams(&self) -> bool {
            false
        }

        fn has_observed(&self) -> bool {
            true
        }

        fn reset(&mut self) {}

        fn merge(&mut self, other: &dyn Observer) -> Result<()> {
            state::same_kind(self, other).map(drop)
        }
    };
}

/// Says which type an edge gets, without data: half precision, float, or quantized at run time from each
/// input's own range (`is_dynamic`).
///
/// ```
/// use qcore::DType;
/// use qcore::observer::PlaceholderObserver;
///
/// let dynamic = PlaceholderObserver::new().dtype(DType::QUInt8).is_dynamic(true);
/// let half = PlaceholderObserver::new().dtype(DType::Float16);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaceholderObserver {
    settings: ObserverSettings,
    is_dynamic: bool,
}

impl Default for PlaceholderObserver {
    fn default() -> Self {
        let settings = ObserverSettings { dtype: DType::Float32, ..ObserverSettings::default() };
        Self { settings, is_dynamic: false }
    }
}

impl PlaceholderObserver {
    /// `float32`, not dynamic.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether the range is taken from each input at run time.
    #[must_use]
    pub fn is_dynamic(mut self, is_dynamic: bool) -> Self {
        self.is_dynamic = is_dynamic;
        self
    }

    super::settings::settings_builders!();
}

impl Observer for PlaceholderObserver {
    common_methods!("PlaceholderObserver");
    dataless_methods!("looks at no data and has no qparams; it only carries a dtype");

    fn dtype(&self) -> DType {
        self.settings.dtype
    }

    fn qscheme(&self) -> QScheme {
        self.settings.qscheme
    }

    fn is_dynamic(&self) -> bool {
        self.is_dynamic
    }
}

/// Carries a dtype and does nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoopObserver {
    dtype: DType,
}

impl Default for NoopObserver {
    fn default() -> Self {
        Self { dtype: DType::Float16 }
    }
}

impl NoopObserver {
    /// `float16`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the type.
    #[must_use]
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.dtype = dtype;
        self
    }
}

impl Observer for NoopObserver {
    common_methods!("NoopObserver");
    dataless_methods!("looks at no data and has no qparams; it only carries a dtype");

    fn dtype(&self) -> DType {
        self.dtype
    }
}

/// Marks an output that has its input's scale and zero point, such as a reshape's.
///
/// Whoever places observers gives such an output the observer of its input; if the input is not observed, the
/// output is not either. The marker itself never sees data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReuseInputObserver {}

impl ReuseInputObserver {
    /// The marker.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Observer for ReuseInputObserver {
    common_methods!("ReuseInputObserver");
    dataless_methods!("stands for the observer of the input, which is the one to ask");

    fn dtype(&self) -> DType {
        DType::QUInt8
    }
}
