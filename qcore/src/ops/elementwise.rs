//! `elementwise`: a function of one number, on floats, or on 8-bit integers by a table.

use qkernels::elementwise::LookupTable;

use super::inputs::{check_dtype, kernel_error, with_eight_bit};
use super::{Format, Planned, TensorSpec, unary};
use crate::Result;

/// `f` of each element of `x`. For integers a table has the value of `f` for each, rounded to the scale of `output`.
///
/// # Errors
/// When only one of `x` and `output` is float, or the integers are not of 8 bits.
pub fn elementwise(
    operation: &'static str,
    x: &TensorSpec,
    output: &Format,
    f: impl Fn(f32) -> f32 + Send + Sync + 'static,
) -> Result<Planned> {
    let y = x.with_format(output.clone());
    check_dtype(operation, x, y.dtype())?;
    let kernel = match y.dtype() {
        None => unary::<f32, f32>(operation, move |x, y| qkernels::float::map_into(x, y, &f)),
        Some(dtype) => {
            let (from, to) = (x.qparams(operation)?, y.qparams(operation)?);
            with_eight_bit!(operation, dtype, T => {
                let table = LookupTable::<T>::from_float(from, to, f).map_err(kernel_error(operation))?;
                Ok(unary::<T, T>(operation, move |x, y| table.apply(x, y)))
            })?
        }
    };
    Ok(Planned::kernel(kernel, y))
}
