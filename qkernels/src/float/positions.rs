//! Where a window meets the image, along one axis.

use std::ops::Range;

/// Those of `positions` output positions at which a filter tap, `shift` behind the start of its window, lies
/// inside an image of `size`; they are neighbours.
pub(super) fn positions_inside(
    positions: usize,
    stride: usize,
    padding: usize,
    shift: usize,
    size: usize,
) -> Range<usize> {
    // position * stride + shift >= padding, and < padding + size.
    let start = padding.saturating_sub(shift).div_ceil(stride).min(positions);
    let end = (padding + size).saturating_sub(shift).div_ceil(stride).clamp(start, positions);
    start..end
}
