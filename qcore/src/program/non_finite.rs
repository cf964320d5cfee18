//! `NonFinite`: what becomes of NaN and infinity where floats become integers.

use serde::{Deserialize, Serialize};

/// What a converted model does with NaN and infinity where floats become integers, which have neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NonFinite {
    /// An error, [`Error::NotFinite`](crate::Error::NotFinite): it names the input and the index in it, or, if all inputs
    /// are finite, the layer whose output is not.
    #[default]
    Refuse,
    /// As PyTorch: an infinity becomes the largest or smallest integer, NaN the zero point, and the outputs look like
    /// any others.
    Saturate,
}
