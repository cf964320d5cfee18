//! Names for generated code. No promise is made about them.

pub use qmacros::quantizable_expand;

pub use crate::error::Result;
pub use crate::inspect::*;
pub use crate::model::{
    Converted, Field, HasForward, IsLayer, Module, Parameters, Prepared, Unbuildable, Values, add_owner,
    element, join,
};
pub use crate::named::{IsOperation, Operation, named};
pub use crate::network::{Loaders, Member, Site, Tracer, Value};
pub use crate::ops::{self, Extent, integer, pair};
pub use crate::quantize::QConfig;
pub use crate::tensor::Tensor;
