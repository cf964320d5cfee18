//! `Pair`: a height and a width, from one number or from two.

use serde::{Deserialize, Serialize};

/// A size, stride, padding or dilation in both directions of an image.
///
/// Functions take `impl Into<Pair>`: one number for both directions, or `(height, width)`.
///
/// ```
/// use qcore::Pair;
/// assert_eq!(Pair::from(3), Pair::from((3, 3)));
/// assert_eq!(Pair::from([1, 2]).width, 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "[usize; 2]", into = "[usize; 2]")]
pub struct Pair {
    /// Along H.
    pub height: usize,
    /// Along W.
    pub width: usize,
}

impl From<usize> for Pair {
    fn from(both: usize) -> Self {
        Self { height: both, width: both }
    }
}

impl From<(usize, usize)> for Pair {
    fn from((height, width): (usize, usize)) -> Self {
        Self { height, width }
    }
}

impl From<[usize; 2]> for Pair {
    fn from([height, width]: [usize; 2]) -> Self {
        Self { height, width }
    }
}

impl From<Pair> for [usize; 2] {
    fn from(pair: Pair) -> Self {
        [pair.height, pair.width]
    }
}

/// A number or a tuple as a [`Pair`]; for optional arguments, where a constructor takes `Option<Pair>`.
pub fn pair(value: impl Into<Pair>) -> Pair {
    value.into()
}
