//! Passes over every value, in place.

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

/// Replaces every value `x` by `f(x, y)`, with `y` at the same place in `others`.
///
/// # Errors
/// If the lengths differ.
pub fn zip(values: &mut [f32], others: &[f32], f: impl Fn(f32, f32) -> f32 + Sync) -> Result<()> {
    let work = values.len();
    length::check("other operand", others, work)?;
    let chunk = elementwise_chunk(work, 1);
    for_each_chunk(
        values,
        chunk,
        work,
        #[inline(always)]
        |index, values| {
            let others = &others[index * chunk..][..values.len()];
            for (value, &other) in values.iter_mut().zip(others) {
                *value = f(*value, other);
            }
        },
    );
    Ok(())
}
