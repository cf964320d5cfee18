//! Pools and means of quantized channels-last images; the output keeps the input's qparams.

mod average;
mod max;
mod mean;

pub use average::{AveragePool2d, TieRule, adaptive_avg_pool2d, avg_pool2d, avg_pool2d_into};
pub use max::{max_pool2d, max_pool2d_into};
pub use mean::{MeanExtents, MeanRule, mean};
