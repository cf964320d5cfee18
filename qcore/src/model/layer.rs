//! `Layer`: the type of a model's field, besides a nested model.

use crate::ops::{Lowering, Op};
use crate::program::evaluate_float;
use crate::{Result, Tensor};

/// A layer with PyTorch's parameters: one tensor in, one tensor out.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer that `#[quantizable]` knows",
    note = "layers are the types of `qcore::prelude`, e.g. `Conv2d`, `Linear`, `ReLU`",
    note = "a nested model needs `#[quantizable]` on its own struct and impl"
)]
pub trait Layer: Op {
    /// Runs the layer in float.
    ///
    /// # Errors
    /// When a parameter is outside its domain, or the shape does not fit.
    fn forward(&self, x: Tensor) -> Result<Tensor>;
}

impl<O: Op> Layer for O {
    fn forward(&self, x: Tensor) -> Result<Tensor> {
        evaluate_float(self.lower(&Lowering::float())?.as_ref(), vec![x])
    }
}

/// What the macro takes for granted of a field whose type is called like the layer `L`: that it is `L`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is called like a layer of qcore and is not `{L}`",
    note = "`#[quantizable]` knows layers by their names: import qcore's, or give the other type another name"
)]
pub trait IsLayer<L> {
    /// The layer.
    fn as_layer(&self) -> &L;

    /// The layer, to change it.
    fn as_layer_mut(&mut self) -> &mut L;
}

impl<L> IsLayer<L> for L {
    fn as_layer(&self) -> &L {
        self
    }

    fn as_layer_mut(&mut self) -> &mut L {
        self
    }
}

/// That the `impl` block of a model is read, asked where its struct is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has `#[quantizable]` on its struct and on no `impl` block",
    label = "the `forward` of this model is not read",
    note = "write `#[quantizable]` above the `impl` block with `pub fn forward(&self, x: Tensor) -> Tensor`, too"
)]
pub trait HasForward {
    /// To be named where it is asked for.
    const IS_READ: () = ();
}
