//! The one error type of the library: expected and found, and in which layer.

use std::fmt;
use std::path::PathBuf;

use crate::model::StateDictMismatch;

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that bad input, a bad file or a bad configuration can cause.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error inside a layer; `layer` is its path, e.g. `layers.0.conv2`.
    #[error("in `{layer}`: {source}")]
    InLayer {
        /// Path of the layer in PyTorch's spelling.
        layer: String,
        /// The error itself.
        source: Box<Error>,
    },

    /// An error while calibrating; `batch` counts from 0.
    #[error("in batch {batch}: {source}")]
    InBatch {
        /// Index of the batch among those of the call.
        batch: usize,
        /// The error itself.
        source: Box<Error>,
    },

    /// A tensor's shape does not fit an operation.
    #[error("{operation} expected {expected}, found shape {found:?}")]
    Shape {
        /// The operation, e.g. `Conv2d`.
        operation: &'static str,
        /// The expected shape, in words.
        expected: String,
        /// The shape that came.
        found: Vec<usize>,
    },

    /// A parameter of a layer, observer or operation is outside its domain.
    #[error("{operation}: {message}")]
    Parameter {
        /// The operation or type, e.g. `MaxPool2d`.
        operation: &'static str,
        /// The mistake and the values that are allowed.
        message: String,
    },

    /// NaN or infinity where only finite values make sense.
    #[error("{what} contains {value} at flat index {index}")]
    NotFinite {
        /// Which tensor.
        what: String,
        /// `NaN`, `inf` or `-inf`.
        value: f32,
        /// Index in row-major order.
        index: usize,
    },

    /// An id that is not one of a row of a table.
    #[error(
        "id {id} at flat index {index} is not one of {rows} rows: ids are whole numbers from 0 to {}",
        .rows.saturating_sub(1)
    )]
    Index {
        /// The id; NaN, if that came.
        id: f32,
        /// Its place among the ids, in row-major order.
        index: usize,
        /// How many rows there are.
        rows: usize,
    },

    /// An observer was asked for something that it cannot give.
    #[error("{observer}: {message}")]
    Observer {
        /// The observer's name, e.g. `MovingAverageMinMaxObserver`.
        observer: &'static str,
        /// The request, and why it is not supported.
        message: String,
    },

    /// Edges that `convert` needs and that never saw data; all of them.
    #[error(
        "{} never saw data: {}; run `calibrate` with inputs that reach {}",
        if .edges.len() == 1 { "an observed edge".to_owned() } else { format!("{} observed edges", .edges.len()) },
        .edges.join(", "),
        if .edges.len() == 1 { "it" } else { "them" }
    )]
    NotCalibrated {
        /// Paths of the edges.
        edges: Vec<String>,
    },

    /// Edges of which calibration saw a single value alone; all of them, with the value.
    #[error(
        "calibration saw a single value alone on {}, so that their scales are those of no other; calibrate with data that varies, \
         or allow it by `ConvertOptions {{ allow_constant: true }}`",
        .edges.iter().map(|(path, value)| format!("{path} ({value})")).collect::<Vec<_>>().join(", ")
    )]
    ConstantEdges {
        /// Paths of the edges, and the value.
        edges: Vec<(String, f32)>,
    },

    /// `calibrate` got no batch at all.
    #[error("calibration got no batches: pass at least one input")]
    EmptyCalibration,

    /// An epoch of training without a batch; `epoch` counts from 0.
    #[error("epoch {epoch} has no batches: the loader is empty")]
    EmptyEpoch {
        /// Index of the epoch.
        epoch: usize,
    },

    /// A loss, a value or a gradient that became NaN or infinite in training. The parameters are those before the step.
    #[error(
        "training diverged in step {step}{}: {source}; {}",
        .layer.as_ref().map_or(String::new(), |layer| format!(", first in `{layer}`")),
        .checkpoint.as_ref().map_or("there is no checkpoint".to_owned(), |path| {
            format!("the last checkpoint is {}", path.display())
        })
    )]
    Diverged {
        /// The step of the optimizer that was not made, counted from 0.
        step: usize,
        /// The layer at whose output it first appeared, if it appeared in the forward pass.
        layer: Option<String>,
        /// The last checkpoint, from before that.
        checkpoint: Option<PathBuf>,
        /// Of what it was: a [`Error::NotFinite`], perhaps in a layer.
        source: Box<Error>,
    },

    /// Names, types and patterns in a `QConfigMapping` that nothing in the model has.
    #[error("{}", unknown_names(.names))]
    UnknownNames {
        /// Each unknown name with the nearest known one, if any is near.
        names: Vec<(String, Option<String>)>,
    },

    /// Entries of a `QConfigMapping` that decide for no operation, though the model has what they speak of.
    #[error("{}", .entries.iter().map(|(entry, why)| format!("the mapping's `{entry}` decides nothing: {why}")).collect::<Vec<_>>().join("; "))]
    IneffectiveEntries {
        /// Each with what decides in its place.
        entries: Vec<(String, String)>,
    },

    /// A state dict that does not fit the model; every key that is missing, unexpected or misshapen.
    #[error("{0}")]
    StateDict(StateDictMismatch),

    /// A file could not be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },

    /// A bad file: truncated, corrupt, foreign, of another version.
    #[error("{}: {message}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The problem.
        message: String,
    },

    /// More memory than one call may take, see [`set_memory_limit`](crate::set_memory_limit).
    #[error("{what} needs {bytes} bytes of memory, the limit is {limit} (`qcore::set_memory_limit`)")]
    Memory {
        /// Who asked, e.g. `an output of shape [1, 64, 131073, 131073]`.
        what: String,
        /// How many bytes; `usize::MAX` if there are more.
        bytes: usize,
        /// How many there may be.
        limit: usize,
    },

    /// A quantization configuration that no kernel runs.
    #[error("unsupported: {0}")]
    Unsupported(String),
}

fn unknown_names(names: &[(String, Option<String>)]) -> String {
    let described: Vec<String> = names
        .iter()
        .map(|(name, near)| match near {
            Some(near) => format!("`{name}` (did you mean `{near}`?)"),
            None => format!("`{name}`"),
        })
        .collect();
    format!("the model has no {}", described.join(", no "))
}

/// The message: it is what `fn main() -> qcore::Result<()>` and `unwrap` print.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// The same error, said to be inside `layer`; nested calls build the path from the inside out.
    #[must_use]
    pub fn in_layer(self, layer: &str) -> Self {
        match self {
            Self::InLayer { layer: inner, source } => {
                Self::InLayer { layer: format!("{layer}.{inner}"), source }
            }
            other => Self::InLayer { layer: layer.to_owned(), source: Box::new(other) },
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    pub(crate) fn file(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::File { path: path.into(), message: message.into() }
    }

    pub(crate) fn shape(operation: &'static str, expected: impl Into<String>, found: &[usize]) -> Self {
        Self::Shape { operation, expected: expected.into(), found: found.to_vec() }
    }

    pub(crate) fn parameter(operation: &'static str, message: impl Into<String>) -> Self {
        Self::Parameter { operation, message: message.into() }
    }

    /// A kernel's error as one of `operation`.
    pub(crate) fn kernel(operation: &'static str, error: qkernels::Error) -> Self {
        match error {
            qkernels::Error::Memory { what, bytes, limit } => Self::Memory { what, bytes, limit },
            qkernels::Error::Index { index, id, rows } => Self::Index { id, index, rows },
            other => Self::parameter(operation, other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_grows_from_the_inside_out() {
        let error = Error::EmptyCalibration.in_layer("conv1").in_layer("layers.0");
        assert!(error.to_string().starts_with("in `layers.0.conv1`: "), "{error}");
    }

    #[test]
    fn unknown_names_come_with_suggestions() {
        let error =
            Error::UnknownNames { names: vec![("fcc".into(), Some("fc".into())), ("zebra".into(), None)] };
        assert_eq!(error.to_string(), "the model has no `fcc` (did you mean `fc`?), no `zebra`");
    }
}
