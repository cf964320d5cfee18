//! What is fuzzed.

mod api;
mod files;
mod forward;
mod kernels;
mod models;

use std::fmt::Display;

use clap::ValueEnum;

/// Something that takes input from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Target {
    /// A checkpoint of float weights.
    StateDict,
    /// A converted model, and its runs if it loads.
    Int8File,
    /// The state of observers as JSON, and the conversion if it loads.
    Calibration,
    /// A qconfig mapping from a document, and the preparation with it.
    Mapping,
    /// Models with inputs of any shape and value, in all variants.
    Forward,
    /// Layers, functions, tensors, scales and observers with any parameters.
    Api,
    /// Kernels on slices with any geometry.
    Kernels,
}

/// How a case ended, if it did not panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With a result.
    Accepted,
    /// With this error.
    Refused(String),
}

impl<T, E: Display> From<Result<T, E>> for Outcome {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Accepted,
            Err(error) => Self::Refused(error.to_string()),
        }
    }
}

/// The cases of a target.
pub(crate) trait Cases {
    /// Runs one.
    fn run(&mut self, seed: u64, case: u64) -> Outcome;
}

impl Target {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::StateDict => "state_dict",
            Self::Int8File => "int8_file",
            Self::Calibration => "calibration",
            Self::Mapping => "mapping",
            Self::Forward => "forward",
            Self::Api => "api",
            Self::Kernels => "kernels",
        }
    }

    pub(crate) fn cases(self) -> Box<dyn Cases> {
        match self.file() {
            Some(file) => Box::new(files::FileCases::new(file)),
            None => match self {
                Self::Forward => Box::new(forward::ForwardCases::new()),
                Self::Api => Box::new(api::ApiCases),
                _ => Box::new(kernels::KernelCases),
            },
        }
    }

    /// The bytes that a case reads, if it reads any.
    pub(crate) fn input(self, seed: u64, case: u64) -> Option<Vec<u8>> {
        Some(files::FileCases::new(self.file()?).input(seed, case))
    }

    fn file(self) -> Option<files::Kind> {
        match self {
            Self::StateDict => Some(files::Kind::StateDict),
            Self::Int8File => Some(files::Kind::Int8),
            Self::Calibration => Some(files::Kind::Calibration),
            Self::Mapping => Some(files::Kind::Mapping),
            _ => None,
        }
    }
}
