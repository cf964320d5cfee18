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
//! let images = vec![Tensor::from_vec(&[4, 3, 8, 8], (0..768).map(|i| (i as f32).sin()).collect())?];
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
mod accuracy;
mod error;
mod file;
pub mod functional;
mod inspect;
mod model;
mod named;
mod network;
pub mod ops;
pub mod prelude;
mod program;
mod progress_bar;
mod quantize;
mod suggest;
mod tensor;
pub mod train;

/// The arrays that tensors are made of and become.
pub use ndarray;
/// The kernels, on slices: what operations of your own may call.
pub use qkernels;
pub use qmacros::quantizable;

pub use accuracy::{EqualizationOptions, EqualizationReport, EqualizedPair};
pub use error::{Error, Result};
pub use file::{LoadOptions, write_file};
pub use inspect::{
    Compared, Comparison, ComparisonKind, ComparisonRow, Domain, Equivalence, ErrorMetrics, Graph,
    GraphCarried, GraphMember, GraphMerged, GraphNode, GraphNodeKind, GraphValue, Histogram, Latency,
    OperationReport, Report, Score, StepLatency, StubAction, Summary, SummaryRow, WeightChannels,
    compare_activations, compare_shadow, compare_weights, equivalence, error_metrics, summary,
};
pub use model::{
    Converted, EdgeSummary, IntoInput, Layer, LoadStateDictOptions, ModelSummary, Module, Parameters,
    Prepared, Sequential, StateDict, StateDictMismatch, StateTensor, Values, join, quantize_dynamic,
};
pub use network::{
    Call, Loaders, Member, Network, Node, NodeMember, Site, StoredTensors, TensorWriter, Tracer, Value,
};
pub use observer::Observer;
pub use ops::{Precision, Size};
pub use program::{MemoryReport, NonFinite, Profile, StepProfile, evaluate};
pub use qkernels::memory::{memory_limit, set_memory_limit};
pub use qkernels::threads::{num_threads, set_num_threads};
pub use quantize::{
    Backend, CalibrationOptions, CalibrationReport, CalibrationState, ConvertOptions, EdgeReport,
    FakeQuantGrid, FakeQuantMask, FakeQuantSaved, FakeQuantize, LearnedGradients, Mode, NodeKey, ObjectType,
    Plan, PlanNode, QConfig, QConfigMapping, SharedScale,
};
pub use quantize::{fake_quantize, observer};
pub use tensor::{
    AnyTensor, DType, FloatQParams, IntRepr, MemoryFormat, QParams, QScheme, QTensor, Rearrangement, Tensor,
    affine_float_qparams, affine_qparams, choose_qparams, round_to_float16, symmetric_scale,
    symmetric_zero_point,
};
