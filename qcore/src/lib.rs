//! Int8 neural-network quantization, checked and generated at compile time.
//!
//! A model is written once, as a struct and a `forward` body that reads like PyTorch. `#[quantizable]` on both
//! reads the body at compile time and writes two more variants: a *prepared* one, whose edges are observed, and a
//! *converted* one, which runs on integer kernels.
//!
//! ```
//! use qcore::prelude::*;
//!
//! #[quantizable]
//! struct Net {
//!     conv: Conv2d,
//!     bn: BatchNorm2d,
//!     fc: Linear,
//! }
//!
//! #[quantizable]
//! impl Net {
//!     fn forward(&self, x: Tensor) -> Tensor {
//!         let y = relu(self.bn(self.conv(x)));
//!         self.fc(adaptive_avg_pool2d(y, 1).flatten(1))
//!     }
//! }
//!
//! # fn main() -> qcore::Result<()> {
//! let model = Net { conv: Conv2d::new(3, 8, 3), bn: BatchNorm2d::new(8), fc: Linear::new(8, 10) };
//! let images = vec![Tensor::zeros(&[4, 3, 8, 8])];
//!
//! let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?; // fuse, wrap, observe
//! prepared.calibrate(&images)?; // progress bar, then a report
//! let int8 = prepared.convert()?; // refuses what never saw data
//! let logits = int8.forward(&images[0])?;
//! assert_eq!(logits.shape(), [4, 10]);
//! # Ok(())
//! # }
//! ```

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod archive;
mod backend;
mod calibration;
mod calibration_state;
mod converted;
mod converted_op;
mod dtype;
mod equivalence;
mod error;
mod file;
pub mod functional;
mod graph;
mod int_repr;
mod layer;
pub mod layers;
mod model;
mod observation;
pub mod observer;
#[doc(hidden)]
pub mod op;
mod parameters;
mod plan;
pub mod prelude;
mod prepared;
mod prepared_op;
mod program;
mod qconfig;
mod qconfig_mapping;
mod qparams;
mod qtensor;
mod sequential;
mod state_dict;
mod suggest;
mod tensor;
mod unbuildable;
mod values;

pub use qmacros::quantizable;

pub use backend::Backend;
pub use calibration::{CalibrationOptions, CalibrationReport, EdgeReport};
pub use calibration_state::CalibrationState;
pub use converted::{Converted, EdgeSummary, ModelSummary};
pub use dtype::DType;
pub use equivalence::{Equivalence, equivalence};
pub use error::{Error, Result, StateDictMismatch};
pub use graph::{
    Domain, Graph, GraphCarried, GraphMember, GraphMerged, GraphNode, GraphNodeKind, GraphValue, StubAction,
};
pub use int_repr::IntRepr;
pub use layer::Layer;
pub use layers::*;
pub use model::Quantizable;
pub use observer::Observer;
pub use op::Pair;
pub use parameters::Parameters;
pub use plan::{Plan, PlanNode};
pub use prepared::Prepared;
pub use program::{MemoryReport, Profile, StepProfile};
pub use qconfig::QConfig;
pub use qconfig_mapping::{Mode, NodeKey, ObjectType, QConfigMapping};
pub use qkernels::threads::{num_threads, set_num_threads};
pub use qparams::{
    FloatQParams, QParams, QScheme, affine_float_qparams, affine_qparams, choose_qparams, symmetric_scale,
    symmetric_zero_point,
};
pub use qtensor::{QTensor, round_to_float16};
pub use sequential::Sequential;
pub use state_dict::StateDict;
pub use tensor::Tensor;
pub use values::{IntoInput, Values};
