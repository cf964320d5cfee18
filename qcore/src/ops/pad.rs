//! `pad`: tensors with a border of one value, or of their own values.

use std::sync::Arc;

use qkernels::elements::Element;
use qkernels::pad::{Pad as Border, PadAxis};
use qkernels::quantize::quantize_per_tensor;
use serde::{Deserialize, Serialize};

use super::inputs::{exactly, float_or_static, kernel_error_on, with_eight_bit};
use super::plain::{no_parameters, plain_op};
use super::{Executable, Kernel, Lowering, Op, Planned, PlannedKernel, TensorSpec, unary};
use crate::tensor::Layout;
use crate::train::{Backward, Gradients};
use crate::{Error, Result, Tensor};

/// What a border consists of: PyTorch's `constant`, `reflect`, `replicate` and `circular`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PadMode {
    /// One value.
    #[default]
    Constant,
    /// The values on the other side of the edge, without the edge.
    Reflect,
    /// The value at the edge.
    Replicate,
    /// The values from the other end.
    Circular,
}

impl PadMode {
    fn of_kernel(self) -> qkernels::pad::PadMode {
        match self {
            Self::Constant => qkernels::pad::PadMode::Constant,
            Self::Reflect => qkernels::pad::PadMode::Reflect,
            Self::Replicate => qkernels::pad::PadMode::Replicate,
            Self::Circular => qkernels::pad::PadMode::Circular,
        }
    }
}

/// A border around the last axes: of how many values before and behind the last one, those of the last but one, ...
///
/// In int8 the output has the input's scale; a constant is the nearest of its values, 0 the zero point. Used with an odd
/// number of numbers or a constant that is not finite it gives an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pad {
    pad: Vec<usize>,
    #[serde(default)]
    mode: PadMode,
    #[serde(default)]
    value: f32,
}

/// The operation `pad(x, pad, mode, value)`: `mode` is `"constant"` if not given, `"reflect"`, `"replicate"` or `"circular"`;
/// `value`, 0 if not given, is what a constant border consists of. A tensor with too few axes or values is an error when the
/// operation runs.
///
/// # Errors
/// When `pad` has an odd number of numbers or a negative one, the mode is another word, or the value is not finite.
pub fn pad(pad: impl Into<Vec<isize>>, mode: Option<&str>, value: Option<f64>) -> Result<Pad> {
    let pad = pad.into();
    let mode = match mode {
        None | Some("constant") => PadMode::Constant,
        Some("reflect") => PadMode::Reflect,
        Some("replicate") => PadMode::Replicate,
        Some("circular") => PadMode::Circular,
        Some(other) => {
            let known = "\"constant\", \"reflect\", \"replicate\" or \"circular\"";
            return Err(Error::parameter(NAME, format!("mode is {known}, not \"{other}\"")));
        }
    };
    let sizes: Option<Vec<usize>> = pad.iter().map(|&size| usize::try_from(size).ok()).collect();
    let Some(sizes) = sizes else {
        let message = format!("{pad:?} has a negative number: use `narrow` to cut a border off");
        return Err(Error::parameter(NAME, message));
    };
    let operation = Pad { pad: sizes, mode, value: value.unwrap_or(0.0) as f32 };
    operation.check(NAME)?;
    Ok(operation)
}

const NAME: &str = "pad";

no_parameters!(Pad);

impl Op for Pad {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        self.lower_as(NAME, lowering)
    }

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        self.backward_as(NAME, pass)
    }
}

impl Pad {
    fn check(&self, operation: &'static str) -> Result<()> {
        if !self.pad.len().is_multiple_of(2) {
            let message = format!("{:?} are not two numbers for each axis", self.pad);
            return Err(Error::parameter(operation, message));
        }
        if !self.value.is_finite() {
            return Err(Error::parameter(operation, format!("value {} is not finite", self.value)));
        }
        Ok(())
    }

    fn lower_as(&self, operation: &'static str, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        self.check(operation)?;
        let pad = self.clone();
        float_or_static(operation, lowering, move |inputs| {
            let [x] = exactly(operation, inputs)?;
            pad.plan(operation, x)
        })
    }

    /// The axes of a tensor of this shape, in its order.
    fn axes(&self, operation: &'static str, shape: &[usize]) -> Result<Vec<PadAxis>> {
        if self.pad.len() > 2 * shape.len() {
            let message = format!("a tensor of {} axes or more", self.pad.len() / 2);
            return Err(Error::shape(operation, message, shape));
        }
        let borders = self.pad.chunks_exact(2).map(|border| (border[0], border[1]));
        let borders = borders.chain(std::iter::repeat((0, 0)));
        let mut axes: Vec<PadAxis> = shape
            .iter()
            .rev()
            .zip(borders)
            .map(|(&extent, (before, after))| PadAxis { extent, before, after })
            .collect();
        axes.reverse();
        Ok(axes)
    }

    fn plan(&self, operation: &'static str, x: &TensorSpec) -> Result<Planned> {
        let axes = self.axes(operation, x.shape())?;
        let shape: Vec<usize> = axes.iter().map(|axis| axis.output()).collect();
        let output = x.with_image(&shape, x.without_gaps().memory_format()).in_buffer(x.buffer());
        // The order of extents of 1 would say nothing.
        let order = Layout::in_format(&vec![2; shape.len()], x.buffer()).order();
        let in_memory: Vec<PadAxis> = order.into_iter().map(|axis| axes[axis]).collect();
        let border =
            Border::new(self.mode.of_kernel(), &in_memory).map_err(kernel_error_on(operation, x.shape()))?;
        let kernel = match x.dtype() {
            None => kernel(operation, border, self.value),
            Some(dtype) => {
                let qparams = x.qparams(operation)?;
                with_eight_bit!(operation, dtype, T => {
                    let mut constant = [T::default()];
                    let range = <T as qkernels::QuantizedInteger>::RANGE;
                    quantize_per_tensor::<T>(&[self.value], qparams, range, &mut constant)
                        .map_err(super::inputs::kernel_error(operation))?;
                    Ok(kernel(operation, border, constant[0]))
                })?
            }
        };
        Ok(Planned::Kernel(PlannedKernel::new(kernel, vec![output]).inputs([x.buffer()])))
    }

    fn backward_as(&self, operation: &'static str, pass: &Backward<'_>) -> Result<Gradients> {
        let shape = pass.input(0)?.shape();
        let (_, gradient) = pass.output()?;
        let border = Border::new(self.mode.of_kernel(), &self.axes(operation, shape)?)
            .map_err(kernel_error_on(operation, shape))?;
        let mut sums = Tensor::try_zeros(shape)?;
        let values = sums.as_slice_mut().unwrap_or_default();
        for (place, gradient) in border.sources().zip(gradient.as_slice().unwrap_or_default()) {
            if let Some(sum) = place.and_then(|place| values.get_mut(place)) {
                *sum += gradient;
            }
        }
        Ok(Gradients::of_input(sums))
    }
}

fn kernel<T: Element>(operation: &'static str, border: Border, constant: T) -> Box<dyn Kernel> {
    unary::<T, T>(operation, move |x, y| border.run(constant, x, y))
}

/// Defines a layer that is a border of images.
macro_rules! border_layer {
    ($layer:ident, $mode:ident, $meaning:literal $(, $value:ident)?) => {
        #[doc = concat!("A border of ", $meaning, " around images, `[N, C, H, W]` to `[N, C, H + top + bottom, W + left + right]`.")]
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $layer {
            border: Pad,
        }

        impl $layer {
            /// Of so many pixels on all sides.
            pub fn new(padding: usize $(, $value: impl Into<f64>)?) -> Self {
                Self::sides([padding; 4] $(, $value)?)
            }

            /// Of so many pixels on the left, on the right, above and below.
            pub fn sides(padding: [usize; 4] $(, $value: impl Into<f64>)?) -> Self {
                let value = 0.0_f32;
                $(let value = value + $value.into() as f32;)?
                Self { border: Pad { pad: padding.to_vec(), mode: PadMode::$mode, value } }
            }
        }

        no_parameters!($layer, stringify!($layer));

        impl Op for $layer {
            fn name(&self) -> &'static str {
                stringify!($layer)
            }

            plain_op!();

            fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
                self.border.lower_as(stringify!($layer), lowering)
            }

            fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
                self.border.backward_as(stringify!($layer), pass)
            }
        }
    };
}

border_layer!(ZeroPad2d, Constant, "zeros");
border_layer!(ConstantPad2d, Constant, "one value", value);
border_layer!(ReflectionPad2d, Reflect, "the values on the other side of the edge");
border_layer!(ReplicationPad2d, Replicate, "the values at the edge");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{
        assert_values, channels_last, counting, float, int8, integers, qtensor, refuses, tensor,
    };
    use serde_json::json;

    #[test]
    fn borders_are_those_of_the_mode() {
        let x = counting(&[1, 3]);
        let padded = |mode, value| float(&pad([2, 1], Some(mode), value).unwrap(), &[&x]).unwrap();
        assert_values(&padded("constant", Some(7.0)), &[7.0, 7.0, 0.0, 1.0, 2.0, 7.0]);
        assert_values(&padded("reflect", None), &[2.0, 1.0, 0.0, 1.0, 2.0, 1.0]);
        assert_values(&padded("replicate", None), &[0.0, 0.0, 0.0, 1.0, 2.0, 2.0]);
        assert_values(&padded("circular", None), &[1.0, 2.0, 0.0, 1.0, 2.0, 0.0]);
        let y = float(&pad([0, 0, 1, 0], None, None).unwrap(), &[&x]).unwrap();
        assert_values(&y, &[0.0, 0.0, 0.0, 0.0, 1.0, 2.0]);
    }

    #[test]
    fn borders_that_do_not_fit_are_refused() {
        let x = counting(&[1, 3]);
        assert!(pad([1], None, None).is_err());
        assert!(pad([-1, 0], None, None).unwrap_err().to_string().contains("narrow"));
        assert!(pad([1, 0], Some("edge"), None).is_err());
        assert!(pad([1, 0], None, Some(f64::INFINITY)).is_err());
        assert!(float(&pad([3, 0], Some("reflect"), None).unwrap(), &[&x]).is_err());
        assert!(float(&pad([1; 6], None, None).unwrap(), &[&x]).is_err());
        assert!(refuses::<Pad>(json!({"pad": [1, 2, 3]})));
    }

    #[test]
    fn integers_have_borders_of_their_zero_point() {
        let x = qtensor(&[1, 2, 1, 2], &[1, 2, 3, 4], 0.5, 9);
        for x in [&x, &channels_last(&x)] {
            let y = int8(&ZeroPad2d::sides([1, 0, 0, 1]), &[x]).unwrap();
            assert_eq!(integers(&y), [9, 1, 2, 9, 9, 9, 9, 3, 4, 9, 9, 9]);
            let y = int8(&ConstantPad2d::sides([1, 0, 0, 0], 2.0), &[x]).unwrap();
            assert_eq!(integers(&y), [13, 1, 2, 13, 3, 4]);
            let y = int8(&ReflectionPad2d::sides([0, 1, 0, 0]), &[x]).unwrap();
            assert_eq!(integers(&y), [1, 2, 1, 3, 4, 3]);
            let y = int8(&ReplicationPad2d::sides([0, 1, 0, 0]), &[x]).unwrap();
            assert_eq!(integers(&y), [1, 2, 2, 3, 4, 4]);
        }
    }

    #[test]
    fn gradients_are_summed_where_values_come_from() {
        let (x, y) = (counting(&[3]), counting(&[6]));
        let gradients = [tensor(&[6], &[1.0, 10.0, 100.0, 1000.0, 1e4, 1e5])];
        let pass = Backward { inputs: &[x], outputs: &[y], gradients: &gradients };
        let of =
            |mode| pad([2, 1], Some(mode), None).unwrap().backward(&pass).unwrap().inputs.remove(0).unwrap();
        assert_values(&of("constant"), &[100.0, 1000.0, 1e4]);
        assert_values(&of("replicate"), &[111.0, 1000.0, 110_000.0]);
        assert_values(&of("reflect"), &[100.0, 101_010.0, 10_001.0]);
    }
}
