//! The observer of weights that have a scale for each group of neighbours in a row.

use serde::{Deserialize, Serialize};

use super::{Observer, PerChannelMinMaxObserver, common_methods};
use crate::tensor::Rearrangement;
use crate::{DType, Error, QParams, QScheme, Result, Tensor};

/// The largest magnitude of each group of `group_size` neighbours in the rows of a weight `[out, in]`, or of each whole
/// row; symmetric integers of 2 to 8 bits.
///
/// Its qparams are those of the weight as `[out * in / group_size, group_size]`, along axis 0.
///
/// ```
/// use qcore::Tensor;
/// use qcore::observer::{Observer, PerGroupMinMaxObserver};
///
/// let mut observer = PerGroupMinMaxObserver::new(4).group_size(2);
/// observer.observe(&Tensor::from_vec(&[1, 4], vec![7.5, 1.0, 0.0, -15.0])?)?;
/// assert_eq!(observer.calculate_qparams()?.scale, [1.0, 2.0]);
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerGroupMinMaxObserver {
    bits: u32,
    group_size: Option<usize>,
    observer: PerChannelMinMaxObserver,
}

impl PerGroupMinMaxObserver {
    /// Of integers of so many bits, 2 to 8, in groups as long as a row.
    pub fn new(bits: u32) -> Self {
        // Of another number of bits the range is never used, as `observe` refuses them.
        let half = 1 << (bits.clamp(2, 8) - 1);
        let observer = PerChannelMinMaxObserver::new()
            .dtype(DType::QInt8)
            .qscheme(QScheme::PerChannelSymmetric)
            .quant_min(-half)
            .quant_max(half - 1);
        Self { bits, group_size: None, observer }
    }

    /// Sets how many neighbours have one scale. It must divide the length of a row.
    #[must_use]
    pub fn group_size(self, group_size: usize) -> Self {
        Self { group_size: Some(group_size), ..self }
    }
}

impl Observer for PerGroupMinMaxObserver {
    common_methods!("PerGroupMinMaxObserver");

    fn observe(&mut self, x: &Tensor) -> Result<()> {
        let fail = |message: String| Err(Error::parameter(self.name(), message));
        if !(2..=8).contains(&self.bits) {
            return fail(format!("weights of {} bits; choose 2 to 8", self.bits));
        }
        let &[outputs, inputs] = x.shape() else {
            return Err(Error::shape(self.name(), "a weight [out_features, in_features]", x.shape()));
        };
        let group_size = self.group_size.unwrap_or(inputs);
        if group_size == 0 || !inputs.is_multiple_of(group_size) {
            let divisors: Vec<String> = [32, 64, 128]
                .iter()
                .filter(|&n| inputs.is_multiple_of(*n))
                .map(ToString::to_string)
                .collect();
            let choices = match divisors.is_empty() {
                true => "a divisor".to_owned(),
                false => divisors.join(", "),
            };
            return fail(format!(
                "groups of {group_size} weights do not divide the {inputs} of a row; choose {choices}, or none for one \
                 scale a row"
            ));
        }
        let rows = Rearrangement::Reshape(vec![outputs * (inputs / group_size), group_size]);
        let rows = rows.apply(self.name(), x.clone().contiguous().into_shared())?;
        self.observer.observe(&Tensor::from(rows))
    }

    fn calculate_qparams(&self) -> Result<QParams> {
        self.observer.calculate_qparams()
    }

    fn has_observed(&self) -> bool {
        self.observer.has_observed()
    }

    fn range(&self) -> Option<(f32, f32)> {
        self.observer.range()
    }

    fn ranges(&self) -> Vec<(f32, f32)> {
        self.observer.ranges()
    }

    fn reset(&mut self) {
        self.observer.reset();
    }

    fn dtype(&self) -> DType {
        DType::QInt8
    }

    fn qscheme(&self) -> QScheme {
        QScheme::PerChannelSymmetric
    }
}
