//! `Values`: one tensor or a tuple of them, or as many values of another type.

use ndarray::{Array, ArrayView, Dimension};

use crate::{Result, Tensor};

/// The inputs or outputs of a model: `Tensor`, or a tuple of `Tensor`s.
pub trait Values: Sized + 'static {
    /// As many of another type.
    type Of<T>;
    /// How many there are.
    const COUNT: usize;

    /// Makes each in turn.
    ///
    /// # Errors
    /// The first that `make` gives.
    fn build<T>(make: impl FnMut(usize) -> Result<T>) -> Result<Self::Of<T>>;

    /// The tensor at `index`, to change it.
    fn get_mut(&mut self, index: usize) -> Option<&mut Tensor>;

    /// Shows them all, in order.
    fn with_all<R>(&self, read: impl FnOnce(&[&Tensor]) -> R) -> R;

    /// All of them, in order.
    fn into_vec<T>(values: Self::Of<T>) -> Vec<T>;

    /// Tensors, as the type itself.
    fn from_tensors(tensors: Self::Of<Tensor>) -> Self;

    /// The reverse of [`Values::from_tensors`].
    fn into_tensors(self) -> Self::Of<Tensor>;
}

impl Values for Tensor {
    type Of<T> = T;
    const COUNT: usize = 1;

    fn build<T>(mut make: impl FnMut(usize) -> Result<T>) -> Result<T> {
        make(0)
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut Tensor> {
        (index == 0).then_some(self)
    }

    fn with_all<R>(&self, read: impl FnOnce(&[&Tensor]) -> R) -> R {
        read(&[self])
    }

    fn into_vec<T>(value: T) -> Vec<T> {
        vec![value]
    }

    fn from_tensors(tensor: Tensor) -> Self {
        tensor
    }

    fn into_tensors(self) -> Tensor {
        self
    }
}

/// What can be given to a model as its input: a tensor or a reference to one, an array or a view of `ndarray`, a tuple
/// of them for a model with several inputs, or a `Result` of either, as data loaders give.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an input for this model, which takes `{Input}`",
    note = "pass a `Tensor` or `&Tensor`, or a tuple of as many as `forward` has parameters"
)]
pub trait IntoInput<Input> {
    /// The input itself.
    ///
    /// # Errors
    /// When `self` was an error already.
    fn into_input(self) -> Result<Input>;
}

impl IntoInput<Self> for Tensor {
    fn into_input(self) -> Result<Self> {
        Ok(self)
    }
}

impl IntoInput<Tensor> for &Tensor {
    fn into_input(self) -> Result<Tensor> {
        Ok(self.clone())
    }
}

impl<D: Dimension> IntoInput<Tensor> for Array<f32, D> {
    fn into_input(self) -> Result<Tensor> {
        Ok(self.into())
    }
}

impl<D: Dimension> IntoInput<Tensor> for &Array<f32, D> {
    fn into_input(self) -> Result<Tensor> {
        Ok(self.view().into())
    }
}

impl<D: Dimension> IntoInput<Tensor> for ArrayView<'_, f32, D> {
    fn into_input(self) -> Result<Tensor> {
        Ok(self.into())
    }
}

impl<Input, T: IntoInput<Input>> IntoInput<Input> for Result<T> {
    fn into_input(self) -> Result<Input> {
        self?.into_input()
    }
}

macro_rules! tensor_for {
    ($name:ident) => {
        Tensor
    };
}

macro_rules! tuples {
    ($($count:literal: $($name:ident $index:tt),+;)+) => {$(
        impl Values for ($(tensor_for!($name),)+) {
            type Of<T> = ($(tuples!(@ty T $name),)+);
            const COUNT: usize = $count;

            fn build<T>(mut make: impl FnMut(usize) -> Result<T>) -> Result<Self::Of<T>> {
                Ok(($(make($index)?,)+))
            }

            fn get_mut(&mut self, index: usize) -> Option<&mut Tensor> {
                match index {
                    $($index => Some(&mut self.$index),)+
                    _ => None,
                }
            }

            fn with_all<R>(&self, read: impl FnOnce(&[&Tensor]) -> R) -> R {
                read(&[$(&self.$index),+])
            }

            fn into_vec<T>(values: Self::Of<T>) -> Vec<T> {
                vec![$(values.$index),+]
            }

            fn from_tensors(tensors: Self::Of<Tensor>) -> Self {
                tensors
            }

            fn into_tensors(self) -> Self::Of<Tensor> {
                self
            }
        }

        impl<$($name: Into<Tensor>),+> IntoInput<($(tensor_for!($name),)+)> for ($($name,)+) {
            fn into_input(self) -> Result<($(tensor_for!($name),)+)> {
                Ok(($(self.$index.into(),)+))
            }
        }
    )+};
    (@ty $ty:ident $name:ident) => { $ty };
}

tuples! {
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, F 5;
    7: A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}
