//! `relu` and `relu6`: negative values become 0, and those above 6 become 6.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::inputs::float_or_static;
use super::plain::{no_parameters, plain_op};
use super::{Activation, Executable, Homogeneity, Lowering, Op, clamp};
use crate::Result;
use crate::train::{Backward, Gradients};

/// Defines one activation, as a layer and as a function.
macro_rules! activation {
    ($activation:ident, $function:ident, $name:literal, $meaning:literal) => {
        #[doc = concat!("`", $meaning, "`, for tensors of any shape.")]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $activation;

        impl $activation {
            #[doc = concat!("The same as `", stringify!($activation), "`.")]
            pub fn new() -> Self {
                Self
            }
        }

        #[doc = concat!("The operation `", $name, "(x)`.")]
        pub fn $function() -> Result<$activation> {
            Ok($activation)
        }

        no_parameters!($activation, stringify!($activation));

        impl Op for $activation {
            fn name(&self) -> &'static str {
                $name
            }

            plain_op!();

            fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
                let limits = Activation::$activation.limits();
                float_or_static($name, lowering, move |inputs| clamp::plan($name, inputs, limits))
            }

            fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
                let [low, high] = Activation::$activation.limits();
                pass.elementwise(|x, _| if x > low && x < high { 1.0 } else { 0.0 })
            }

            fn homogeneity(&self) -> Homogeneity {
                match Activation::$activation {
                    Activation::ReLU => Homogeneity::OfElements,
                    Activation::ReLU6 => Homogeneity::No,
                }
            }

            fn as_activation(&self) -> Option<Activation> {
                Some(Activation::$activation)
            }
        }
    };
}

activation!(ReLU, relu, "relu", "max(x, 0)");
activation!(ReLU6, relu6, "relu6", "min(max(x, 0), 6)");

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Axis, Slice};

    use crate::ops::tests::{channels_last, float, int8, integers, qtensor, signed, strides, tensor};
    use crate::{IntRepr, QTensor};

    #[test]
    fn the_memory_format_stays() {
        let x = channels_last(&qtensor(&[1, 2, 1, 3], &[0, 7, 9, 1, 2, 30], 0.5, 7));
        let y = int8(&ReLU, &[&x]).unwrap();
        assert_eq!(integers(&y), [7, 7, 9, 7, 7, 30]);
        assert_eq!(strides(&y), strides(&x));
        let IntRepr::QUInt8(array) = x.int_repr() else { panic!("quint8") };
        let every_second = array.view().slice_axis(Axis(3), Slice::from(..).step_by(2)).to_shared();
        let part = QTensor::from_int_repr(every_second, x.qparams().clone()).unwrap();
        assert_eq!(integers(&int8(&ReLU, &[&part]).unwrap()), [7, 9, 7, 30]);
    }

    #[test]
    fn zero_is_the_zero_point_and_nan_goes_through() {
        let x = qtensor(&[3], &[0, 7, 9], 0.5, 7);
        assert_eq!(integers(&int8(&ReLU, &[&x]).unwrap()), [7, 7, 9]);
        assert_eq!(integers(&int8(&ReLU, &[&signed(&x)]).unwrap()), [-121, -121, -119]);
        let x = tensor(&[3], &[-1.0, f32::NAN, f32::INFINITY]);
        let y = float(&ReLU, &[&x]).unwrap();
        assert!(matches!(y.as_slice(), Some(&[0.0, nan, f32::INFINITY]) if nan.is_nan()), "{y:?}");
        let y = float(&ReLU6::new(), &[&x]).unwrap();
        assert!(matches!(y.as_slice(), Some(&[0.0, nan, 6.0]) if nan.is_nan()), "{y:?}");
    }
}
