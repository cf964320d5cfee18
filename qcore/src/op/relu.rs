//! `relu`: negative values become 0.

use serde::{Deserialize, Serialize};

use super::inputs::{exactly, exactly_shared, relu_if, take_one};
use super::kernel::ClampKernel;
use super::layout::{map_in_memory_order, with_integers, with_qparams_of};
use super::plain::plain_record;
use super::{ActivationSpec, Lowering, Op, OutputRule, Planned, QuantizedOp};
use crate::{QTensor, Result, Tensor};

/// `max(x, 0)`, for tensors of any shape. On integers `max(q, zero_point)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReLU {}

/// The operation `relu(x)`.
///
/// # Errors
/// Never.
pub fn relu() -> Result<ReLU> {
    Ok(ReLU {})
}

impl ReLU {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

plain_record!(ReLU);

impl Op for ReLU {
    type Quantized = Self;

    fn name(&self) -> &'static str {
        "relu"
    }

    fn output_rule(&self) -> OutputRule {
        OutputRule::SameAsInput
    }

    fn forward(&self, inputs: &mut [Tensor]) -> Result<Tensor> {
        Ok(relu_if(true, take_one("relu", inputs)?))
    }

    fn lower(&self, _lowering: &Lowering<'_>) -> Result<Self> {
        Ok(*self)
    }
}

impl QuantizedOp for ReLU {
    fn forward(&self, inputs: &mut [QTensor]) -> Result<QTensor> {
        let [x] = exactly("relu", inputs)?;
        let zero_point = x.qparams().tensor_zero_point();
        with_integers!("relu", x, integers => {
            let output = map_in_memory_order("relu", integers, |input, output| {
                qkernels::elementwise::relu(input, zero_point, output)
            })?;
            with_qparams_of(x, output)
        })
    }

    fn plan(&self, inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
        let [x] = exactly_shared("relu", inputs)?;
        let zero_point = x.qparams().tensor_zero_point().clamp(0, 255) as u8;
        let kernel = ClampKernel { limits: [zero_point, u8::MAX] };
        Ok(Some(Planned::Kernel(Box::new(kernel), x.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Axis, Slice};

    use crate::IntRepr;
    use crate::op::tests::{channels_last, integers, qtensor, tensor};

    #[test]
    fn the_memory_order_stays() {
        let x = channels_last(&qtensor(&[1, 2, 1, 3], &[0, 7, 9, 1, 2, 30], 0.5, 7));
        let y = QuantizedOp::forward(&ReLU {}, &mut [x.clone()]).unwrap();
        assert_eq!(integers(&y), [7, 7, 9, 7, 7, 30]);
        assert_eq!(y.int_repr().as_u8().unwrap().strides(), x.int_repr().as_u8().unwrap().strides());
        let IntRepr::QUInt8(array) = x.int_repr() else { panic!("quint8") };
        let every_second = array.view().slice_axis(Axis(3), Slice::from(..).step_by(2)).to_shared();
        let part = QTensor::from_int_repr(every_second, x.qparams().clone()).unwrap();
        assert_eq!(integers(&QuantizedOp::forward(&ReLU {}, &mut [part]).unwrap()), [7, 9, 7, 30]);
    }

    #[test]
    fn zero_is_the_zero_point_and_nan_goes_through() {
        let x = qtensor(&[3], &[0, 7, 9], 0.5, 7);
        assert_eq!(integers(&QuantizedOp::forward(&ReLU {}, &mut [x]).unwrap()), [7, 7, 9]);
        let y = Op::forward(&ReLU {}, &mut [tensor(&[2], &[-1.0, f32::NAN])]).unwrap();
        assert!(y.view()[[0].as_slice()] == 0.0 && y.view()[[1].as_slice()].is_nan());
    }
}
