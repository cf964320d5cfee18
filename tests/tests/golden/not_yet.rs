//! Operations of the reference data that the project does not have yet.

/// The operations of each topic that do not run. All others must, and these must not.
pub const NOT_YET: &[(&str, &[&str])] = &[
    ("conv", &["conv2d_add", "conv2d_add_relu"]),
    ("pooling", &["avg_pool3d", "max_pool3d", "adaptive_avg_pool3d"]),
    ("dynamic_linear", &["conv2d_dynamic"]),
    ("models", &["eager_qat"]),
];

/// Whether an operation of a topic is on the list.
pub fn is_not_yet(topic: &str, operation: &str) -> bool {
    NOT_YET.iter().any(|(name, operations)| *name == topic && operations.contains(&operation))
}
