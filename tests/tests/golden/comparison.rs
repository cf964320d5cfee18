//! How far a result may be from PyTorch's, and how far it is.

use std::collections::BTreeSet;

use anyhow::Result;
use qcore::{FloatQParams, QTensor, Tensor};
use serde::Deserialize;

use crate::index::{Case, Stored, StoredQuantized};

/// The tolerance that the index gives a case.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub enum Tolerance {
    Exact(Exactly),
    Within(Limits),
}

/// The word `exact`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exactly {
    Exact,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Integers may differ by this many steps ...
    pub int_steps: i64,
    /// ... in `max(1, fraction * size)` elements of a tensor.
    pub fraction: f64,
    /// Floats may differ by so much ...
    pub abs: f64,
    /// ... or by so much of the largest expected magnitude.
    pub rel: f64,
}

impl Limits {
    pub const EXACT: Self = Self { int_steps: 0, fraction: 0.0, abs: 0.0, rel: 0.0 };
}

impl From<Tolerance> for Limits {
    fn from(tolerance: Tolerance) -> Self {
        match tolerance {
            Tolerance::Exact(Exactly::Exact) => Self::EXACT,
            Tolerance::Within(limits) => limits,
        }
    }
}

/// The differences of one case from its expected results.
pub struct Findings<'a> {
    case: &'a Case<'a>,
    limits: Limits,
    compared: BTreeSet<String>,
    pub largest_step: i64,
    pub largest_float_difference: f64,
    /// One line for each tensor that is further away than allowed.
    pub failures: Vec<String>,
}

impl<'a> Findings<'a> {
    pub fn new(case: &'a Case<'a>, limits: Limits) -> Self {
        Self {
            case,
            limits,
            compared: BTreeSet::new(),
            largest_step: 0,
            largest_float_difference: 0.0,
            failures: Vec::new(),
        }
    }

    pub fn is_exact(&self) -> bool {
        self.failures.is_empty() && self.largest_step == 0 && self.largest_float_difference == 0.0
    }

    /// Every expected result must have been compared.
    pub fn finish(&mut self) {
        let forgotten: Vec<_> =
            self.case.expected_roles().filter(|role| !self.compared.contains(*role)).collect();
        if !forgotten.is_empty() {
            self.failures.push(format!("never compared: {}", forgotten.join(", ")));
        }
    }

    pub fn fail(&mut self, message: String) {
        self.failures.push(message);
    }

    /// Integers within the limits; shape, type, scale and zero point exactly.
    pub fn quantized(&mut self, role: &str, found: &QTensor) -> Result<()> {
        let expected = self.case.expected_quantized(role)?;
        self.compared.insert(role.to_owned());
        self.qparams(role, &expected, found);
        self.compare_integers(role, &expected.integers, &integers_of(found), self.limits);
        Ok(())
    }

    /// As [`Findings::quantized`], with no difference at all: weights.
    pub fn quantized_exactly(&mut self, role: &str, found: &QTensor) -> Result<()> {
        let limits = std::mem::replace(&mut self.limits, Limits::EXACT);
        let result = self.quantized(role, found);
        self.limits = limits;
        result
    }

    fn qparams(&mut self, role: &str, expected: &StoredQuantized, found: &QTensor) {
        let qparams = found.qparams();
        if found.dtype() != expected.dtype {
            self.failures.push(format!(
                "{role}: {}, expected {}",
                found.dtype().name(),
                expected.dtype.name()
            ));
        }
        if qparams.axis != expected.axis {
            self.failures.push(format!("{role}: axis {:?}, expected {:?}", qparams.axis, expected.axis));
        }
        self.compare_floats(&format!("{role}.scale"), &expected.scale, &qparams.scale, Limits::EXACT);
        let found: Vec<f64> = qparams.zero_point.iter().map(|&z| f64::from(z)).collect();
        if found != expected.zero_point {
            self.failures.push(format!("{role}.zero_point: {found:?}, expected {:?}", expected.zero_point));
        }
    }

    /// The integers of a quantized result whose zero points are real numbers, all exactly.
    pub fn float_qparams(&mut self, role: &str, qparams: &FloatQParams, found: &Stored<i64>) -> Result<()> {
        let expected = self.case.expected_quantized(role)?;
        self.compared.insert(role.to_owned());
        self.compare_floats(&format!("{role}.scale"), &expected.scale, &qparams.scale, Limits::EXACT);
        let zero_point: Vec<f32> = expected.zero_point.iter().map(|&z| z as f32).collect();
        self.compare_floats(&format!("{role}.zero_point"), &zero_point, &qparams.zero_point, Limits::EXACT);
        self.compare_integers(role, &expected.integers, found, Limits::EXACT);
        Ok(())
    }

    /// A plain integer result, such as zero points, exactly.
    pub fn integers(&mut self, role: &str, found: &[i32]) -> Result<()> {
        let expected = self.case.expected_integers(role)?;
        self.compared.insert(role.to_owned());
        let found = found.iter().map(|&q| i64::from(q)).collect();
        let found = Stored { shape: expected.shape.clone(), values: found };
        self.compare_integers(role, &expected, &found, Limits::EXACT);
        Ok(())
    }

    /// A number calibrated on float results that are not reproducible to the bit, such as those of a float
    /// convolution: at most `allowed` away. This says nothing about exactness.
    pub fn calibrated(&mut self, role: &str, found: f32, allowed: f32) -> Result<()> {
        self.compared.insert(role.to_owned());
        let expected = match self.case.expected_floats(role) {
            Ok(floats) => floats.values[0],
            Err(_) => self.case.expected_integers(role)?.values[0] as f32,
        };
        // A comparison that NaN does not pass either.
        if (expected - found).abs() <= allowed {
            return Ok(());
        }
        self.failures.push(format!("{role}: {found:e}, expected {expected:e} give or take {allowed:e}"));
        Ok(())
    }

    /// A float result within the limits, and its shape.
    pub fn tensor(&mut self, role: &str, found: &Tensor) -> Result<()> {
        let expected = self.case.expected_floats(role)?.shape;
        if found.shape() != expected {
            self.failures.push(format!("{role}: shape {:?}, expected {expected:?}", found.shape()));
        }
        self.floats(role, found.view().iter())
    }

    /// A float result within the limits.
    pub fn floats<'f>(&mut self, role: &str, found: impl IntoIterator<Item = &'f f32>) -> Result<()> {
        self.floats_within(role, found, self.limits)
    }

    /// A float result within other limits.
    pub fn floats_within<'f>(
        &mut self,
        role: &str,
        found: impl IntoIterator<Item = &'f f32>,
        limits: Limits,
    ) -> Result<()> {
        let expected = self.case.expected_floats(role)?;
        self.compared.insert(role.to_owned());
        let found: Vec<f32> = found.into_iter().copied().collect();
        self.compare_floats(role, &expected.values, &found, limits);
        Ok(())
    }

    /// An expected result that another comparison covers already.
    pub fn is_covered(&mut self, role: &str) {
        self.compared.insert(role.to_owned());
    }

    pub fn compare_integers(
        &mut self,
        what: &str,
        expected: &Stored<i64>,
        found: &Stored<i64>,
        limits: Limits,
    ) {
        if expected.shape != found.shape || expected.values.len() != found.values.len() {
            self.failures.push(format!("{what}: shape {:?}, expected {:?}", found.shape, expected.shape));
            return;
        }
        let pairs = || expected.values.iter().zip(&found.values);
        let largest = pairs().map(|(e, f)| (e - f).abs()).max().unwrap_or(0);
        let wrong = pairs().filter(|(e, f)| e != f).count();
        self.largest_step = self.largest_step.max(largest);
        let allowed = (limits.fraction * expected.values.len() as f64).max(1.0);
        if largest <= limits.int_steps && (wrong as f64) <= allowed {
            return;
        }
        if let Some((index, (expected, found))) = pairs().enumerate().find(|(_, (e, f))| e != f) {
            let size = pairs().len();
            self.failures.push(format!(
                "{what}: {wrong} of {size} differ, largest difference {largest}; first at {index}: {found}, \
                 expected {expected}"
            ));
        }
    }

    pub fn compare_floats(&mut self, what: &str, expected: &[f32], found: &[f32], limits: Limits) {
        if expected.len() != found.len() {
            self.failures.push(format!("{what}: {} values, expected {}", found.len(), expected.len()));
            return;
        }
        let is_same = |e: f32, f: f32| e == f || e.is_nan() && f.is_nan();
        let difference = |e: f32, f: f32| match is_same(e, f) {
            true => 0.0,
            false => (f64::from(e) - f64::from(f)).abs(),
        };
        let pairs = || expected.iter().copied().zip(found.iter().copied());
        // NaN against a number counts as infinitely far.
        let distances =
            pairs().map(|(e, f)| Some(difference(e, f)).filter(|d| !d.is_nan()).unwrap_or(f64::INFINITY));
        let largest = distances.fold(0.0, f64::max);
        let magnitude =
            expected.iter().filter(|e| e.is_finite()).fold(0.0, |m: f64, e| m.max(f64::from(e.abs())));
        self.largest_float_difference = self.largest_float_difference.max(largest);
        if largest <= limits.abs || largest <= limits.rel * magnitude {
            return;
        }
        if let Some((index, (expected, found))) = pairs().enumerate().find(|(_, (e, f))| !is_same(*e, *f)) {
            self.failures.push(format!(
                "{what}: largest difference {largest:e}; first at {index}: {found:e}, expected {expected:e}"
            ));
        }
    }
}

/// The integers in row-major order.
pub fn integers_of(tensor: &QTensor) -> Stored<i64> {
    let values = tensor.int_repr().to_i32().iter().map(|&q| i64::from(q)).collect();
    Stored { shape: tensor.shape().to_vec(), values }
}
