//! `avg_pool1d` and `avg_pool2d`: the mean of each window.

use std::sync::Arc;

use qkernels::pool::{AveragePool2d, TieRule};
use serde::{Deserialize, Serialize};

use super::defaults;
use super::inputs::{exactly, float_or_static, with_eight_bit};
use super::kernel::strided;
use super::plain::{no_parameters, plain_op};
use super::pool::{self, Window, native_tie_rule, output_shape, planned};
use super::{Executable, Homogeneity, Lowering, Op, Planned, Size, TensorSpec, unary};
use crate::tensor::MemoryFormat;
use crate::train::{Backward, Gradients};
use crate::{Backend, DType, Result};

/// The mean of each window: `[N, C, L]` to `[N, C, OL]` in one dimension, `[N, C, H, W]` to `[N, C, OH, OW]` in two.
///
/// Used with a size of 0, or padding of more than half the window, it gives an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvgPool<const D: usize> {
    #[serde(flatten)]
    window: Window<D>,
    #[serde(default = "defaults::yes", skip_serializing_if = "defaults::is_yes")]
    count_include_pad: bool,
}

/// [`AvgPool`] over length.
pub type AvgPool1d = AvgPool<1>;
/// [`AvgPool`] over height and width.
pub type AvgPool2d = AvgPool<2>;

impl<const D: usize> AvgPool<D> {
    const FUNCTION: &'static str = match D {
        1 => "avg_pool1d",
        2 => "avg_pool2d",
        _ => "avg_pool3d",
    };

    /// Windows of this size, side by side.
    pub fn new(kernel_size: impl Into<Size<D>>) -> Self {
        Self { window: Window::new(kernel_size.into()), count_include_pad: true }
    }

    /// The distance between two windows; the kernel size if not set.
    #[must_use]
    pub fn stride(mut self, stride: impl Into<Size<D>>) -> Self {
        self.window.stride = stride.into();
        self
    }

    /// The zeros on each side; 0 if not set.
    #[must_use]
    pub fn padding(mut self, padding: impl Into<Size<D>>) -> Self {
        self.window.padding = padding.into();
        self
    }

    /// Whether the output size is rounded up; false if not set.
    #[must_use]
    pub fn ceil_mode(mut self, ceil_mode: bool) -> Self {
        self.window.ceil_mode = ceil_mode;
        self
    }

    /// Whether padding counts as values; true if not set.
    #[must_use]
    pub fn count_include_pad(self, count_include_pad: bool) -> Self {
        Self { count_include_pad, ..self }
    }
}

/// The operation `avg_pool2d(x, kernel_size, ..)`; `stride` is the kernel size if not given, `padding` 0, the output
/// size is rounded down, and padding counts as zeros.
///
/// # Errors
/// When a size is 0, or the padding is more than half of the window.
pub fn avg_pool2d(
    kernel_size: impl Into<Size<2>>,
    stride: Option<Size<2>>,
    padding: Option<Size<2>>,
    ceil_mode: Option<bool>,
    count_include_pad: Option<bool>,
) -> Result<AvgPool2d> {
    pool(kernel_size.into(), stride, padding, ceil_mode, count_include_pad)
}

/// The operation `avg_pool1d(x, kernel_size, ..)`, with the defaults of [`avg_pool2d`].
///
/// # Errors
/// When a size is 0, or the padding is more than half of the window.
pub fn avg_pool1d(
    kernel_size: usize,
    stride: Option<usize>,
    padding: Option<usize>,
    ceil_mode: Option<bool>,
    count_include_pad: Option<bool>,
) -> Result<AvgPool1d> {
    let [stride, padding] = [stride, padding].map(|size| size.map(Size::from));
    pool(Size::from(kernel_size), stride, padding, ceil_mode, count_include_pad)
}

fn pool<const D: usize>(
    kernel_size: Size<D>,
    stride: Option<Size<D>>,
    padding: Option<Size<D>>,
    ceil_mode: Option<bool>,
    count_include_pad: Option<bool>,
) -> Result<AvgPool<D>> {
    let operation = AvgPool::new(kernel_size)
        .stride(stride.unwrap_or(kernel_size))
        .padding(padding.unwrap_or(Size::from(0)))
        .ceil_mode(ceil_mode.unwrap_or(false))
        .count_include_pad(count_include_pad.unwrap_or(true));
    operation.window.check(AvgPool::<D>::FUNCTION)?;
    Ok(operation)
}

no_parameters!(AvgPool<D>, const D);

impl<const D: usize> crate::ObjectType for AvgPool<D> {
    const NAME: &'static str = match D {
        1 => "AvgPool1d",
        2 => "AvgPool2d",
        _ => "AvgPool3d",
    };
}

impl<const D: usize> Op for AvgPool<D> {
    fn name(&self) -> &'static str {
        Self::FUNCTION
    }

    plain_op!();

    fn homogeneity(&self) -> Homogeneity {
        Homogeneity::OfChannels
    }

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        let geometry = self.window.geometry(Self::FUNCTION, pass.input(0)?.shape(), Size::from(1))?;
        pool::backward(pass, |_, gradients, sums| {
            pool::each_window(&geometry, |output, taps| {
                let count = match self.count_include_pad {
                    true => pool::padded_count(&geometry, output),
                    false => taps.clone().count(),
                };
                let share = gradients[output] / count.max(1) as f32;
                taps.for_each(|tap| sums[tap] += share);
            });
        })
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        self.window.check(Self::FUNCTION)?;
        let (pool, backend) = (*self, lowering.backend);
        float_or_static(Self::FUNCTION, lowering, move |inputs| {
            let [x] = exactly(Self::FUNCTION, inputs)?;
            pool.plan(x, backend)
        })
    }
}

impl<const D: usize> AvgPool<D> {
    fn plan(&self, x: &TensorSpec, backend: Backend) -> Result<Planned> {
        let geometry = self.window.geometry(Self::FUNCTION, x.shape(), Size::from(1))?;
        let (shape, count_include_pad) = (output_shape::<D>(&geometry), self.count_include_pad);
        let Some(dtype) = x.dtype() else {
            let kernel = unary::<f32, f32>(Self::FUNCTION, move |x, y| {
                qkernels::float::avg_pool2d(&geometry, count_include_pad, x, y)
            });
            return Ok(planned(kernel, x, &shape, x.memory_format()));
        };
        let (tie_rule, memory_format) = match (backend, dtype) {
            (Backend::Qnnpack, DType::QUInt8) => (TieRule::CenteredPrime, MemoryFormat::ChannelsLast),
            _ => (native_tie_rule(x.memory_format()), x.memory_format()),
        };
        let pool = AveragePool2d { qparams: x.qparams(Self::FUNCTION)?, tie_rule, count_include_pad };
        with_eight_bit!(Self::FUNCTION, dtype, T => {
            let kernel = strided::<T>(Self::FUNCTION, move |x, y, pixel_stride| {
                qkernels::pool::avg_pool2d_into(&geometry, &pool, x, y, pixel_stride)
            });
            Ok(planned(kernel, x, &shape, memory_format))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::ops::tests::{
        assert_values, channels_last, float, int8, integers, qtensor, refuses, run_int8, signed, tensor,
    };

    #[test]
    fn padding_counts_unless_told_otherwise() {
        let x = tensor(&[1, 1, 1, 2], &[2.0, 4.0]);
        let pool = AvgPool2d::new((1, 2)).stride(2).padding((0, 1));
        assert_values(&float(&pool, &[&x]).unwrap(), &[1.0, 2.0]);
        assert_values(&float(&pool.count_include_pad(false), &[&x]).unwrap(), &[2.0, 4.0]);
    }

    #[test]
    fn ties_are_rounded_by_memory_format_and_backend() {
        // The mean of 2 and 3 is a tie: to the even 2 by itself, to 3 as 1.5 -> 2 steps from a zero point of 1.
        let x = qtensor(&[1, 2, 1, 2], &[2, 3, 2, 3], 1.0, 1);
        let pool = avg_pool2d((1, 2), None, None, None, None).unwrap();
        let run = |backend, x: &_| integers(&run_int8(&pool, backend, &[x], x.qparams()).unwrap());
        assert_eq!(run(Backend::Native, &x), [2, 2]);
        assert_eq!(run(Backend::Fbgemm, &channels_last(&x)), [3, 3]);
        assert_eq!(run(Backend::Qnnpack, &x), [3, 3]);
        assert_eq!(integers(&int8(&pool, &[&signed(&x)]).unwrap()), [-126, -126]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(avg_pool2d((0, 1), None, None, None, None).is_err());
        let config = |stride: usize| {
            json!({"kernel_size": [2, 2], "stride": [1, stride], "padding": [0, 0], "ceil_mode": false,
                "count_include_pad": true})
        };
        assert!(!refuses::<AvgPool2d>(config(1)));
        assert!(refuses::<AvgPool2d>(config(0)));
    }
}
