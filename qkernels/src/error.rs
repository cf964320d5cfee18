//! The one error type: a slice of the wrong length, an impossible geometry, a parameter out of range, no memory.

use std::fmt;

/// The fault of an argument of a kernel.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// A slice has another length than the parameters imply.
    Length {
        /// The argument.
        what: &'static str,
        /// The length the parameters imply.
        expected: usize,
        /// The length that was given.
        actual: usize,
    },
    /// Sizes that do not fit together, or give an output without elements.
    Geometry(String),
    /// A scale, zero point, range or rule that is not allowed.
    Parameter(String),
    /// A value that is NaN or infinite, where the caller wants none.
    NotFinite {
        /// Its place in the slice.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// An id that is not a whole number, or not one of a row.
    Index {
        /// Its place among the ids.
        index: usize,
        /// The id.
        id: f32,
        /// How many rows there are.
        rows: usize,
    },
    /// More memory than one call may take: [`set_memory_limit`](crate::memory::set_memory_limit).
    Memory {
        /// Who asked.
        what: String,
        /// How many bytes.
        bytes: usize,
        /// How many there may be.
        limit: usize,
    },
}

/// `Result` with the error type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn geometry(message: impl Into<String>) -> Self {
        Self::Geometry(message.into())
    }

    /// The error for the first value that is NaN or infinite; `None` if all are finite.
    pub fn not_finite(values: &[f32]) -> Option<Self> {
        let found = values.iter().copied().enumerate().find(|(_, value)| !value.is_finite());
        found.map(|(index, value)| Self::NotFinite { index, value })
    }

    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::Parameter(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { what, expected, actual } => {
                write!(f, "{what} has {actual} elements, expected {expected}")
            }
            Self::Geometry(message) | Self::Parameter(message) => f.write_str(message),
            Self::NotFinite { index, value } => write!(f, "{value} at index {index}"),
            Self::Index { index, id, rows } => {
                write!(f, "id {id} at flat index {index}, where there are {rows} rows")
            }
            Self::Memory { what, bytes, limit } => {
                write!(f, "{what} needs {bytes} bytes of memory, the limit is {limit}")
            }
        }
    }
}

impl std::error::Error for Error {}
