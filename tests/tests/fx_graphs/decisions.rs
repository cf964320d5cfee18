//! What a mode of quantization decides for a model, whoever decided it.

/// A value: an input, or what an operation or fused group makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The operation's name in small letters without underscores; `input` for an input.
    pub operation: String,
    /// The steps whose values it reads.
    pub inputs: Vec<usize>,
    /// Whether it runs on integers.
    pub is_int8: bool,
    /// The first step that has the same observer.
    pub observer: Option<usize>,
}

/// All values of a model, and how often they change their domain.
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
