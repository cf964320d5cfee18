//! `Histogram`: counts of values in intervals of one width.

use serde::Serialize;

/// How many values lie in each of a number of intervals of one width.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Histogram {
    /// Lower end of the first interval.
    pub low: f32,
    /// Upper end of the last interval.
    pub high: f32,
    /// Of each interval. Where a bucket of the observer's statistics lies in several intervals, its values count as
    /// spread evenly, so that these need not be whole numbers. Empty if no value was seen.
    pub counts: Vec<f64>,
}

impl Histogram {
    /// Of buckets `(low, high, count)` from `low` to `high`.
    pub(crate) fn of(
        (low, high): (f32, f32),
        intervals: usize,
        buckets: impl Iterator<Item = (f64, f64, u64)>,
    ) -> Self {
        let width = (f64::from(high) - f64::from(low)) / intervals as f64;
        let last = intervals - 1;
        let mut counts = vec![0.0; intervals];
        for (begin, end, count) in buckets {
            let position = |value: f64| match width > 0.0 {
                true => (((value - f64::from(low)) / width).max(0.0) as usize).min(last),
                false => 0,
            };
            let (first, final_) = (position(begin), position(end));
            if first == final_ {
                counts[first] += count as f64;
                continue;
            }
            for (interval, sum) in counts.iter_mut().enumerate().take(final_ + 1).skip(first) {
                let from = (f64::from(low) + width * interval as f64).max(begin);
                let to = if interval == last {
                    end
                } else {
                    (f64::from(low) + width * (interval + 1) as f64).min(end)
                };
                *sum += count as f64 * (to - from).max(0.0) / (end - begin);
            }
        }
        Self { low, high, counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_shared_out_by_their_width() {
        let buckets = [(0.0, 0.0, 3), (0.5, 1.5, 10), (3.0, 4.0, 2)];
        let histogram = Histogram::of((0.0, 4.0), 4, buckets.into_iter());
        assert_eq!(histogram.counts, [8.0, 5.0, 0.0, 2.0]);
    }

    #[test]
    fn a_single_value_is_one_interval() {
        assert_eq!(Histogram::of((2.0, 2.0), 3, [(2.0, 2.0, 7)].into_iter()).counts, [7.0, 0.0, 0.0]);
    }
}
