//! What PyTorch has and we do not, with the advice to give.
//!
//! No advice sends the user of a trained network to another activation or norm without saying that the network has
//! to be trained again.

/// A layer or function of PyTorch that has no quantized form here.
#[derive(Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The layer, `Softmax`.
    pub layer: Option<&'static str>,
    /// The function, `softmax`.
    pub function: Option<&'static str>,
    /// What to write instead, beginning with a verb; None if there is nothing but the list of what there is.
    pub advice: Option<&'static str>,
}

/// The row of a layer, whatever the case of its letters.
pub fn unsupported_layer(name: &str) -> Option<&'static Unsupported> {
    UNSUPPORTED.iter().find(|row| row.layer.is_some_and(|layer| layer.eq_ignore_ascii_case(name)))
}

/// The row of a function.
pub fn unsupported_function(name: &str) -> Option<&'static Unsupported> {
    UNSUPPORTED.iter().find(|row| row.function == Some(name))
}

/// Every row.
pub fn unsupported() -> &'static [Unsupported] {
    UNSUPPORTED
}

static UNSUPPORTED: &[Unsupported] = &[
    both("AdaptiveMaxPool2d", "adaptive_max_pool2d", None),
    both("AvgPool3d", "avg_pool3d", None),
    both("Dropout2d", "dropout2d", Some("use `Dropout`: both do nothing at inference")),
    function("embedding", Some("use an `Embedding` field")),
    both("MaxPool3d", "max_pool3d", None),
    layer("ModuleDict", Some("write one field for each entry")),
    layer("ModuleList", Some("use a `Vec` of layers or models")),
    layer("MultiheadAttention", None),
    layer("RNN", Some("use a loop over an `RNNCell`, or `LSTM` or `GRU`")),
    function("max", Some("use `maximum` of two tensors, or `max_pool2d`")),
    function("sum", Some("use `mean`, then multiply by the count")),
];

const fn both(layer: &'static str, function: &'static str, advice: Option<&'static str>) -> Unsupported {
    Unsupported { layer: Some(layer), function: Some(function), advice }
}

const fn layer(layer: &'static str, advice: Option<&'static str>) -> Unsupported {
    Unsupported { layer: Some(layer), function: None, advice }
}

const fn function(function: &'static str, advice: Option<&'static str>) -> Unsupported {
    Unsupported { layer: None, function: Some(function), advice }
}
