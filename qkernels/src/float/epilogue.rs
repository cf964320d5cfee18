//! The last step of a product: from sums to output.

use crate::error::Result;
use crate::kernels::float::Finish;
use crate::length;

/// Replaces each sum of an output channel by `clamp(sum * scale + offset)`: a bias, a batch norm in evaluation mode
/// and a ReLU on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Epilogue {
    affine: Vec<[f32; 2]>,
    limits: [f32; 2],
}

impl Epilogue {
    /// Scale and offset of each output channel.
    pub fn affine(affine: Vec<[f32; 2]>) -> Self {
        Self { affine, limits: [f32::NEG_INFINITY, f32::INFINITY] }
    }

    /// Adds a bias, if there is one, to each of `channels` output channels.
    ///
    /// # Errors
    /// If there is not a bias for each channel.
    pub fn bias(channels: usize, bias: Option<&[f32]>) -> Result<Self> {
        let Some(bias) = bias else { return Ok(Self::affine(vec![[1.0, 0.0]; channels])) };
        length::check("bias", bias, channels)?;
        Ok(Self::affine(bias.iter().map(|&bias| [1.0, bias]).collect()))
    }

    /// The same with its results in `low..=high`; NaN stays.
    #[must_use]
    pub fn clamped(self, low: f32, high: f32) -> Self {
        Self { limits: [low, high], ..self }
    }

    /// Smallest and largest result.
    pub fn limits(&self) -> [f32; 2] {
        self.limits
    }

    pub(super) fn check(&self, channels: usize) -> Result<()> {
        length::check("scales of the epilogue", &self.affine, channels)
    }

    /// For some of the channels.
    pub(super) fn of(&self, channels: std::ops::Range<usize>) -> Finish<'_> {
        Finish { affine: &self.affine[channels], limits: self.limits }
    }
}
