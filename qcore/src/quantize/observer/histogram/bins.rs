//! Counting into bins of equal width, and pouring old counts into the bins of a wider range.

use serde::{Deserialize, Serialize};

use crate::quantize::observer::extrema::Range;

/// How finely the old bins are divided before they are counts into new ones.
const UPSAMPLE_RATE: usize = 16;

/// Counts of values in bins of equal width from `min` to `max`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Histogram {
    pub min: f32,
    pub max: f32,
    #[serde(deserialize_with = "crate::observer::state::list")]
    pub counts: Vec<f32>,
}

impl Histogram {
    /// Checks a histogram from a file.
    pub fn check(&self, bins: usize) -> Result<(), String> {
        Range::try_from((self.min, self.max))?;
        if self.counts.len() != bins {
            return Err(format!("{} counts for {bins} bins", self.counts.len()));
        }
        if let Some(count) = self.counts.iter().find(|count| !(count.is_finite() && **count >= 0.0)) {
            return Err(format!("{count} is not a count"));
        }
        let total: f32 = self.counts.iter().sum();
        if total > 0.0 && total.is_finite() { Ok(()) } else { Err(format!("{total} values")) }
    }

    /// The histogram of a first batch, whose extremes are `min` and `max`.
    pub fn new(values: &[f32], min: f32, max: f32, bins: usize) -> Self {
        Self { min, max, counts: count(values, min, max, bins) }
    }

    /// Adds a batch with the extremes `low` and `high`.
    pub fn add(&mut self, values: &[f32], low: f32, high: f32) {
        let bins = self.counts.len();
        let (min, max) = (self.min.min(low), self.max.max(high));
        let mut counts = count(values, min, max, bins);
        if min == self.min && max == self.max {
            add_to(&mut counts, &self.counts);
        } else if self.min == self.max {
            // PyTorch gives the single old value as much weight as the whole new batch.
            let total = counts.iter().copied().map(f64::from).sum::<f64>() as f32;
            let old: Vec<f32> =
                count(&[self.min], min, max, bins).iter().map(|count| count * total).collect();
            add_to(&mut counts, &old);
        } else {
            add_to(&mut counts, &self.rebinned(min, max));
        }
        *self = Self { min, max, counts };
    }

    /// The counts in bins of the wider range from `min` to `max`: each old bin is split in sixteen, and each
    /// part goes to the new bin that contains its middle.
    fn rebinned(&self, min: f32, max: f32) -> Vec<f32> {
        let bins = self.counts.len();
        let sub_bins = bins * UPSAMPLE_RATE;
        let old_edges = LinearSpace::new(self.min, self.max, sub_bins + 1);
        let half_width = 0.5 * old_edges.step;
        let new_edges = LinearSpace::new(min, max, bins + 1);
        let new_edges: Vec<f32> = (0..=bins).map(|i| new_edges.at(i)).collect();

        let mut counts = vec![0.0; bins];
        let mut bin = 0;
        for sub_bin in 0..sub_bins {
            let middle = old_edges.at(sub_bin) + half_width;
            while bin + 1 < bins && new_edges[bin + 1] <= middle {
                bin += 1;
            }
            while bin > 0 && new_edges[bin] > middle {
                bin -= 1;
            }
            counts[bin] += self.counts[sub_bin / UPSAMPLE_RATE] / UPSAMPLE_RATE as f32;
        }
        counts
    }
}

/// PyTorch's `histc`: `trunc((x - min) * bins / (max - min))`, every step in f32; one value as range is widened
/// by 1 on both sides.
fn count(values: &[f32], min: f32, max: f32, bins: usize) -> Vec<f32> {
    let (min, max) = if min == max { (min - 1.0, max + 1.0) } else { (min, max) };
    let (bins_as_f32, width) = (bins as f32, max - min);
    let mut counts = vec![0_u64; bins];
    if !(width * bins_as_f32).is_finite() {
        // PyTorch's products would be infinite.
        let [min, width, bins_as_f64] = [min.into(), f64::from(max) - f64::from(min), bins as f64];
        for &value in values {
            let position = (f64::from(value) - min) * bins_as_f64 / width;
            counts[(position as usize).min(bins - 1)] += 1;
        }
        return counts.into_iter().map(|count| count as f32).collect();
    }
    // Positions first, a block at a time: that part compiles to vector instructions, the counting does not.
    let mut positions = [0_i32; 256];
    for block in values.chunks(positions.len()) {
        for (position, value) in positions.iter_mut().zip(block) {
            *position = ((value - min) * bins_as_f32 / width) as i32;
        }
        for &position in &positions[..block.len()] {
            counts[(position as usize).min(bins - 1)] += 1;
        }
    }
    counts.into_iter().map(|count| count as f32).collect()
}

fn add_to(counts: &mut [f32], other: &[f32]) {
    for (count, other) in counts.iter_mut().zip(other) {
        *count += other;
    }
}

/// PyTorch's `linspace`: from the start for the first half of the points, from the end for the others, each
/// with one rounding.
struct LinearSpace {
    start: f32,
    end: f32,
    step: f32,
    points: usize,
}

impl LinearSpace {
    fn new(start: f32, end: f32, points: usize) -> Self {
        let width = end - start;
        let step = match width.is_finite() {
            true => width / (points - 1) as f32,
            false => ((f64::from(end) - f64::from(start)) / (points - 1) as f64) as f32,
        };
        Self { start, end, step, points }
    }

    fn at(&self, index: usize) -> f32 {
        if index < self.points / 2 {
            self.step.mul_add(index as f32, self.start)
        } else {
            (-self.step).mul_add((self.points - 1 - index) as f32, self.end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_is_in_the_last_bin() {
        assert_eq!(count(&[0.0, 0.9, 1.0, 2.0], 0.0, 2.0, 2), [2.0, 2.0]);
        assert_eq!(count(&[3.0; 5], 3.0, 3.0, 4), [0.0, 0.0, 5.0, 0.0]);
    }

    #[test]
    fn a_linear_space_hits_both_ends() {
        let space = LinearSpace::new(-0.1, 0.7, 11);
        assert_eq!((space.at(0), space.at(10)), (-0.1, 0.7));
    }

    #[test]
    fn values_near_the_ends_of_f32_find_their_bins() {
        let mut histogram = Histogram::new(&[-1e38, 1e38], -1e38, 1e38, 4);
        histogram.add(&[-3e38, 3e38], -3e38, 3e38);
        assert_eq!(histogram.counts, [1.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn a_single_old_value_weighs_as_much_as_the_new_batch() {
        let mut histogram = Histogram::new(&[1.0, 1.0], 1.0, 1.0, 4);
        histogram.add(&[0.0, 4.0, 4.0], 0.0, 4.0);
        assert_eq!(histogram.counts, [1.0, 3.0, 0.0, 2.0]);
    }
}
