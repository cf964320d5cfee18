//! `max_pool1d` and `max_pool2d`: the largest value of each window.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::defaults;
use super::inputs::{exactly, float_or_static, with_eight_bit};
use super::kernel::strided;
use super::plain::{no_parameters, plain_op};
use super::pool::{self, Window, check_positive, output_shape, planned};
use super::{Executable, Homogeneity, Kernel, Lowering, Op, Planned, Size, TensorSpec, unary};
use crate::tensor::MemoryFormat;
use crate::train::{Backward, Gradients};
use crate::{Backend, Result};

/// The largest value of each window: `[N, C, L]` to `[N, C, OL]` in one dimension, `[N, C, H, W]` to `[N, C, OH, OW]` in
/// two. Padding never wins.
///
/// Used with a size of 0, or padding of more than half the window, it gives an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaxPool<const D: usize> {
    #[serde(flatten)]
    window: Window<D>,
    #[serde(default = "defaults::ones", skip_serializing_if = "defaults::are_ones")]
    dilation: Size<D>,
}

/// [`MaxPool`] over length.
pub type MaxPool1d = MaxPool<1>;
/// [`MaxPool`] over height and width.
pub type MaxPool2d = MaxPool<2>;

impl<const D: usize> MaxPool<D> {
    const FUNCTION: &'static str = match D {
        1 => "max_pool1d",
        2 => "max_pool2d",
        _ => "max_pool3d",
    };

    /// Windows of this size, side by side.
    pub fn new(kernel_size: impl Into<Size<D>>) -> Self {
        Self { window: Window::new(kernel_size.into()), dilation: Size::from(1) }
    }

    /// The distance between two windows; the kernel size if not set.
    #[must_use]
    pub fn stride(mut self, stride: impl Into<Size<D>>) -> Self {
        self.window.stride = stride.into();
        self
    }

    /// The padding on each side, which never wins; 0 if not set.
    #[must_use]
    pub fn padding(mut self, padding: impl Into<Size<D>>) -> Self {
        self.window.padding = padding.into();
        self
    }

    /// The distance between two values of a window; 1 if not set.
    #[must_use]
    pub fn dilation(self, dilation: impl Into<Size<D>>) -> Self {
        Self { dilation: dilation.into(), ..self }
    }

    /// Whether the output size is rounded up; false if not set.
    #[must_use]
    pub fn ceil_mode(mut self, ceil_mode: bool) -> Self {
        self.window.ceil_mode = ceil_mode;
        self
    }

    fn check(&self, operation: &'static str) -> Result<()> {
        self.window.check(operation)?;
        check_positive(operation, "dilation", self.dilation)
    }
}

/// The operation `max_pool2d(x, kernel_size, ..)`; `stride` is the kernel size if not given, `padding` 0, `dilation`
/// 1, and the output size is rounded down.
///
/// # Errors
/// When a size is 0, or the padding is more than half of the window.
pub fn max_pool2d(
    kernel_size: impl Into<Size<2>>,
    stride: Option<Size<2>>,
    padding: Option<Size<2>>,
    dilation: Option<Size<2>>,
    ceil_mode: Option<bool>,
) -> Result<MaxPool2d> {
    pool(kernel_size.into(), stride, padding, dilation, ceil_mode)
}

/// The operation `max_pool1d(x, kernel_size, ..)`, with the defaults of [`max_pool2d`].
///
/// # Errors
/// When a size is 0, or the padding is more than half of the window.
pub fn max_pool1d(
    kernel_size: usize,
    stride: Option<usize>,
    padding: Option<usize>,
    dilation: Option<usize>,
    ceil_mode: Option<bool>,
) -> Result<MaxPool1d> {
    let [stride, padding, dilation] = [stride, padding, dilation].map(|size| size.map(Size::from));
    pool(Size::from(kernel_size), stride, padding, dilation, ceil_mode)
}

fn pool<const D: usize>(
    kernel_size: Size<D>,
    stride: Option<Size<D>>,
    padding: Option<Size<D>>,
    dilation: Option<Size<D>>,
    ceil_mode: Option<bool>,
) -> Result<MaxPool<D>> {
    let operation = MaxPool::new(kernel_size)
        .stride(stride.unwrap_or(kernel_size))
        .padding(padding.unwrap_or(Size::from(0)))
        .dilation(dilation.unwrap_or(Size::from(1)))
        .ceil_mode(ceil_mode.unwrap_or(false));
    operation.check(MaxPool::<D>::FUNCTION)?;
    Ok(operation)
}

no_parameters!(MaxPool<D>, const D);

impl<const D: usize> crate::ObjectType for MaxPool<D> {
    const NAME: &'static str = match D {
        1 => "MaxPool1d",
        2 => "MaxPool2d",
        _ => "MaxPool3d",
    };
}

impl<const D: usize> Op for MaxPool<D> {
    fn name(&self) -> &'static str {
        Self::FUNCTION
    }

    plain_op!();

    fn homogeneity(&self) -> Homogeneity {
        Homogeneity::OfChannels
    }

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        let geometry = self.window.geometry(Self::FUNCTION, pass.input(0)?.shape(), self.dilation)?;
        pool::backward(pass, |plane, gradients, sums| {
            pool::each_window(&geometry, |output, taps| {
                let mut largest = None;
                for tap in taps {
                    // The first of equal ones, and NaN, as in PyTorch.
                    if largest.is_none_or(|at: usize| plane[tap] > plane[at] || plane[tap].is_nan()) {
                        largest = Some(tap);
                    }
                }
                if let Some(largest) = largest {
                    sums[largest] += gradients[output];
                }
            });
        })
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        self.check(Self::FUNCTION)?;
        let (pool, backend) = (*self, lowering.backend);
        float_or_static(Self::FUNCTION, lowering, move |inputs| {
            let [x] = exactly(Self::FUNCTION, inputs)?;
            pool.plan(x, backend)
        })
    }
}

impl<const D: usize> MaxPool<D> {
    fn plan(&self, x: &TensorSpec, backend: Backend) -> Result<Planned> {
        let geometry = self.window.geometry(Self::FUNCTION, x.shape(), self.dilation)?;
        let kernel: Result<Box<dyn Kernel>> = match x.dtype() {
            None => Ok(unary::<f32, f32>(Self::FUNCTION, move |x, y| {
                qkernels::float::max_pool2d(&geometry, x, y)
            })),
            Some(dtype) => with_eight_bit!(Self::FUNCTION, dtype, T => {
                Ok(strided::<T>(Self::FUNCTION, move |x, y, pixel_stride| {
                    qkernels::pool::max_pool2d_into(&geometry, x, y, pixel_stride)
                }))
            }),
        };
        // qnnpack always returns channels-last images.
        let memory_format = match (backend, x.dtype()) {
            (Backend::Qnnpack, Some(_)) => MemoryFormat::ChannelsLast,
            _ => x.memory_format(),
        };
        Ok(planned(kernel?, x, &output_shape::<D>(&geometry), memory_format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::ops::tests::{
        assert_values, channels_last, counting, float, int8, integers, qtensor, refuses, signed, strides,
        tensor,
    };

    #[test]
    fn padding_never_wins_and_ceil_mode_rounds_up() {
        let x = tensor(&[1, 1, 1, 3], &[-1.0, -2.0, -3.0]);
        let pool = MaxPool2d::new((1, 2)).stride((1, 2));
        assert_values(&float(&pool, &[&x]).unwrap(), &[-1.0]);
        assert_values(&float(&pool.ceil_mode(true), &[&x]).unwrap(), &[-1.0, -3.0]);
        assert_values(&float(&pool.padding((0, 1)), &[&x]).unwrap(), &[-1.0, -2.0]);
        assert_values(&float(&pool.dilation((1, 2)), &[&x]).unwrap(), &[-1.0]);
    }

    #[test]
    fn integers_stay_in_their_memory_format() {
        let x = qtensor(&[1, 2, 2, 2], &[1, 2, 3, 4, 8, 7, 6, 5], 1.0, 0);
        let pool = max_pool2d((2, 1), None, None, None, None).unwrap();
        let y = int8(&pool, &[&x]).unwrap();
        assert_eq!(integers(&y), [3, 4, 8, 7]);
        assert_eq!(strides(&y), [4, 2, 2, 1]);
        let z = int8(&pool, &[&channels_last(&x)]).unwrap();
        assert_eq!(z, y);
        assert_eq!(strides(&z)[1], 1);
        assert_eq!(integers(&int8(&pool, &[&signed(&x)]).unwrap()), [-125, -124, -120, -121]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let pool = MaxPool2d::new(3);
        assert!(float(&pool, &[&counting(&[1, 1, 2, 5])]).is_err());
        assert!(float(&pool, &[&counting(&[3, 3])]).is_err());
        assert!(float(&MaxPool2d::new(0), &[&counting(&[1, 1, 2, 2])]).is_err());
        assert!(max_pool2d(2, Some(Size::from(0)), None, None, None).is_err());
        assert!(max_pool2d(2, None, None, Some(Size::from(0)), None).is_err());
        let message = max_pool2d(3, None, Some(Size::from(2)), None, None).unwrap_err().to_string();
        assert_eq!(message, "max_pool2d: padding (2, 2) is more than half of kernel_size (3, 3)");
        let far = MaxPool2d::new(usize::MAX).stride(usize::MAX).dilation(usize::MAX);
        assert!(float(&far, &[&counting(&[1, 1, 2, 2])]).is_err());
        let config = |height: usize, dilation: &[usize]| {
            json!({"kernel_size": [2, height], "stride": [1, 1], "padding": [0, 0], "ceil_mode": false,
                "dilation": dilation})
        };
        assert!(!refuses::<MaxPool2d>(config(2, &[1, 1])));
        assert!(refuses::<MaxPool2d>(config(0, &[1, 1])));
        assert!(refuses::<MaxPool2d>(config(2, &[1, 0])));
        assert!(refuses::<MaxPool2d>(config(2, &[1])));
    }
}
