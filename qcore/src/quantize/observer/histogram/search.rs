//! The search for the range with the smallest quantization error (`NUMERICS.md` 4.1).

use super::bins::Histogram;

/// How many levels the quantized type has. All types here have 8 bits; a reduced range does not change it.
const LEVELS: i32 = 256;

/// How much of the distribution one step of the search may cut off.
const STEP: f64 = 1e-5;

/// The range to calculate qparams from.
///
/// Cuts off bins at one end or the other, the one where the next hundred-thousandth of the values takes more
/// bins, until the error rises.
///
/// An error is a cube of widths, which of values beyond some 1e12 is more than f32 holds: PyTorch's search then ends at
/// any range. Its decisions are those of a histogram of another width, so that ours is made again from 0 to 1.
pub(super) fn best_range(histogram: &Histogram) -> (f32, f32) {
    let Histogram { min, max, counts } = histogram;
    let bins = counts.len();
    let (start, end) = best_bins(counts, (f64::from(*max) - f64::from(*min)) / bins as f64)
        .or_else(|| best_bins(counts, 1.0 / bins as f64))
        .unwrap_or((0, bins - 1));
    let width = (max - min) / bins as f32;
    if width.is_finite() {
        return (min + width * start as f32, min + width * (end + 1) as f32);
    }
    let at = |bin: usize| f64::from(*min) + (f64::from(*max) - f64::from(*min)) * bin as f64 / bins as f64;
    (at(start) as f32, at(end + 1) as f32)
}

/// The first and last bin of the range, if bins have this width; `None` if an error is not finite.
fn best_bins(counts: &[f32], width: f64) -> Option<(usize, usize)> {
    let bins = counts.len();
    let mut sum = 0.0;
    let cumulative: Vec<f32> = counts
        .iter()
        .map(|&count| {
            sum += f64::from(count);
            sum as f32
        })
        .collect();
    let total = f64::from(sum as f32);
    let mut errors = Errors::new(counts, width);

    let (mut alpha, mut beta) = (0.0, 1.0);
    let (mut start, mut end) = (0, bins - 1);
    let mut best = f32::INFINITY;
    while alpha < beta {
        let (next_alpha, next_beta) = (alpha + STEP, beta - STEP);
        let (below, above) = ((next_alpha * total) as f32, (next_beta * total) as f32);
        let mut left = start;
        while left < end && cumulative[left] < below {
            left += 1;
        }
        let mut right = end;
        while right > start && cumulative[right] > above {
            right -= 1;
        }
        let candidate = if left - start > end - right {
            alpha = next_alpha;
            (left, end)
        } else {
            beta = next_beta;
            (start, right)
        };
        if candidate == (start, end) {
            continue;
        }
        let error = errors.of(candidate.0, candidate.1);
        if !error.is_finite() {
            return None;
        }
        if error > best {
            break;
        }
        best = error;
        (start, end) = candidate;
    }
    Some((start, end))
}

/// The error of quantizing to a range of bins.
struct Errors {
    /// Width of a bin, in f64 as PyTorch's Python float.
    width: f64,
    /// Counts by width.
    density: Vec<f32>,
    /// The error of each bin, for one candidate at a time.
    contributions: Vec<f32>,
}

impl Errors {
    fn new(counts: &[f32], width: f64) -> Self {
        let density = counts.iter().map(|count| count / width as f32).collect();
        Self { width, density, contributions: vec![0.0; counts.len()] }
    }

    /// Squared error when bins `start..=end` are divided into 256 levels and the rest is clamped, the values of
    /// each bin spread evenly. Every step in f32, the sum in f64.
    ///
    /// With `d` the width of a level, a bin that begins in level `k0` and ends in level `k1` contributes
    ///
    /// ```text
    /// begin of the bin .. end of k0  +  (k1 - k0 - 1) whole levels  +  begin of k1 .. end of the bin
    /// ```
    ///
    /// each the integral of `(x - centre of the level)^2`.
    fn of(&mut self, start: usize, end: usize) -> f32 {
        let level = self.width * (end - start + 1) as f64 / f64::from(LEVELS);
        if level == 0.0 {
            return 0.0;
        }
        let (width, half_level, level) = (self.width as f32, (level / 2.0) as f32, level as f32);
        let whole_level = cube_difference(-half_level, half_level);
        let start = start as i32;
        for (bin, (contribution, &density)) in self.contributions.iter_mut().zip(&self.density).enumerate() {
            let bin_begin = (bin as i32 - start) as f32 * width;
            let bin_end = bin_begin + width;
            let first = level_of(bin_begin, level);
            let last = level_of(bin_end, level);
            let first_centre = (first + 0.5) * level;
            let last_centre = last * level + half_level;

            let mut norm = density * cube_difference(bin_begin - first_centre, half_level);
            norm += (last - first - 1.0) * (density * whole_level);
            norm += density * cube_difference(-half_level, bin_end - last_centre);
            *contribution = norm;
        }
        sum(&self.contributions)
    }
}

/// The integral of `x^2` from `begin` to `end`.
fn cube_difference(begin: f32, end: f32) -> f32 {
    (end * end * end - begin * begin * begin) / 3.0
}

/// The level that `x` is in, the outermost ones without bound.
///
/// PyTorch divides with `floor`. The quotient of two f32 is either a whole number or farther from one than f64
/// rounds by, and negative ones go to level 0, so that truncating the f64 quotient is the same.
fn level_of(x: f32, level: f32) -> f32 {
    let quotient = (f64::from(x) / f64::from(level)).clamp(0.0, f64::from(LEVELS - 1));
    quotient as i32 as f32
}

/// The sum in f64, in eight lanes so that it compiles to vector instructions.
fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0_f64; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(value);
    }
    lanes.iter().sum::<f64>() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_far_value_is_cut_off() {
        let mut counts = vec![0.0; 2048];
        counts[..1000].fill(1e5);
        counts[1100] = 1.0;
        counts[2047] = 1e-3;
        let (min, max) = best_range(&Histogram { min: 0.0, max: 2048.0, counts });
        assert_eq!(min, 0.0);
        assert!(max < 1101.0, "{max}");
    }

    #[test]
    fn the_range_is_that_of_the_same_values_in_other_units() {
        let mut counts = vec![0.0; 2048];
        counts[..1000].fill(1e5);
        counts[1100] = 1.0;
        counts[2047] = 1e-3;
        let range = |unit: f32| {
            let (min, max) = best_range(&Histogram { min: 0.0, max: 2048.0 * unit, counts: counts.clone() });
            (min / unit, max / unit)
        };
        let expected = range(1.0);
        for exponent in [20, 40, 60, 100, 116] {
            assert_eq!(range(2_f32.powi(exponent)), expected, "2^{exponent}");
        }
        // PyTorch's own bits stay as they are where its errors are finite, as small as they may be.
        assert_eq!(range(2_f32.powi(-20)), expected);
    }

    #[test]
    fn a_range_wider_than_f32_is_searched_too() {
        let mut counts = vec![0.0; 2048];
        counts[900..1100].fill(1e5);
        let (min, max) = best_range(&Histogram { min: f32::MIN, max: f32::MAX, counts });
        assert!(min.is_finite() && max.is_finite() && max - min < f32::MAX, "{min} {max}");
    }

    #[test]
    fn even_counts_lose_one_bin() {
        // PyTorch takes the first candidate without comparing it to the whole range.
        let histogram = Histogram { min: 0.0, max: 2048.0, counts: vec![10.0; 2048] };
        assert_eq!(best_range(&histogram), (0.0, 2047.0));
    }
}
