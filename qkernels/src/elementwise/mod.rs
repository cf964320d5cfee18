//! Operations on quantized tensors element by element.
//!
//! Binary operations take operands of equal length; the second may also be shorter when its length
//! divides the first's, and is then repeated: one element is a scalar, C elements a row added to
//! every pixel of a channels-last image. Other broadcasting is the caller's.

mod add;
mod add_qnnpack;
mod batch_norm;
mod binary;
mod cat;
mod floats;
mod lookup;
mod mul;
mod prelu;
mod scalar;
mod unary;

pub use crate::qparams::BinaryQParams;
pub use add::{add, sub};
pub use add_qnnpack::add_qnnpack;
pub use batch_norm::{BatchNorm, batch_norm};
pub use cat::{CatInput, cat, cat_into};
pub use floats::zip_floats;
pub use lookup::LookupTable;
pub use mul::mul;
pub use prelu::{PReLU, prelu};
pub use scalar::{ScalarResult, add_scalar, mul_scalar};
pub use unary::{clamp, relu, requantize};
