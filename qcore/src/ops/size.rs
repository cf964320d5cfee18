//! `Size`: a number for each spatial dimension, from one number for all or from one for each.

use serde::de::{Error, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Result;

/// A kernel size, stride, padding, dilation or output size in each of `D` spatial dimensions, outermost first:
/// `[height, width]` for images, `[depth, height, width]` for videos.
///
/// Functions take `impl Into<Size<D>>`: one number for all dimensions, an array, or for images `(height, width)`,
/// for videos `(depth, height, width)`.
///
/// ```
/// use qcore::Size;
/// assert_eq!(Size::<2>::from(3), Size::from((3, 3)));
/// assert_eq!(Size::from([1, 2]).0, [1, 2]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size<const D: usize>(pub [usize; D]);

impl<const D: usize> Size<D> {
    /// Whether one of the numbers is 0.
    pub fn has_zero(self) -> bool {
        self.0.contains(&0)
    }
}

impl<const D: usize> From<usize> for Size<D> {
    fn from(all: usize) -> Self {
        Self([all; D])
    }
}

impl<const D: usize> From<[usize; D]> for Size<D> {
    fn from(each: [usize; D]) -> Self {
        Self(each)
    }
}

impl From<(usize, usize)> for Size<2> {
    fn from((height, width): (usize, usize)) -> Self {
        Self([height, width])
    }
}

impl From<(usize, usize, usize)> for Size<3> {
    fn from((depth, height, width): (usize, usize, usize)) -> Self {
        Self([depth, height, width])
    }
}

/// As Python prints a tuple: `(3, 3)`.
impl<const D: usize> std::fmt::Display for Size<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(usize::to_string).collect();
        write!(f, "({})", numbers.join(", "))
    }
}

/// One number for all dimensions where they are the same.
impl<const D: usize> Serialize for Size<D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [first, rest @ ..] if rest.iter().all(|other| other == first) => first.serialize(serializer),
            numbers => numbers.serialize(serializer),
        }
    }
}

impl<'de, const D: usize> Deserialize<'de> for Size<D> {
    fn deserialize<T: Deserializer<'de>>(deserializer: T) -> Result<Self, T::Error> {
        struct Numbers<const D: usize>;

        impl<'de, const D: usize> Visitor<'de> for Numbers<D> {
            type Value = Size<D>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a number or {D} of them")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Size<D>, E> {
                usize::try_from(number).map(Size::from).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Size<D>, A::Error> {
                let mut numbers = [0; D];
                for (index, number) in numbers.iter_mut().enumerate() {
                    *number = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(index, &self))?;
                }
                match seq.next_element::<IgnoredAny>()? {
                    None => Ok(Size(numbers)),
                    Some(_) => Err(A::Error::invalid_length(D + 1, &self)),
                }
            }
        }

        deserializer.deserialize_any(Numbers)
    }
}

/// A number or a tuple as a [`Size`]; for optional arguments, where a constructor takes `Option<Size<2>>`.
pub fn pair(value: impl Into<Size<2>>) -> Size<2> {
    value.into()
}

/// A number of a model, which may be of any integer type.
#[diagnostic::on_unimplemented(
    message = "an operation takes an integer here, this is `{Self}`",
    label = "not an integer",
    note = "give an integer of any type, or cast it: `self.size as usize`"
)]
pub trait Integer {
    /// The number.
    fn value(self) -> i128;
}

macro_rules! integers {
    ($($integer:ty),+) => {$(
        impl Integer for $integer {
            fn value(self) -> i128 {
                // No axis and no size comes near to what `i128` cannot hold.
                i128::try_from(self).unwrap_or(i128::MAX)
            }
        }
    )+};
}
integers!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);

impl<I: Integer + Copy> Integer for &I {
    fn value(self) -> i128 {
        (*self).value()
    }
}

/// An integer argument in the type that the operation has for it.
///
/// # Errors
/// When that type cannot hold it.
pub fn integer<T: TryFrom<i128>>(value: impl Integer) -> Result<T> {
    let value = value.value();
    let out_of_range = || crate::Error::parameter("an integer argument", format!("{value} is out of range"));
    T::try_from(value).map_err(|_| out_of_range())
}
