//! `Sequential`: layers one after the other, as a tuple.

use super::{Layer, Module, Parameters, join};
use crate::network::{Loaders, Site, Tracer, Value};
use crate::{Result, Tensor};

/// Layers that run one after the other, in a tuple of up to 64.
///
/// In a state dict they have the names `0`, `1`, ... Inside a `#[quantizable]` model they fuse as if they stood
/// there one by one.
///
/// ```
/// use qcore::ops::{BatchNorm2d, Conv2d, ReLU};
/// use qcore::{Sequential, Tensor};
///
/// let stem = Sequential((Conv2d::new(3, 8, 3).padding(1), BatchNorm2d::new(8), ReLU));
/// assert_eq!(stem.forward(Tensor::zeros(&[1, 3, 4, 4]))?.shape(), [1, 8, 4, 4]);
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sequential<T>(pub T);

macro_rules! sequential {
    ($($name:ident $index:tt)+) => {
        impl<$($name: Parameters),+> Parameters for Sequential<($($name,)+)> {
            fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
                $(self.0.$index.parameters(&join(path, stringify!($index)), visit);)+
            }

            fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
                $(self.0.$index.parameters_mut(&join(path, stringify!($index)), visit);)+
            }

            fn check(&self, path: &str) -> Result<()> {
                $(self.0.$index.check(&join(path, stringify!($index)))?;)+
                Ok(())
            }

            fn owners(&self, path: &str, key: &str, owners: &mut Vec<String>) {
                $(self.0.$index.owners(&join(path, stringify!($index)), key, owners);)+
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

        #[diagnostic::do_not_recommend]
        impl<$($name: Module<Input = Tensor, Output = Tensor>),+> Module for Sequential<($($name,)+)> {
            const NAME: &'static str = "Sequential";
            type Input = Tensor;
            type Output = Tensor;

            fn trace(&self, tracer: &mut Tracer<'_>, x: Value) -> Result<Value> {
                $(
                    let site = Site::new(format_args!(stringify!($index)));
                    let x = tracer.scope(site, |tracer| self.0.$index.trace(tracer, x))?;
                )+
                Ok(x)
            }

            fn loaders(loaders: &mut Loaders) {
                $($name::loaders(loaders);)+
            }
        }
    };
}

/// [`sequential!`] for the first element, the first two, and so on.
macro_rules! beginnings {
    ([$($before:tt)*]) => {};
    ([$($before:tt)*] $name:ident $index:tt $($after:tt)*) => {
        sequential!($($before)* $name $index);
        beginnings!([$($before)* $name $index] $($after)*);
    };
}

#[rustfmt::skip]
beginnings! {
    []
    A0 0 A1 1 A2 2 A3 3 A4 4 A5 5 A6 6 A7 7
    B0 8 B1 9 B2 10 B3 11 B4 12 B5 13 B6 14 B7 15
    C0 16 C1 17 C2 18 C3 19 C4 20 C5 21 C6 22 C7 23
    D0 24 D1 25 D2 26 D3 27 D4 28 D5 29 D6 30 D7 31
    E0 32 E1 33 E2 34 E3 35 E4 36 E5 37 E6 38 E7 39
    F0 40 F1 41 F2 42 F3 43 F4 44 F5 45 F6 46 F7 47
    G0 48 G1 49 G2 50 G3 51 G4 52 G5 53 G6 54 G7 55
    H0 56 H1 57 H2 58 H3 59 H4 60 H5 61 H6 62 H7 63
}
