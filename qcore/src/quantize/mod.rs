//! From a recorded network to an integer one: qconfigs, observed values, and the precision of each call.

mod backend;
mod calibration;
mod calibration_state;
mod check_entries;
mod convert;
mod decide;
mod display;
pub mod fake_quantize;
mod observation;
pub mod observer;
mod plan;
mod qconfig;
mod qconfig_mapping;

pub use backend::Backend;
pub use calibration::{CalibrationOptions, CalibrationReport, EdgeReport, SharedScale};
pub use calibration_state::CalibrationState;
pub use convert::ConvertOptions;
pub use fake_quantize::{FakeQuantGrid, FakeQuantMask, FakeQuantSaved, FakeQuantize, LearnedGradients};
pub use plan::{Plan, PlanNode};
pub use qconfig::QConfig;
pub use qconfig_mapping::{Mode, NodeKey, ObjectType, QConfigMapping};

pub(crate) use check_entries::check_entries;
pub(crate) use convert::convert;
pub(crate) use decide::decide;
pub(crate) use observation::{EdgeStatistics, Observations, ObservedEdge, observe};
pub(crate) use plan::shown;
pub(crate) use qconfig_mapping::{Entry, EntryId, matches_start};
