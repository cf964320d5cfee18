//! `Sequential`: layers one after the other, as a tuple.

use crate::parameters::{Parameters, join};
use crate::{Layer, Result, Tensor};

/// Layers that run one after the other, in a tuple of up to 16.
///
/// In a state dict they have the names `0`, `1`, ... Inside a `#[quantizable]` model they fuse as if they stood
/// there one by one.
///
/// ```
/// use qcore::layers::{BatchNorm2d, Conv2d, ReLU};
/// use qcore::{Sequential, Tensor};
///
/// let stem = Sequential((Conv2d::new(3, 8, 3).padding(1), BatchNorm2d::new(8), ReLU));
/// assert_eq!(stem.forward(Tensor::zeros(&[1, 3, 4, 4]))?.shape(), [1, 8, 4, 4]);
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sequential<T>(pub T);

macro_rules! tuples {
    ($($($name:ident $index:tt),+;)+) => {$(
        impl<$($name: Parameters),+> Parameters for Sequential<($($name,)+)> {
            fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
                $(self.0.$index.parameters(&join(path, stringify!($index)), visit);)+
            }

            fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
                $(self.0.$index.parameters_mut(&join(path, stringify!($index)), visit);)+
            }
        }

        impl<$($name: Layer),+> Sequential<($($name,)+)> {
            /// Runs the layers in float.
            ///
            /// # Errors
            /// When a shape does not fit; the error names the layer's index.
            pub fn forward(&self, x: Tensor) -> Result<Tensor> {
                $(let x = self.0.$index.forward(x).map_err(|error| error.in_layer(stringify!($index)))?;)+
                Ok(x)
            }
        }
    )+};
}

tuples! {
    A 0;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15;
}
