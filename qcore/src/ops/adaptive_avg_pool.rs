//! `adaptive_avg_pool1d` and `adaptive_avg_pool2d`: means over windows that follow from the output size.

use std::sync::Arc;

use qkernels::geometry::AdaptivePool2dGeometry;
use qkernels::pool::TieRule;
use serde::{Deserialize, Serialize};

use super::inputs::{exactly, float_or_static, kernel_error_on, with_eight_bit};
use super::plain::{no_parameters, plain_op};
use super::pool::{self, check_positive, native_tie_rule, planar, planar_extents, planar_shape, planned};
use super::{Executable, Homogeneity, Lowering, Op, Planned, Size, TensorSpec, unary};
use crate::tensor::MemoryFormat;
use crate::train::{Backward, Gradients};
use crate::{Backend, DType, Result};

/// Means over windows that follow from the output size: `[N, C, L]` to `[N, C, OL]` in one dimension, `[N, C, H, W]` to
/// `[N, C, OH, OW]` in two, where
/// output `i` is the mean over `floor(i * H / OH) .. ceil((i + 1) * H / OH)`.
///
/// Used with an output size of 0 it gives an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdaptiveAvgPool<const D: usize> {
    output_size: Size<D>,
}

/// [`AdaptiveAvgPool`] over length.
pub type AdaptiveAvgPool1d = AdaptiveAvgPool<1>;
/// [`AdaptiveAvgPool`] over height and width.
pub type AdaptiveAvgPool2d = AdaptiveAvgPool<2>;

impl<const D: usize> AdaptiveAvgPool<D> {
    const FUNCTION: &'static str = match D {
        1 => "adaptive_avg_pool1d",
        2 => "adaptive_avg_pool2d",
        _ => "adaptive_avg_pool3d",
    };

    /// A pool to images of this size.
    pub fn new(output_size: impl Into<Size<D>>) -> Self {
        Self { output_size: output_size.into() }
    }
}

/// The operation `adaptive_avg_pool2d(x, output_size)`.
///
/// # Errors
/// When the output size is 0.
pub fn adaptive_avg_pool2d(output_size: impl Into<Size<2>>) -> Result<AdaptiveAvgPool2d> {
    let operation = AdaptiveAvgPool::new(output_size);
    operation.check()?;
    Ok(operation)
}

/// The operation `adaptive_avg_pool1d(x, output_size)`.
///
/// # Errors
/// When the output size is 0.
pub fn adaptive_avg_pool1d(output_size: usize) -> Result<AdaptiveAvgPool1d> {
    let operation = AdaptiveAvgPool::new(output_size);
    operation.check()?;
    Ok(operation)
}

no_parameters!(AdaptiveAvgPool<D>, const D);

impl<const D: usize> crate::ObjectType for AdaptiveAvgPool<D> {
    const NAME: &'static str = match D {
        1 => "AdaptiveAvgPool1d",
        2 => "AdaptiveAvgPool2d",
        _ => "AdaptiveAvgPool3d",
    };
}

impl<const D: usize> Op for AdaptiveAvgPool<D> {
    fn name(&self) -> &'static str {
        Self::FUNCTION
    }

    plain_op!();

    fn homogeneity(&self) -> Homogeneity {
        Homogeneity::OfChannels
    }

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        let shape = pass.input(0)?.shape();
        let [_, _, height, width] = planar_extents::<D>(Self::FUNCTION, shape)?;
        let [output_height, output_width] = planar(Self::FUNCTION, self.output_size, 1)?;
        let window =
            |index: usize, from: usize, to: usize| index * from / to..((index + 1) * from).div_ceil(to);
        pool::backward(pass, |_, gradients, sums| {
            for (output, &gradient) in gradients.iter().enumerate() {
                let rows = window(output / output_width, height, output_height);
                let columns = window(output % output_width, width, output_width);
                let share = gradient / (rows.len() * columns.len()) as f32;
                for row in rows {
                    sums[row * width..][columns.clone()].iter_mut().for_each(|sum| *sum += share);
                }
            }
        })
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        self.check()?;
        let (pool, backend) = (*self, lowering.backend);
        float_or_static(Self::FUNCTION, lowering, move |inputs| {
            let [x] = exactly(Self::FUNCTION, inputs)?;
            pool.plan(x, backend)
        })
    }
}

impl<const D: usize> AdaptiveAvgPool<D> {
    fn check(&self) -> Result<()> {
        check_positive(Self::FUNCTION, "output_size", self.output_size)
    }

    fn plan(&self, x: &TensorSpec, backend: Backend) -> Result<Planned> {
        let [batch, channels, height, width] = planar_extents::<D>(Self::FUNCTION, x.shape())?;
        let output_size = planar(Self::FUNCTION, self.output_size, 1)?;
        let geometry = AdaptivePool2dGeometry::new(batch, channels, [height, width], output_size)
            .map_err(kernel_error_on(Self::FUNCTION, x.shape()))?;
        let shape = planar_shape::<D>([batch, channels, output_size[0], output_size[1]]);
        let Some(dtype) = x.dtype() else {
            let kernel = unary::<f32, f32>(Self::FUNCTION, move |x, y| {
                qkernels::float::adaptive_avg_pool2d(&geometry, x, y)
            });
            return Ok(planned(kernel, x, &shape, x.memory_format()));
        };
        let (tie_rule, memory_format) = match (backend, dtype) {
            (Backend::Qnnpack, DType::QUInt8) if geometry.divides() => {
                (TieRule::CenteredPrime, MemoryFormat::ChannelsLast)
            }
            _ => (native_tie_rule(x.memory_format()), x.memory_format()),
        };
        let qparams = x.qparams(Self::FUNCTION)?;
        with_eight_bit!(Self::FUNCTION, dtype, T => {
            let kernel = unary::<T, T>(Self::FUNCTION, move |x, y| {
                qkernels::pool::adaptive_avg_pool2d(&geometry, qparams, tie_rule, x, y)
            });
            Ok(planned(kernel, x, &shape, memory_format))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{
        assert_values, channels_last, counting, float, integers, qtensor, refuses, run_int8, strides,
    };

    #[test]
    fn windows_overlap_when_sizes_do_not_divide() {
        let x = counting(&[1, 1, 1, 5]);
        let y = float(&AdaptiveAvgPool2d::new((1, 2)), &[&x]).unwrap();
        assert_values(&y, &[1.0, 3.0]);
        assert_values(&float(&adaptive_avg_pool2d(1).unwrap(), &[&x]).unwrap(), &[2.0]);
        assert!(adaptive_avg_pool2d((1, 0)).is_err());
        assert!(refuses::<AdaptiveAvgPool2d>(serde_json::json!({"output_size": [0, 1]})));
        assert!(float(&AdaptiveAvgPool2d::new(usize::MAX), &[&x]).is_err());
    }

    #[test]
    fn ties_are_rounded_by_memory_format_and_by_qnnpack_where_sizes_divide() {
        let x = qtensor(&[1, 2, 1, 4], &[2, 3, 2, 3, 2, 3, 2, 3], 1.0, 1);
        let run = |backend, size, x: &_| {
            run_int8(&AdaptiveAvgPool2d::new((1, size)), backend, &[x], x.qparams()).unwrap()
        };
        assert_eq!(integers(&run(Backend::Native, 2, &x)), [2; 4]);
        assert_eq!(integers(&run(Backend::Native, 2, &channels_last(&x))), [3; 4]);
        let y = run(Backend::Qnnpack, 2, &x);
        assert_eq!((integers(&y), strides(&y)[1]), (vec![3; 4], 1));
        // Windows of 2, 2 and 2 that overlap.
        assert_eq!(integers(&run(Backend::Qnnpack, 3, &x)), [2; 6]);
    }
}
