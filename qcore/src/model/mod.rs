//! Models and their variants: the float model of the user, the prepared and the converted one.

mod converted;
mod layer;
mod layers;
mod module;
mod parameters;
mod prepared;
mod quantize_dynamic;
mod sequential;
mod state_dict;
mod unbuildable;
mod values;

pub use converted::{Converted, EdgeSummary, ModelSummary};
pub use layer::{HasForward, IsLayer, Layer};
pub use module::{Field, LoadStateDictOptions, Module};
pub use parameters::{Parameters, add_owner, element, join};
pub use prepared::Prepared;
pub use quantize_dynamic::quantize_dynamic;
pub use sequential::Sequential;
pub use state_dict::{StateDict, StateDictMismatch, StateTensor};
pub use unbuildable::Unbuildable;
pub use values::{IntoInput, Values};

pub(crate) use module::tensors;
pub(crate) use parameters::check_finite;
pub(crate) use prepared::outputs;
