//! `ValueGrid`: whole-number counts of values on a grid that is the same for all data.

use serde::{Deserialize, Serialize};

use super::extrema::{self, Range};
use crate::inspect::Histogram;
use crate::{Error, Result};

/// Bits of an f32 below the bucket number: a bucket is named by sign, exponent and seven mantissa bits.
const DROPPED_BITS: u32 = 16;

/// Buckets of one sign and exponent, stored together and only when one of them is needed.
const BLOCK: usize = 128;

/// All combinations of sign and exponent.
const BLOCKS: usize = 512;

/// The bucket of the smallest negative numbers; those of positive ones are below it.
const FIRST_NEGATIVE: u32 = 0x8000;

/// Counts of values on the grid of all numbers with eight significant bits.
///
/// A bucket holds the f32 values that agree in sign, exponent and the first seven bits of the mantissa, so it is
/// at most 1/128 of its values wide, whatever their size. Since the grid is fixed and the counts are whole
/// numbers, merging is exact: any split of the data, in any order, gives the same grid. Smallest and largest
/// value are kept exactly.
///
/// ```
/// use qcore::observer::ValueGrid;
///
/// let mut grid = ValueGrid::new();
/// grid.count(&[-1.0, 0.0, 1.0, 2.0])?;
/// assert_eq!(grid.total(), 4);
/// assert_eq!(grid.fraction_outside(-0.5, 4.0), 0.25);
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct ValueGrid {
    range: Option<Range>,
    total: u64,
    blocks: Vec<Option<Box<[u64; BLOCK]>>>,
}

/// The form in a file: the buckets that are not empty, in order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    range: Option<Range>,
    #[serde(deserialize_with = "super::state::list")]
    counts: Vec<(u16, u64)>,
}

/// A bucket that is not empty, cut off at the smallest and largest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    pub low: f64,
    pub high: f64,
    pub count: u64,
}

impl Default for ValueGrid {
    fn default() -> Self {
        Self { range: None, total: 0, blocks: vec![None; BLOCKS] }
    }
}

impl ValueGrid {
    /// A grid without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts every value.
    ///
    /// # Errors
    /// When one is NaN or infinite; then none is counted.
    pub fn count(&mut self, values: &[f32]) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        let Some((low, high)) = extrema::slice_range(values) else {
            let bad = values.iter().copied().enumerate().find(|(_, value)| !value.is_finite());
            let (index, value) = bad.unwrap_or((0, f32::NAN));
            return Err(Error::NotFinite { what: "the counted values".to_owned(), value, index });
        };
        for &value in values {
            // -0 + 0 is +0: zeros of both signs share a bucket.
            let bucket = ((value + 0.0).to_bits() >> DROPPED_BITS) as usize;
            let block = self.blocks[bucket / BLOCK].get_or_insert_with(|| Box::new([0; BLOCK]));
            let count = &mut block[bucket % BLOCK];
            *count = count.saturating_add(1);
        }
        self.total = self.total.saturating_add(values.len() as u64);
        self.widen(Range::of((low, high)));
        Ok(())
    }

    /// Adds the counts of another grid.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.blocks.iter_mut().zip(&other.blocks) {
            let Some(theirs) = theirs else { continue };
            let mine = mine.get_or_insert_with(|| Box::new([0; BLOCK]));
            for (count, other) in mine.iter_mut().zip(theirs.iter()) {
                *count = count.saturating_add(*other);
            }
        }
        self.total = self.total.saturating_add(other.total);
        if let Some(range) = other.range {
            self.widen(range);
        }
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Smallest and largest value, exactly; `None` before the first.
    pub fn range(&self) -> Option<(f32, f32)> {
        self.range.map(Into::into)
    }

    /// The share of all values below `low` or above `high`, in 0..=1; 0 if there are none.
    ///
    /// Whole buckets are counted exactly. Within the two buckets that the bounds cut, values are taken to be
    /// spread evenly, so the estimate is off by at most the share of these buckets.
    pub fn fraction_outside(&self, low: f32, high: f32) -> f64 {
        if self.total == 0 {
            return 0.0;
        }
        let (low, high) = (f64::from(low), f64::from(high));
        let outside: f64 = self.buckets().iter().map(|bucket| bucket.outside(low, high)).sum();
        outside / self.total as f64
    }

    /// The counts in this many intervals of one width, from the smallest value to the largest; none before the first.
    pub(crate) fn histogram(&self, intervals: usize) -> Histogram {
        let Some(range) = self.range() else { return Histogram::default() };
        let buckets = self.buckets().into_iter().map(|Bucket { low, high, count }| (low, high, count));
        Histogram::of(range, intervals, buckets)
    }

    /// The buckets that are not empty, from the smallest values to the largest.
    pub(super) fn buckets(&self) -> Vec<Bucket> {
        let Some(Range { min, max }) = self.range else { return Vec::new() };
        let (min, max) = (f64::from(min), f64::from(max));
        // Negative values first, the largest magnitudes before all others.
        let ascending = (FIRST_NEGATIVE..=u32::from(u16::MAX)).rev().chain(0..FIRST_NEGATIVE);
        ascending
            .filter_map(|bucket| {
                let count = self.count_of(bucket)?;
                let (low, high) = edges(bucket);
                Some(Bucket { low: low.max(min), high: high.min(max), count })
            })
            .collect()
    }

    /// The count of a bucket, `None` if it is empty.
    fn count_of(&self, bucket: u32) -> Option<u64> {
        let block = self.blocks[bucket as usize / BLOCK].as_ref()?;
        Some(block[bucket as usize % BLOCK]).filter(|&count| count > 0)
    }

    fn widen(&mut self, range: Range) {
        self.range = Some(self.range.map_or(range, |known| known.joined(range)));
    }
}

/// Lower and upper end of a bucket.
fn edges(bucket: u32) -> (f64, f64) {
    let magnitude = bucket & (FIRST_NEGATIVE - 1);
    // The upper end of the last bucket is infinity; the largest value cuts it off.
    let near_zero = f64::from(f32::from_bits(magnitude << DROPPED_BITS));
    let far_from_zero = f64::from(f32::from_bits((magnitude + 1) << DROPPED_BITS));
    if bucket < FIRST_NEGATIVE { (near_zero, far_from_zero) } else { (-far_from_zero, -near_zero) }
}

impl Bucket {
    /// How many of the values are outside of `low..=high`, if they are spread evenly.
    fn outside(&self, low: f64, high: f64) -> f64 {
        let count = self.count as f64;
        if self.low >= low && self.high <= high {
            return 0.0;
        }
        if self.high < low || self.low > high || low > high {
            return count;
        }
        let inside = self.high.min(high) - self.low.max(low);
        // A bucket of width 0 is inside or outside as a whole, so it does not come here.
        count * (1.0 - inside / (self.high - self.low))
    }
}

impl From<ValueGrid> for Saved {
    fn from(grid: ValueGrid) -> Self {
        let counts = (0..=u16::MAX).filter_map(|bucket| Some((bucket, grid.count_of(u32::from(bucket))?)));
        Self { range: grid.range, counts: counts.collect() }
    }
}

impl TryFrom<Saved> for ValueGrid {
    type Error = String;

    fn try_from(saved: Saved) -> Result<Self, String> {
        let mut grid = Self { range: saved.range, ..Self::default() };
        if !saved.counts.is_sorted_by(|(bucket, _), (next, _)| bucket < next) {
            return Err("buckets out of order, or listed twice".to_owned());
        }
        for (bucket, count) in saved.counts {
            let block = grid.blocks[usize::from(bucket) / BLOCK].get_or_insert_with(|| Box::new([0; BLOCK]));
            block[usize::from(bucket) % BLOCK] = count;
            grid.total = grid.total.checked_add(count).ok_or("the counts overflow")?;
        }
        let Some(Range { min, max }) = grid.range else {
            return if grid.total == 0 { Ok(grid) } else { Err("counts without a range".to_owned()) };
        };
        if grid.total == 0 {
            return Err("a range without counts".to_owned());
        }
        let (min, max) = (f64::from(min), f64::from(max));
        let fits = |bucket: u32| {
            grid.count_of(bucket).is_none() || {
                let (low, high) = edges(bucket);
                low <= max && high >= min && bucket & 0x7F80 != 0x7F80
            }
        };
        if (0..=u32::from(u16::MAX)).all(fits) {
            Ok(grid)
        } else {
            Err("counts outside the range".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of many magnitudes and both signs.
    fn sample() -> Vec<f32> {
        (0..3000).map(|i| (i as f32 * 0.731).sin() * (i as f32 * 0.013 - 20.0).exp2()).collect()
    }

    #[test]
    fn any_split_in_any_order_gives_the_same_bytes() {
        let values = sample();
        let mut whole = ValueGrid::new();
        whole.count(&values).unwrap();
        for size in [1, 7, 1000] {
            let mut merged = ValueGrid::new();
            for part in values.chunks(size).rev() {
                let mut grid = ValueGrid::new();
                grid.count(part).unwrap();
                merged.merge(&grid);
            }
            assert_eq!(serde_json::to_string(&merged).unwrap(), serde_json::to_string(&whole).unwrap());
        }
    }

    #[test]
    fn buckets_ascend_and_contain_their_values() {
        let values = sample();
        let mut grid = ValueGrid::new();
        grid.count(&values).unwrap();
        let buckets = grid.buckets();
        assert!(buckets.windows(2).all(|pair| pair[0].high <= pair[1].low));
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), values.len() as u64);
        for value in values.into_iter().map(f64::from) {
            assert!(buckets.iter().any(|bucket| bucket.low <= value && value <= bucket.high), "{value}");
        }
    }

    #[test]
    fn the_fraction_outside_is_close_to_the_truth() {
        let values: Vec<f32> = (0..100_000).map(|i| i as f32 / 50_000.0 - 1.0).collect();
        let mut grid = ValueGrid::new();
        grid.count(&values).unwrap();
        assert!((grid.fraction_outside(-0.9, 0.7) - 0.2).abs() < 1e-4);
        assert_eq!(grid.fraction_outside(-1.0, 1.0), 0.0);
        assert_eq!(grid.fraction_outside(2.0, 3.0), 1.0);
        let mut constant = ValueGrid::new();
        constant.count(&[6.0; 10]).unwrap();
        assert_eq!(constant.fraction_outside(0.0, 6.0), 0.0);
        assert_eq!(constant.fraction_outside(0.0, 5.99), 1.0);
    }

    #[test]
    fn extreme_values_are_counted_and_infinite_ones_refused() {
        let mut grid = ValueGrid::new();
        grid.count(&[f32::MAX, f32::MIN, f32::from_bits(1), -f32::from_bits(1), -0.0, 0.0]).unwrap();
        assert_eq!((grid.total(), grid.buckets().len()), (6, 4));
        assert!(matches!(grid.count(&[1.0, f32::INFINITY]), Err(Error::NotFinite { index: 1, .. })));
        assert_eq!(grid.total(), 6);
    }

    #[test]
    fn counts_at_their_limit_stay_there() {
        let text = r#"{"range": [0.0, 1.0], "counts": [[16256, 18446744073709551615]]}"#;
        let mut grid: ValueGrid = serde_json::from_str(text).unwrap();
        grid.count(&[1.0, 0.0]).unwrap();
        grid.merge(&grid.clone());
        assert_eq!(grid.total(), u64::MAX);
        assert_eq!(grid.fraction_outside(0.5, 1.0), 2.0 / u64::MAX as f64);
    }

    #[test]
    fn a_damaged_file_is_refused() {
        for text in [
            r#"{"range": null, "counts": [[16256, 1]]}"#,
            r#"{"range": [0.0, 1.0], "counts": []}"#,
            r#"{"range": [0.0, 1.0], "counts": [[16512, 1]]}"#,
            r#"{"range": [0.0, 1.0], "counts": [[0, 18446744073709551615], [1, 1]]}"#,
            r#"{"range": [0.0, 1.0], "counts": [[16256, 1], [16256, 2]]}"#,
            r#"{"range": [0.0, 1.0], "counts": [[16256, 1], [0, 2]]}"#,
        ] {
            assert!(serde_json::from_str::<ValueGrid>(text).is_err(), "{text}");
        }
        assert!(
            serde_json::from_str::<ValueGrid>(r#"{"range": [0.0, 1.0], "counts": [[16256, 1]]}"#).is_ok()
        );
    }
}
