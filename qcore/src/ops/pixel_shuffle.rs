//! `pixel_shuffle` and `pixel_unshuffle`: channels become pixels and the reverse.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::inputs::image_extents;
use super::plain::{no_parameters, plain_op};
use super::rearranging::rearranging;
use super::{Executable, Lowering, Op};
use crate::tensor::Rearrangement::{Permute, Reshape};
use crate::{Error, Result};

/// `[N, C * r * r, H, W]` to `[N, C, H * r, W * r]`, with `r` the factor.
///
/// Used with a factor of 0 it gives an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PixelShuffle {
    upscale_factor: usize,
}

/// `[N, C, H * r, W * r]` to `[N, C * r * r, H, W]`, with `r` the factor.
///
/// Used with a factor of 0 it gives an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PixelUnshuffle {
    downscale_factor: usize,
}

impl PixelShuffle {
    /// Images so many times as high and wide.
    pub fn new(upscale_factor: usize) -> Self {
        Self { upscale_factor }
    }
}

impl PixelUnshuffle {
    /// Images so many times less high and wide.
    pub fn new(downscale_factor: usize) -> Self {
        Self { downscale_factor }
    }
}

/// The operation `pixel_shuffle(x, upscale_factor)`.
///
/// # Errors
/// When the factor is 0.
pub fn pixel_shuffle(upscale_factor: usize) -> Result<PixelShuffle> {
    check(SHUFFLE, "upscale_factor", upscale_factor)?;
    Ok(PixelShuffle { upscale_factor })
}

/// The operation `pixel_unshuffle(x, downscale_factor)`.
///
/// # Errors
/// When the factor is 0.
pub fn pixel_unshuffle(downscale_factor: usize) -> Result<PixelUnshuffle> {
    check(UNSHUFFLE, "downscale_factor", downscale_factor)?;
    Ok(PixelUnshuffle { downscale_factor })
}

const SHUFFLE: &str = "pixel_shuffle";
const UNSHUFFLE: &str = "pixel_unshuffle";

fn check(operation: &'static str, what: &str, factor: usize) -> Result<()> {
    if factor == 0 {
        return Err(Error::parameter(operation, format!("{what} must not be 0")));
    }
    Ok(())
}

no_parameters!(PixelShuffle, "PixelShuffle");
no_parameters!(PixelUnshuffle, "PixelUnshuffle");

impl Op for PixelShuffle {
    fn name(&self) -> &'static str {
        SHUFFLE
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let r = self.upscale_factor;
        check(SHUFFLE, "upscale_factor", r)?;
        rearranging(SHUFFLE, lowering, move |shape| {
            let [n, c, h, w] = image_extents(SHUFFLE, shape)?;
            let Some(c) =
                r.checked_mul(r).filter(|square| c.is_multiple_of(*square)).map(|square| c / square)
            else {
                return Err(Error::shape(SHUFFLE, format!("[N, C * {r} * {r}, H, W]"), shape));
            };
            let apart = vec![n, c, r, r, h, w];
            Ok(vec![Reshape(apart), Permute(vec![0, 1, 4, 2, 5, 3]), Reshape(vec![n, c, h * r, w * r])])
        })
    }
}

impl Op for PixelUnshuffle {
    fn name(&self) -> &'static str {
        UNSHUFFLE
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let r = self.downscale_factor;
        check(UNSHUFFLE, "downscale_factor", r)?;
        rearranging(UNSHUFFLE, lowering, move |shape| {
            let [n, c, h, w] = image_extents(UNSHUFFLE, shape)?;
            if !h.is_multiple_of(r) || !w.is_multiple_of(r) {
                return Err(Error::shape(UNSHUFFLE, format!("[N, C, H * {r}, W * {r}]"), shape));
            }
            let apart = vec![n, c, h / r, r, w / r, r];
            Ok(vec![
                Reshape(apart),
                Permute(vec![0, 1, 3, 5, 2, 4]),
                Reshape(vec![n, c * r * r, h / r, w / r]),
            ])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{assert_values, channels_last, counting, float, int8, integers, qtensor};
    use crate::train::Backward;

    #[test]
    fn channels_become_pixels_and_channels_again() {
        let x = counting(&[1, 4, 1, 2]);
        let y = float(&PixelShuffle::new(2), &[&x]).unwrap();
        assert_eq!(y.shape(), [1, 1, 2, 4]);
        assert_values(&y, &[0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
        assert_eq!(float(&PixelUnshuffle::new(2), &[&y]).unwrap(), x);
        let [inputs, outputs] = [&x, &y].map(std::slice::from_ref);
        let pass = Backward { inputs, outputs, gradients: outputs };
        let gradients = PixelShuffle::new(2).backward(&pass).unwrap();
        assert_eq!(gradients.inputs[0].as_ref().unwrap(), &x);
        for factor in [0, 3, usize::MAX] {
            assert!(float(&PixelShuffle::new(factor), &[&x]).is_err());
            assert!(float(&PixelUnshuffle::new(factor), &[&x]).is_err());
        }
        assert!(pixel_shuffle(0).is_err());
        assert!(pixel_unshuffle(0).is_err());
    }

    #[test]
    fn integers_move_in_either_memory_format() {
        let x = qtensor(&[1, 4, 1, 2], &[0, 1, 2, 3, 4, 5, 6, 7], 1.0, 0);
        for x in [&x, &channels_last(&x)] {
            let y = int8(&PixelShuffle::new(2), &[x]).unwrap();
            assert_eq!(integers(&y), [0, 2, 1, 3, 4, 6, 5, 7]);
        }
    }
}
