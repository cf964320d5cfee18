//! `equivalence`: is the fused model still the same function?

use std::fmt;

use crate::model::{IntoInput, Module, Prepared, Values};
use crate::{Error, Result};

/// How far the outputs of two models were apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Equivalence {
    /// How many inputs were tried.
    pub inputs: usize,
    /// The largest absolute difference of any output value.
    pub largest_difference: f32,
    /// The largest absolute output value of the float model.
    pub largest_output: f32,
    /// The tolerance that was asked for.
    pub tolerance: f32,
}

impl Equivalence {
    /// Whether no value differs by more than the tolerance.
    pub fn holds(&self) -> bool {
        self.largest_difference <= self.tolerance
    }
}

impl fmt::Display for Equivalence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds() { "the same function" } else { "not the same function" };
        write!(
            f,
            "{verdict}: over {} inputs the outputs differ by at most {:e} (tolerance {:e}, largest output {})",
            self.inputs, self.largest_difference, self.tolerance, self.largest_output
        )
    }
}

/// Runs both models on every input and compares their outputs: the check that people write by hand after
/// fusing. Folding a batch norm changes rounding only, so 1e-4 of the output's size is a sensible tolerance.
///
/// # Errors
/// When there are no inputs, one does not fit, or an output is NaN on one side only.
pub fn equivalence<M: Module, I: IntoInput<M::Input> + Clone>(
    float: &M,
    prepared: &Prepared<M>,
    inputs: impl IntoIterator<Item = I>,
    tolerance: f32,
) -> Result<Equivalence> {
    let mut result = Equivalence { inputs: 0, largest_difference: 0.0, largest_output: 0.0, tolerance };
    for input in inputs {
        let expected = M::Output::into_vec(float.run(input.clone().into_input()?)?.into_tensors());
        let found = M::Output::into_vec(prepared.forward(input)?.into_tensors());
        for (expected, found) in expected.iter().zip(&found) {
            if expected.shape() != found.shape() {
                return Err(Error::shape(
                    "equivalence",
                    format!("shape {:?}", expected.shape()),
                    found.shape(),
                ));
            }
            for (expected, found) in expected.view().iter().zip(found.view().iter()) {
                if expected.is_nan() != found.is_nan() {
                    return Err(Error::NotFinite {
                        what: "one of two outputs".into(),
                        value: f32::NAN,
                        index: 0,
                    });
                }
                // NaN on both sides: `max` ignores it.
                result.largest_difference = result.largest_difference.max((expected - found).abs());
                result.largest_output = result.largest_output.max(expected.abs());
            }
        }
        result.inputs += 1;
    }
    if result.inputs == 0 { Err(Error::EmptyCalibration) } else { Ok(result) }
}
