//! The decisions of a quantization mode for a model, PyTorch's or ours.

use qcore::Precision;

/// A value: an input, or the output of an operation or fused group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The operation's name in small letters without underscores; `input` for an input.
    pub operation: String,
    /// The steps whose values it reads.
    pub inputs: Vec<usize>,
    /// How it computes.
    pub precision: Precision,
    /// The first step that has the same observer.
    pub observer: Option<usize>,
}

impl Step {
    /// Whether integers come out of it.
    pub fn is_static(&self) -> bool {
        self.precision == Precision::Static
    }
}

/// All values of a model, and how often they change their format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decisions {
    pub steps: Vec<Step>,
    pub quantizations: usize,
    pub dequantizations: usize,
}

/// One spelling for layers and functions: `ConvReLU2d`, `add_relu`.
pub fn operation_name(name: &str) -> String {
    let name = name.rsplit('.').next().unwrap_or(name).replace('_', "").to_lowercase();
    match name.as_str() {
        "view" => "reshape".to_owned(),
        _ => name,
    }
}
