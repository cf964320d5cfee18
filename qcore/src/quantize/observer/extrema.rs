//! Smallest and largest value of a tensor, whole or per channel, and the check that all are finite.

use serde::{Deserialize, Serialize};

use crate::{Error, Result, Tensor};

/// Smallest and largest value, both finite; in a file a pair.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "(f32, f32)", into = "(f32, f32)")]
pub(crate) struct Range {
    pub(crate) min: f32,
    pub(crate) max: f32,
}

impl Range {
    pub(crate) fn of((min, max): (f32, f32)) -> Self {
        Self { min, max }
    }

    /// The range of the values of both.
    pub(crate) fn joined(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

impl From<Range> for (f32, f32) {
    fn from(Range { min, max }: Range) -> Self {
        (min, max)
    }
}

impl TryFrom<(f32, f32)> for Range {
    type Error = String;

    fn try_from((min, max): (f32, f32)) -> Result<Self, String> {
        if min.is_finite() && max.is_finite() && min <= max {
            Ok(Self { min, max })
        } else {
            Err(format!("{min}..={max} is not a range"))
        }
    }
}

/// Independent lanes, so that the loop below compiles to vector instructions.
const LANES: usize = 16;

/// Smallest and largest value; `None` if the tensor is empty. A zero is always +0.
///
/// # Errors
/// When a value is NaN or infinite.
pub(crate) fn range(x: &Tensor) -> Result<Option<(f32, f32)>> {
    if x.is_empty() {
        return Ok(None);
    }
    let view = x.view();
    let found = match view.as_slice_memory_order() {
        Some(values) => slice_range(values),
        None => slice_range(&view.iter().copied().collect::<Vec<f32>>()),
    };
    found.map(Some).ok_or_else(|| not_finite(x))
}

/// Smallest and largest value of every channel along `axis`; `None` if the tensor is empty.
///
/// # Errors
/// When the tensor has no such axis; when a value is NaN or infinite.
pub(crate) fn channel_ranges(
    observer: &'static str,
    x: &Tensor,
    axis: usize,
) -> Result<Option<(Vec<f32>, Vec<f32>)>> {
    if axis >= x.rank() {
        return Err(Error::shape(observer, format!("a tensor with an axis {axis}"), x.shape()));
    }
    if x.is_empty() {
        return Ok(None);
    }
    let channels = x.shape()[axis];
    let inner: usize = x.shape()[axis + 1..].iter().product();
    let contiguous = x.clone().contiguous();
    let values = contiguous.as_slice().unwrap_or_default();
    let (mut low, mut high) = (vec![f32::INFINITY; channels], vec![f32::NEG_INFINITY; channels]);
    if inner == 1 {
        let mut all_finite = true;
        for row in values.chunks_exact(channels) {
            for ((&value, low), high) in row.iter().zip(&mut low).zip(&mut high) {
                all_finite &= value.is_finite();
                *low = if value < *low { value } else { *low };
                *high = if value > *high { value } else { *high };
            }
        }
        if !all_finite {
            return Err(not_finite(x));
        }
        for bound in low.iter_mut().chain(&mut high) {
            *bound += 0.0;
        }
    } else {
        for (index, run) in values.chunks_exact(inner).enumerate() {
            let (run_low, run_high) = slice_range(run).ok_or_else(|| not_finite(x))?;
            let channel = index % channels;
            low[channel] = low[channel].min(run_low);
            high[channel] = high[channel].max(run_high);
        }
    }
    Ok(Some((low, high)))
}

/// The error for the first value of `x` that is not finite.
pub(super) fn not_finite(x: &Tensor) -> Error {
    let (index, value) = x.first_non_finite().unwrap_or((0, f32::NAN));
    Error::NotFinite { what: "the observed tensor".to_owned(), value, index }
}

/// The error for the first NaN of `x`, where infinity is allowed.
pub(super) fn not_a_number(x: &Tensor) -> Error {
    let nan = x.view().iter().copied().enumerate().find(|(_, value)| value.is_nan());
    let (index, value) = nan.unwrap_or((0, f32::NAN));
    Error::NotFinite { what: "the observed tensor".to_owned(), value, index }
}

/// Smallest and largest value, `None` if one is NaN or infinite. A zero comes out as +0, so that the result
/// does not depend on the order of zeros of both signs.
pub(super) fn slice_range(values: &[f32]) -> Option<(f32, f32)> {
    let (mut low, mut high) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
    // Stays 0 as long as all values are finite: inf * 0 and NaN * 0 are NaN.
    let mut taint = [0.0_f32; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            let value = chunk[lane];
            low[lane] = if value < low[lane] { value } else { low[lane] };
            high[lane] = if value > high[lane] { value } else { high[lane] };
            taint[lane] += value * 0.0;
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        low[lane] = if value < low[lane] { value } else { low[lane] };
        high[lane] = if value > high[lane] { value } else { high[lane] };
        taint[lane] += value * 0.0;
    }
    if taint.iter().any(|lane| lane.is_nan()) {
        return None;
    }
    let low = low.into_iter().fold(f32::INFINITY, f32::min);
    let high = high.into_iter().fold(f32::NEG_INFINITY, f32::max);
    Some((low + 0.0, high + 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_order_does_not_matter() {
        let x =
            ndarray::Array3::from_shape_fn((3, 5, 7), |(i, j, k)| (i * 31 + j * 17 + k * 5) as f32 % 13.0);
        let turned = Tensor::from(x.clone().permuted_axes([2, 0, 1]).as_standard_layout().into_owned());
        let x_turned = Tensor::from(x.clone().permuted_axes([2, 0, 1]));
        let x = Tensor::from(x);
        assert_eq!(range(&x).unwrap(), range(&x_turned).unwrap());
        for (axis, turned_axis) in [(0, 1), (1, 2), (2, 0)] {
            let expected = channel_ranges("test", &x, axis).unwrap();
            assert_eq!(expected, channel_ranges("test", &turned, turned_axis).unwrap());
            assert_eq!(expected, channel_ranges("test", &x_turned, turned_axis).unwrap());
        }
    }

    #[test]
    fn every_position_of_a_bad_value_is_noticed() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for index in 0..40 {
                let mut values = vec![1.0; 40];
                values[index] = bad;
                assert_eq!(slice_range(&values), None);
            }
        }
        assert_eq!(slice_range(&[f32::MAX, f32::MIN, -0.0]), Some((f32::MIN, f32::MAX)));
    }
}
