//! The weight of a convolution, or what is needed of it.

use super::few_pixels;
use super::winograd::{self, WinogradFilters};
use crate::error::{Error, Result};
use crate::geometry::Conv2dGeometry;
use crate::length;
use crate::memory;

/// The weight of a float convolution.
#[derive(Clone, Copy, Debug)]
pub enum Weight<'a> {
    /// All values, `[O, C / groups, KH, KW]`.
    Whole(&'a [f32]),
    /// For images of one size only.
    Packed(&'a PackedWeight),
}

impl Weight<'_> {
    pub(super) fn check(self, geometry: &Conv2dGeometry) -> Result<()> {
        match self {
            Self::Whole(values) => length::check("weight", values, geometry.weight_len()),
            Self::Packed(packed) if packed.fits(geometry) => Ok(()),
            Self::Packed(_) => Err(Error::geometry("a weight for images of another size")),
        }
    }
}

impl<'a> From<&'a [f32]> for Weight<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::Whole(values)
    }
}

/// A weight in the form that is fastest for images of one size, if that is not the whole weight.
///
/// Making it takes about as long as reading the weight a few times; it is worth keeping until the weight changes.
#[derive(Clone, Debug, PartialEq)]
pub struct PackedWeight(Form);

/// What a [`PackedWeight`] holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    /// Without the taps that see nothing but padding.
    Seen(SeenTaps),
    /// Nearly twice the size of the weight.
    Winograd(WinogradFilters),
}

impl PackedWeight {
    /// The form of `weight` `[O, C / groups, KH, KW]` for these images, unless they need the whole weight.
    ///
    /// # Errors
    /// If a length does not match.
    pub fn new(geometry: &Conv2dGeometry, weight: &[f32]) -> Result<Option<Self>> {
        length::check("weight", weight, geometry.weight_len())?;
        memory::check_free("a packed weight", size_of_val(weight).saturating_mul(2))?;
        if winograd::is_faster(geometry) {
            return Ok(Some(Self(Form::Winograd(WinogradFilters::new(geometry, weight)))));
        }
        Ok(SeenTaps::new(geometry, weight).map(|seen| Self(Form::Seen(seen))))
    }

    /// Whether [`PackedWeight::new`] makes one for images of this size.
    pub fn is_faster(geometry: &Conv2dGeometry) -> bool {
        winograd::is_faster(geometry) || SeenTaps::are_faster(geometry)
    }

    /// Whether it is of the form for images of this size.
    pub fn fits(&self, geometry: &Conv2dGeometry) -> bool {
        match &self.0 {
            Form::Seen(seen) => seen.fit(geometry),
            Form::Winograd(filters) => winograd::is_faster(geometry) && filters.fit(geometry),
        }
    }

    pub(super) fn form(&self) -> &Form {
        &self.0
    }
}

/// `[O, C / groups, taps]`: the part of a weight that matters for small images, where most of a filter may only ever
/// see padding. There the time to read the weight is the time of the convolution.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SeenTaps {
    taps: Vec<usize>,
    values: Vec<f32>,
}

impl SeenTaps {
    fn new(geometry: &Conv2dGeometry, weight: &[f32]) -> Option<Self> {
        if !Self::are_faster(geometry) {
            return None;
        }
        let taps: Vec<usize> = seen_taps(geometry).collect();
        let filters = weight.chunks_exact(geometry.kernel[0] * geometry.kernel[1]);
        let values = filters.flat_map(|filter| taps.iter().map(|&tap| filter[tap])).collect();
        Some(Self { taps, values })
    }

    /// Whether the image has few pixels, and these do not see all taps.
    fn are_faster(geometry: &Conv2dGeometry) -> bool {
        let all = geometry.kernel[0] * geometry.kernel[1];
        !geometry.is_depthwise()
            && few_pixels::are_few(geometry)
            && (1..all).contains(&seen_taps(geometry).count())
    }

    fn fit(&self, geometry: &Conv2dGeometry) -> bool {
        let filters = geometry.weight_len() / (geometry.kernel[0] * geometry.kernel[1]);
        self.values.len() == filters * self.taps.len()
            && Self::are_faster(geometry)
            && seen_taps(geometry).eq(self.taps.iter().copied())
    }

    pub(super) fn taps(&self) -> &[usize] {
        &self.taps
    }

    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }
}

/// The taps that see more than padding.
fn seen_taps(geometry: &Conv2dGeometry) -> impl Iterator<Item = usize> {
    let pixels = geometry.output_height() * geometry.output_width();
    let taps = geometry.kernel[0] * geometry.kernel[1];
    (0..taps).filter(move |&tap| (0..pixels).any(|pixel| few_pixels::source(geometry, pixel, tap).is_some()))
}
