//! Layers: the fields of a model, with PyTorch's names, parameters and defaults.
//!
//! ```
//! use qcore::layers::{Conv2d, MaxPool2d};
//! use qcore::{Layer, Tensor};
//!
//! let conv = Conv2d::new(3, 8, 3).stride(2).padding(1).bias(false);
//! let y = conv.forward(Tensor::zeros(&[1, 3, 32, 32]))?;
//! let y = MaxPool2d::new((2, 2)).forward(y)?;
//! assert_eq!(y.shape(), [1, 8, 8, 8]);
//! # Ok::<(), qcore::Error>(())
//! ```
//!
//! Constructors never fail: what is wrong with a layer's parameters is said when it is used. A new layer has
//! weights drawn from PyTorch's distribution, but always the same ones for a layer of the same type and sizes;
//! real ones come from a state dict.

mod activation;
mod batch_norm;
mod conv2d;
mod flatten;
mod identity;
mod init;
mod linear;
mod pool;

pub use activation::{ReLU, ReLU6};
pub use batch_norm::{BatchNorm1d, BatchNorm2d};
pub use conv2d::Conv2d;
pub use flatten::Flatten;
pub use identity::{Dropout, Identity};
pub use linear::Linear;
pub use pool::{AdaptiveAvgPool2d, AvgPool2d, MaxPool2d};

/// Implements `Layer` and `ObjectType`: the operation is what `$layer::operation` gives.
macro_rules! layer {
    ($layer:ty, $name:literal, $operation:ty) => {
        impl $crate::Layer for $layer {
            const KIND: &'static str = $name;
            type Op = $operation;

            fn op(&self) -> $crate::Result<$operation> {
                self.operation()
            }
        }

        impl $crate::ObjectType for $layer {
            const NAME: &'static str = $name;
        }
    };
}
use layer;

/// [`layer!`] for a layer without tensors.
macro_rules! layer_without_parameters {
    ($layer:ty, $name:literal, $operation:ty) => {
        $crate::layers::layer!($layer, $name, $operation);

        impl $crate::parameters::Parameters for $layer {
            fn parameters(&self, _path: &str, _visit: &mut dyn FnMut(String, &$crate::Tensor)) {}

            fn parameters_mut(&mut self, _path: &str, _visit: &mut dyn FnMut(String, &mut $crate::Tensor)) {}
        }
    };
}
use layer_without_parameters;

/// `tensor`, if it has the shape that a layer needs.
fn fitting(
    layer: &'static str,
    what: &str,
    tensor: crate::Tensor,
    shape: &[usize],
) -> crate::Result<crate::Tensor> {
    if tensor.shape() == shape {
        return Ok(tensor);
    }
    Err(crate::Error::shape(layer, format!("a {what} of shape {shape:?}"), tensor.shape()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::Parameters;
    use crate::{Layer, ObjectType, Sequential, Tensor};

    fn keys(layer: &impl Parameters) -> Vec<String> {
        let mut keys = Vec::new();
        layer.parameters("", &mut |key, _| keys.push(key));
        keys
    }

    #[test]
    fn state_dict_keys_are_pytorchs() {
        assert_eq!(keys(&Conv2d::new(1, 1, 1)), ["weight", "bias"]);
        assert_eq!(keys(&Linear::new(1, 1).bias(false)), ["weight"]);
        assert_eq!(keys(&BatchNorm2d::new(1)), ["weight", "bias", "running_mean", "running_var"]);
        assert_eq!(keys(&BatchNorm1d::new(1).affine(false)), ["running_mean", "running_var"]);
        let layers = Sequential((Conv2d::new(1, 1, 1).bias(false), ReLU, Linear::new(1, 1)));
        assert_eq!(keys(&layers), ["0.weight", "2.weight", "2.bias"]);
        assert_eq!((Conv2d::KIND, <Conv2d as ObjectType>::NAME), ("Conv2d", "Conv2d"));
    }

    #[test]
    fn new_weights_are_small_and_always_the_same() {
        let layer = Conv2d::new(8, 4, 3).groups(2);
        assert_eq!(layer, Conv2d::new(8, 4, 3).groups(2));
        assert_eq!(layer.weight().shape(), [4, 4, 3, 3]);
        let bound = 1.0 / 6.0;
        assert!(layer.weight().view().iter().all(|value| value.abs() <= bound));
        let mean = layer.weight().view().iter().sum::<f32>() / 144.0;
        assert!(mean.abs() < bound / 4.0, "{mean}");
        assert!(layer.weight().view().iter().any(|value| value.abs() > bound / 2.0));
        assert_eq!(layer.clone().bias(false).bias(true), layer);
    }

    #[test]
    fn what_is_wrong_with_a_layer_shows_when_it_is_used() {
        let message = Conv2d::new(3, 4, 1).groups(2).op().unwrap_err().to_string();
        assert_eq!(message, "Conv2d: groups 2 does not divide in_channels 3 and out_channels 4");
        assert!(Conv2d::new(3, 4, 1).groups(0).op().is_err());
        assert!(Conv2d::new(3, 4, 0).op().is_err());
        assert!(Conv2d::new(0, 4, 1).op().is_err());
        assert!(Conv2d::new(usize::MAX, 4, 1).op().is_err());
        assert!(Linear::new(usize::MAX, usize::MAX).op().is_err());
        assert!(BatchNorm2d::new(0).op().is_err());
        assert!(BatchNorm2d::new(usize::MAX).op().is_err());
        assert!(MaxPool2d::new(0).op().is_err());
        assert!(AdaptiveAvgPool2d::new(0).op().is_err());
        assert!(Dropout::new(2).op().is_err());
        assert!(Conv2d::new(3, 4, 1).with_weight(Tensor::zeros(&[4, 3])).is_err());
        assert!(BatchNorm2d::new(2).with_statistics(Tensor::zeros(&[2]), Tensor::zeros(&[3])).is_err());
    }

    #[test]
    fn layers_run_in_float() {
        let x = Tensor::from_vec(&[1, 1, 2, 2], vec![-8.0, 2.0, 4.0, 10.0]).unwrap();
        let layers = Sequential((
            AvgPool2d::new((1, 2)),
            ReLU6,
            Dropout::default(),
            Identity,
            BatchNorm2d::new(1).eps(0.0),
            Flatten::new(),
        ));
        assert_eq!(layers.forward(x.clone()).unwrap().as_slice(), Some(&[0.0, 6.0][..]));
        let pools = Sequential((MaxPool2d::new(2).stride(1), AdaptiveAvgPool2d::new(1)));
        assert_eq!(pools.forward(x.clone()).unwrap().as_slice(), Some(&[10.0][..]));
        let message = Sequential((ReLU, Linear::new(3, 1))).forward(x).unwrap_err().to_string();
        assert_eq!(message, "in `1`: Linear expected [.., 3], found shape [1, 1, 2, 2]");
    }
}
