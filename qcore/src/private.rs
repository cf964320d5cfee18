//! Names for generated code. No promise is made about them.

pub use qmacros::quantizable_expand;

pub use crate::archive::{Archive, ArchiveWriter, Record};
pub use crate::converted_op::ConvertedOp;
pub use crate::error::{Error, Result};
pub use crate::graph::*;
pub use crate::layer::{IsLayer, Layer};
pub use crate::model::{ConvertedNetwork, PreparedNetwork, Quantizable};
pub use crate::observation::Observation;
pub use crate::op::{self, Extent, FloatConv2d, FoldBatchNorm, FuseReLU, Op, pair};
pub use crate::parameters::{Parameters, join};
pub use crate::plan::{Conversion, Edge, Member, OpSite, Tracer};
pub use crate::prepared_op::PreparedOp;
pub use crate::program::Value;
pub use crate::qconfig::QConfig;
pub use crate::qtensor::QTensor;
pub use crate::tensor::Tensor;
pub use crate::unbuildable::Unbuildable;
pub use crate::values::Values;
