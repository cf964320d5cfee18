//! Passes over every value, in place or to another buffer.

use crate::error::Result;
use crate::length;
use crate::threads::{elementwise_chunk, for_each_chunk};

/// Replaces every value `x` by `f(x)`.
pub fn map(values: &mut [f32], f: impl Fn(f32) -> f32 + Sync) {
    let work = values.len();
    for_each_chunk(
        values,
        elementwise_chunk(work, 1),
        work,
        #[inline(always)]
        |_, values| {
            for value in values {
                *value = f(*value);
            }
        },
    );
}

/// Sets each value of `output` to `f(x)`, with `x` at the same place in `input`.
///
/// # Errors
/// If the lengths differ.
pub fn map_into(input: &[f32], output: &mut [f32], f: impl Fn(f32) -> f32 + Sync) -> Result<()> {
    let work = output.len();
    length::check("input", input, work)?;
    let chunk = elementwise_chunk(work, 1);
    for_each_chunk(
        output,
        chunk,
        work,
        #[inline(always)]
        |index, output| {
            let input = &input[index * chunk..][..output.len()];
            for (output, &x) in output.iter_mut().zip(input) {
                *output = f(x);
            }
        },
    );
    Ok(())
}

/// Sets each value of `output` to `f(x, y)`, with `x` and `y` at the same place in `a` and `b`.
///
/// # Errors
/// If the lengths differ.
pub fn zip_into(a: &[f32], b: &[f32], output: &mut [f32], f: impl Fn(f32, f32) -> f32 + Sync) -> Result<()> {
    let work = output.len();
    length::check("first operand", a, work)?;
    length::check("second operand", b, work)?;
    let chunk = elementwise_chunk(work, 1);
    for_each_chunk(
        output,
        chunk,
        work,
        #[inline(always)]
        |index, output| {
            let [a, b] = [a, b].map(|operand| &operand[index * chunk..][..output.len()]);
            for ((output, &x), &y) in output.iter_mut().zip(a).zip(b) {
                *output = f(x, y);
            }
        },
    );
    Ok(())
}
