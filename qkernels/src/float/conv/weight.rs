//! The weight of a convolution, or what is needed of it.

use super::few_pixels;
use crate::error::Result;
use crate::geometry::Conv2dGeometry;
use crate::length;

/// The weight of a float convolution.
#[derive(Clone, Copy, Debug)]
pub enum Weight<'a> {
    /// `[O, C / groups, KH, KW]`.
    Whole(&'a [f32]),
    /// Without the taps that see nothing in images of one size.
    Seen(&'a SeenWeight),
}

impl Weight<'_> {
    pub(super) fn check(self, geometry: &Conv2dGeometry) -> Result<()> {
        match self {
            Self::Whole(values) => length::check("weight", values, geometry.weight_len()),
            Self::Seen(seen) if seen.fits(geometry) => {
                let taps = geometry.kernel[0] * geometry.kernel[1];
                length::check("weight", &seen.values, geometry.weight_len() / taps * seen.taps.len())
            }
            Self::Seen(_) => Err(crate::Error::geometry("a weight without taps that this image needs")),
        }
    }
}

impl<'a> From<&'a [f32]> for Weight<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::Whole(values)
    }
}

/// `[O, C / groups, taps]`: the part of a weight that matters for small images, where most of a filter may only ever see
/// padding. There the time to read the weight is the time of the convolution.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenWeight {
    taps: Vec<usize>,
    values: Vec<f32>,
}

impl SeenWeight {
    /// The part of `weight` `[O, C / groups, KH, KW]` that these images see, unless they are too large to gain from it.
    ///
    /// # Errors
    /// If a length does not match.
    pub fn new(geometry: &Conv2dGeometry, weight: &[f32]) -> Result<Option<Self>> {
        length::check("weight", weight, geometry.weight_len())?;
        let Some(taps) = seen_taps(geometry) else { return Ok(None) };
        let filters = weight.chunks_exact(geometry.kernel[0] * geometry.kernel[1]);
        let values = filters.flat_map(|filter| taps.iter().map(|&tap| filter[tap])).collect();
        Ok(Some(Self { taps, values }))
    }

    /// Whether [`SeenWeight::new`] makes one for images of this size.
    pub fn is_worth_it(geometry: &Conv2dGeometry) -> bool {
        seen_taps(geometry).is_some()
    }

    /// Whether images of this size see exactly this part.
    pub fn fits(&self, geometry: &Conv2dGeometry) -> bool {
        seen_taps(geometry).is_some_and(|taps| taps == self.taps)
    }

    pub(super) fn taps(&self) -> &[usize] {
        &self.taps
    }

    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }
}

/// The taps that see more than padding, if the image has few pixels and they are not all.
fn seen_taps(geometry: &Conv2dGeometry) -> Option<Vec<usize>> {
    if geometry.is_depthwise() || !few_pixels::are_few(geometry) {
        return None;
    }
    let pixels = geometry.output_height() * geometry.output_width();
    let taps = geometry.kernel[0] * geometry.kernel[1];
    let is_seen = |tap: &usize| (0..pixels).any(|pixel| few_pixels::source(geometry, pixel, *tap).is_some());
    let seen: Vec<usize> = (0..taps).filter(is_seen).collect();
    (!seen.is_empty() && seen.len() < taps).then_some(seen)
}
