//! Operations on quantized tensors element by element.
//!
//! Binary operations take operands of equal length; the second may also be shorter when its length
//! divides the first's, and is then repeated: one element is a scalar, C elements a row added to
//! every pixel of a channels-last image. Other broadcasting is the caller's.

mod add;
mod add_qnnpack;
mod lookup;
mod mul;
mod scalar;
mod unary;

use crate::error::{Error, Result};
use crate::length;
use crate::qparams::{EightBit, QParams, QuantizedInteger, check_range};
use crate::threads::{elementwise_chunk, for_each_chunk};

pub use add::{add, sub};
pub use add_qnnpack::add_qnnpack;
pub use lookup::LookupTable;
pub use mul::mul;
pub use scalar::{ScalarResult, add_scalar, mul_scalar};
pub use unary::{clamp, relu, requantize};

/// Scales and zero points of a binary operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinaryQParams {
    /// Of the first operand.
    pub a: QParams,
    /// Of the second operand.
    pub b: QParams,
    /// Of the output.
    pub output: QParams,
    /// Whether a ReLU is fused: the output's lower limit is its zero point.
    pub relu: bool,
}

impl BinaryQParams {
    /// The output's limits, once all parameters have been checked.
    pub(crate) fn check<T: QuantizedInteger>(&self) -> Result<(i32, i32)> {
        for qparams in [self.a, self.b, self.output] {
            qparams.check::<T>()?;
        }
        let (low, high) = T::RANGE.into_inner();
        let low = if self.relu { self.output.zero_point } else { low };
        check_range::<T>(&(low..=high))?;
        Ok((low, high))
    }
}

/// `output[i] = f(a[i], b[i])`, with `b` repeated if it is shorter.
fn map_binary<T: EightBit>(
    a: &[T],
    b: &[T],
    output: &mut [T],
    f: impl Fn(i32, i32) -> T + Sync,
) -> Result<()> {
    length::check("output", output, a.len())?;
    if a.is_empty() && b.is_empty() {
        return Ok(());
    }
    if b.is_empty() || !a.len().is_multiple_of(b.len()) {
        return Err(Error::Length { what: "second operand", expected: a.len(), actual: b.len() });
    }
    let is_repeated = b.len() < a.len();
    let unit = if is_repeated { b.len() } else { 1 };
    let chunk_len = elementwise_chunk(a.len(), unit);
    for_each_chunk(output, chunk_len, a.len(), |index, output| {
        let start = index * chunk_len;
        let a = &a[start..start + output.len()];
        let row = |a: &[T], b: &[T], output: &mut [T]| {
            for ((output, a), b) in output.iter_mut().zip(a).zip(b) {
                *output = f(a.to_i32(), b.to_i32());
            }
        };
        match b {
            [b] => {
                for (output, a) in output.iter_mut().zip(a) {
                    *output = f(a.to_i32(), b.to_i32());
                }
            }
            _ if is_repeated => {
                let rows = a.chunks_exact(b.len()).zip(output.chunks_exact_mut(b.len()));
                rows.for_each(|(a, output)| row(a, b, output));
            }
            _ => row(a, &b[start..start + output.len()], output),
        }
    });
    Ok(())
}
