//! `Augmentation`: pictures that are moved and mirrored at random.

use super::Random;
use crate::{Error, Result, Tensor};

/// torchvision's `RandomCrop` to the same size, with padding, and `RandomHorizontalFlip`, each picture on its own.
///
/// ```
/// use qcore::Tensor;
/// use qcore::train::{Augmentation, Random};
///
/// let augmentation = Augmentation::new().random_crop(4).random_horizontal_flip(0.5);
/// let pictures = augmentation.apply(Tensor::zeros(&[8, 3, 32, 32]), &mut Random::new(0))?;
/// assert_eq!(pictures.shape(), [8, 3, 32, 32]);
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Augmentation {
    padding: usize,
    flip: f64,
}

impl Augmentation {
    /// None: pictures stay as they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// Pads each picture by this many zeros on every side, and cuts one of its size out of that.
    #[must_use]
    pub fn random_crop(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// Mirrors each picture, left to right, with this probability.
    #[must_use]
    pub fn random_horizontal_flip(self, probability: f64) -> Self {
        Self { flip: probability, ..self }
    }

    /// Moves and mirrors pictures `[N, C, H, W]`.
    ///
    /// # Errors
    /// When the tensor has other than four dimensions, or the probability is not in `[0, 1]`.
    pub fn apply(&self, pictures: Tensor, random: &mut Random) -> Result<Tensor> {
        let [_, channels, height, width] = *pictures.shape() else {
            return Err(Error::shape("Augmentation", "pictures [N, C, H, W]", pictures.shape()));
        };
        if !(0.0..=1.0).contains(&self.flip) {
            let message = format!("a probability of {} is not in [0, 1]", self.flip);
            return Err(Error::parameter("Augmentation", message));
        }
        let mut result = Tensor::try_zeros(pictures.shape())?;
        if pictures.is_empty() {
            return Ok(result);
        }
        let pictures = pictures.contiguous();
        let from = pictures.as_slice().unwrap_or_default().chunks_exact(channels * height * width);
        let to = result.as_slice_mut().unwrap_or_default().chunks_exact_mut(channels * height * width);
        for (from, to) in from.zip(to) {
            let [top, left] = [height, width].map(|_| random.below(self.padding.saturating_mul(2) + 1));
            let flips = random.chance(self.flip);
            let planes = from.chunks_exact(height * width).zip(to.chunks_exact_mut(height * width));
            for (from, to) in planes {
                for (y, row) in to.chunks_exact_mut(width).enumerate() {
                    // What lies outside of the picture stays 0.
                    let Some(source) = (y + top).checked_sub(self.padding).filter(|y| *y < height) else {
                        continue;
                    };
                    let source = &from[source * width..][..width];
                    for (x, value) in row.iter_mut().enumerate() {
                        let place = (x + left).checked_sub(self.padding).and_then(|x| source.get(x));
                        *value = place.copied().unwrap_or(0.0);
                    }
                    if flips {
                        row.reverse();
                    }
                }
            }
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 4] = [64, 2, 3, 4];

    fn pictures() -> Tensor {
        let count: usize = SHAPE.iter().product();
        Tensor::from_vec(&SHAPE, (0..count).map(|i| (i + 1) as f32).collect()).unwrap()
    }

    /// `pictures()[n, c, y, x]`, and zeros around it.
    fn at(n: usize, c: usize, y: i32, x: i32) -> f32 {
        let inside = (0..3).contains(&y) && (0..4).contains(&x);
        if inside { ((n * 2 + c) * 12) as f32 + (y * 4 + x + 1) as f32 } else { 0.0 }
    }

    #[test]
    fn each_picture_is_a_part_of_the_padded_one_and_all_parts_come() {
        let augmented = Augmentation::new().random_crop(1).random_horizontal_flip(0.5);
        let augmented = augmented.apply(pictures(), &mut Random::new(3)).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..SHAPE[0] {
            let choices = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx)));
            let choices = choices.flat_map(|(dy, dx)| [false, true].map(|flips| (dy, dx, flips)));
            let mut fitting = choices.filter(|&(dy, dx, flips)| {
                augmented.view().indexed_iter().filter(|(index, _)| index[0] == n).all(|(index, &value)| {
                    let [c, y, x] = [index[1], index[2], index[3]];
                    let x = if flips { 3 - x } else { x };
                    value == at(n, c, y as i32 + dy, x as i32 + dx)
                })
            });
            seen.insert(fitting.next().unwrap());
        }
        assert_eq!(seen.len(), 18, "{seen:?}");
    }

    #[test]
    fn without_settings_nothing_changes_and_bad_ones_are_refused() {
        assert_eq!(Augmentation::new().apply(pictures(), &mut Random::new(0)).unwrap(), pictures());
        let all = Augmentation::new().random_crop(usize::MAX / 4);
        assert!(all.apply(pictures(), &mut Random::new(0)).unwrap().view().iter().all(|v| *v == 0.0));
        let flat = Augmentation::new().apply(Tensor::zeros(&[3, 4]), &mut Random::new(0));
        assert!(matches!(flat, Err(Error::Shape { .. })));
        let often = Augmentation::new().random_horizontal_flip(1.5).apply(pictures(), &mut Random::new(0));
        assert!(matches!(often, Err(Error::Parameter { .. })));
        let empty = Tensor::zeros(&[0, 3, 4, 4]);
        assert_eq!(Augmentation::new().apply(empty.clone(), &mut Random::new(0)).unwrap(), empty);
    }
}
