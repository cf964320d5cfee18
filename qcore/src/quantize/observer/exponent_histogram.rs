//! `ExponentHistogramObserver`: a histogram that merges exactly, and its range of least quantization error.

use serde::{Deserialize, Serialize};

use super::settings::settings_builders;
use super::state;
use super::value_grid::Bucket;
use super::{Observer, ObserverSettings, ValueGrid, common_methods, extrema, never_observed};
use crate::{DType, QParams, QScheme, Result, Tensor};

/// How much of the distribution one step of the search may cut off, as in PyTorch.
const STEP: f64 = 1e-5;

/// The search ends when the error is this many times the smallest.
const MAX_ERROR_RATIO: f64 = 2.0;

/// Counts values on a [`ValueGrid`] and searches the range with the smallest squared quantization error.
///
/// Like [`HistogramObserver`](super::HistogramObserver) it gives up outliers where that gains precision. Unlike
/// it, it merges exactly: the batches of a calibration can be split among threads or machines in any way and
/// in any order, and the qparams are the same to the last bit. Use it for parallel calibration; use
/// `HistogramObserver` to get PyTorch's numbers.
///
/// The search is PyTorch's idea on another grid. It starts at the observed range and cuts off buckets, at the end
/// where the next hundred-thousandth of the values takes the longer stretch. For every range it takes the
/// scale and zero point that this range would get, and from these the mean squared error of quantizing, the
/// values of each bucket spread evenly. The range with the smallest error wins; the search ends when the
/// error is twice that. All sums run in f64 over whole numbers in a fixed order.
///
/// ```
/// use qcore::Tensor;
/// use qcore::observer::{ExponentHistogramObserver, Observer};
///
/// let batch = |shift: f32| Tensor::from(ndarray::Array1::from_shape_fn(100, |i| (i as f32 + shift).sin()));
/// let (mut left, mut right) = (ExponentHistogramObserver::new(), ExponentHistogramObserver::new());
/// left.observe(&batch(0.0))?;
/// right.observe(&batch(0.5))?;
///
/// let mut both = left.clone();
/// both.merge(&right)?;
/// right.merge(&left)?;
/// assert_eq!(both.calculate_qparams()?, right.calculate_qparams()?);
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExponentHistogramObserver {
    settings: ObserverSettings,
    grid: ValueGrid,
}

impl ExponentHistogramObserver {
    /// `quint8`, per tensor affine, full range.
    pub fn new() -> Self {
        Self::default()
    }

    settings_builders!();

    /// The counts.
    pub fn grid(&self) -> &ValueGrid {
        &self.grid
    }

    /// The range with the smallest quantization error, from which the qparams are calculated.
    ///
    /// # Errors
    /// When nothing was seen, or the settings contradict each other.
    pub fn best_range(&self) -> Result<(f32, f32)> {
        let Some(range) = self.grid.range() else { return Err(never_observed(self.name())) };
        let buckets = self.grid.buckets();
        let total = self.grid.total() as f64;
        let cumulative: Vec<f64> = buckets
            .iter()
            .scan(0_u64, |sum, bucket| {
                *sum = sum.saturating_add(bucket.count);
                Some(*sum as f64)
            })
            .collect();
        let ends = |start: usize, end: usize| (buckets[start].low as f32, buckets[end].high as f32);
        let error = |(low, high)| Ok(mean_squared_error(&buckets, total, &self.qparams(low, high)?));

        let mut best = (error(range)?, range);
        let (mut alpha, mut beta) = (0.0, 1.0);
        let (mut start, mut end) = (0, buckets.len() - 1);
        while alpha < beta && start < end {
            let (next_alpha, next_beta) = (alpha + STEP, beta - STEP);
            let mut left = start;
            while left < end && cumulative[left] < next_alpha * total {
                left += 1;
            }
            let mut right = end;
            while right > start && cumulative[right] > next_beta * total {
                right -= 1;
            }
            let before = (start, end);
            if buckets[left].low - buckets[start].low > buckets[end].high - buckets[right].high {
                (alpha, start) = (next_alpha, left);
            } else {
                (beta, end) = (next_beta, right);
            }
            if (start, end) == before {
                continue;
            }
            let candidate = ends(start, end);
            let error = error(candidate)?;
            if error < best.0 {
                best = (error, candidate);
            } else if error > MAX_ERROR_RATIO * best.0 {
                break;
            }
        }
        Ok(best.1)
    }

    fn qparams(&self, min: f32, max: f32) -> Result<QParams> {
        self.settings.per_tensor_qparams(self.name(), min, max)
    }
}

/// The mean squared error of quantizing the values in `buckets`.
fn mean_squared_error(buckets: &[Bucket], total: f64, qparams: &QParams) -> f64 {
    let quantizer = Quantizer::new(qparams);
    let sum: f64 = buckets.iter().map(|bucket| bucket.count as f64 * quantizer.mean_error(bucket)).sum();
    sum / total
}

/// Lowest and highest number that integers stand for, and the step between.
struct Quantizer {
    low: f64,
    high: f64,
    step: f64,
}

impl Quantizer {
    fn new(qparams: &QParams) -> Self {
        let step = f64::from(qparams.tensor_scale());
        let real = |integer: i32| (f64::from(integer) - f64::from(qparams.tensor_zero_point())) * step;
        Self { low: real(qparams.quant_min), high: real(qparams.quant_max), step }
    }

    /// The mean squared error in a bucket whose values are spread evenly.
    fn mean_error(&self, bucket: &Bucket) -> f64 {
        let width = bucket.high - bucket.low;
        if width < self.step / 1024.0 {
            // The difference of two integrals would drown in rounding; the middle stands for the bucket.
            let error = self.error(bucket.low + width / 2.0);
            return error * error;
        }
        (self.integral(bucket.high) - self.integral(bucket.low)) / width
    }

    /// The quantization error of `x`.
    fn error(&self, x: f64) -> f64 {
        if x < self.low || x > self.high {
            return (x - self.low).abs().min((x - self.high).abs());
        }
        let steps = (x - self.low) / self.step;
        (steps - nearest(steps)) * self.step
    }

    /// The integral of the squared error from `low` to `x`.
    ///
    /// Between the ends it is, in units of the step, 1/12 for every whole step and `r^3 / 3` for the
    /// distance `r` from the nearest one.
    fn integral(&self, x: f64) -> f64 {
        if x < self.low {
            return (x - self.low) * (x - self.low) * (x - self.low) / 3.0;
        }
        let inside = x.min(self.high);
        let steps = (inside - self.low) / self.step;
        let whole = nearest(steps);
        let rest = steps - whole;
        let beyond = x - inside;
        let cube = self.step * self.step * self.step;
        (whole / 12.0 + rest * rest * rest / 3.0) * cube + beyond * beyond * beyond / 3.0
    }
}

/// The nearest whole number of one that is not negative; of two the upper one.
fn nearest(steps: f64) -> f64 {
    (steps + 0.5) as i64 as f64
}

impl Observer for ExponentHistogramObserver {
    common_methods!("ExponentHistogramObserver");

    fn observe(&mut self, x: &Tensor) -> Result<()> {
        self.settings.check_per_tensor(self.name())?;
        let view = x.view();
        let counted = match view.as_slice_memory_order() {
            Some(values) => self.grid.count(values),
            None => self.grid.count(&view.iter().copied().collect::<Vec<f32>>()),
        };
        counted.map_err(|_| extrema::not_finite(x))
    }

    fn calculate_qparams(&self) -> Result<QParams> {
        let (min, max) = self.best_range()?;
        self.qparams(min, max)
    }

    fn has_observed(&self) -> bool {
        self.grid.total() > 0
    }

    fn range(&self) -> Option<(f32, f32)> {
        self.grid.range()
    }

    fn reset(&mut self) {
        self.grid = ValueGrid::new();
    }

    fn dtype(&self) -> DType {
        self.settings.dtype
    }

    fn qscheme(&self) -> QScheme {
        self.settings.qscheme
    }

    fn merge(&mut self, other: &dyn Observer) -> Result<()> {
        let other = state::same_kind(self, other)?;
        self.grid.merge(&other.grid);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers with a bell-shaped distribution of deviation 1.
    fn bell(count: usize) -> Vec<f32> {
        let mut state = 1_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        (0..count).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect()
    }

    fn observed(values: Vec<f32>) -> ExponentHistogramObserver {
        let mut observer = ExponentHistogramObserver::new();
        observer.observe(&Tensor::from_vec(&[values.len()], values).unwrap()).unwrap();
        observer
    }

    fn true_error(values: &[f32], qparams: &QParams) -> f64 {
        let quantizer = Quantizer::new(qparams);
        values.iter().map(|&value| quantizer.error(f64::from(value)).powi(2)).sum::<f64>()
            / values.len() as f64
    }

    #[test]
    fn the_integral_matches_a_numerical_one() {
        let qparams = QParams::per_tensor(0.1, 3, DType::QUInt8).unwrap().with_range(0, 20).unwrap();
        let quantizer = Quantizer::new(&qparams);
        let bucket = Bucket { low: -0.45, high: 2.03, count: 1 };
        let points = 100_000;
        let at = |i: usize| bucket.low + (bucket.high - bucket.low) * (i as f64 + 0.5) / points as f64;
        let numerical = (0..points).map(|i| quantizer.error(at(i)).powi(2)).sum::<f64>() / points as f64;
        assert!((quantizer.mean_error(&bucket) / numerical - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_estimated_error_is_close_to_the_true_one() {
        let values = bell(20_000);
        let observer = observed(values.clone());
        let qparams = observer.calculate_qparams().unwrap();
        let estimate = mean_squared_error(&observer.grid.buckets(), values.len() as f64, &qparams);
        assert!((estimate / true_error(&values, &qparams) - 1.0).abs() < 0.05);
    }

    #[test]
    fn an_outlier_is_given_up_when_that_gains_precision() {
        let mut values = bell(300_000);
        values.push(12.0);
        let observer = observed(values.clone());
        let whole = observer.qparams(observer.range().unwrap().0, 12.0).unwrap();
        let chosen = observer.calculate_qparams().unwrap();
        assert!(true_error(&values, &chosen) < true_error(&values, &whole));
        assert!(observer.best_range().unwrap().1 < 6.0);
    }

    #[test]
    fn constant_and_single_values_keep_their_range() {
        assert_eq!(observed(vec![0.0; 5]).best_range().unwrap(), (0.0, 0.0));
        assert_eq!(observed(vec![2.5; 5]).best_range().unwrap(), (2.5, 2.5));
        assert_eq!(observed(vec![0.0, 1.0]).best_range().unwrap(), (0.0, 1.0));
    }

    #[test]
    fn parts_in_any_order_give_the_same_state() {
        let values = bell(5000);
        let whole = observed(values.clone());
        let mut merged = ExponentHistogramObserver::new();
        for part in values.chunks(777).rev() {
            merged.merge(&observed(part.to_vec())).unwrap();
        }
        assert_eq!(merged.state().unwrap(), whole.state().unwrap());
        assert_eq!(merged.calculate_qparams().unwrap(), whole.calculate_qparams().unwrap());
        let mut loaded = ExponentHistogramObserver::new();
        loaded.load_state(&merged.state().unwrap()).unwrap();
        assert_eq!(loaded, whole);
    }
}
