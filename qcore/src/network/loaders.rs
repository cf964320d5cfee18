//! `Loaders`: how the operations of a file are made again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::ops::{self, Op};
use crate::{Error, Result};

/// Makes an operation without tensors from its [`Op::config`].
type Load = fn(&serde_json::Value) -> serde_json::Result<Arc<dyn Op>>;

/// How operations of a file are made again, by their names. Those of this crate are always known.
#[derive(Clone, Debug, Default)]
pub struct Loaders {
    own: BTreeMap<String, Load>,
}

impl Loaders {
    /// The operations of this crate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an operation of another crate, which [`Op::name`] calls `name`. Its tensors, which its serde form leaves
    /// out, may be empty: [`Op::lower`] finds them in [`Lowering::stored`](ops::Lowering::stored).
    pub fn add<O: Op + DeserializeOwned>(&mut self, name: impl Into<String>) {
        self.own.insert(name.into(), load::<O>);
    }

    /// The operation `name` with the parameters that `config` says.
    ///
    /// # Errors
    /// When there is no such operation, or its parameters are of another form.
    pub(crate) fn load(&self, name: &str, config: &serde_json::Value) -> Result<Arc<dyn Op>> {
        let Some(load) = self.find(name) else {
            let message = format!("the operation `{name}`, which nothing here can load");
            return Err(Error::Unsupported(message));
        };
        let of_operation = |error: &dyn std::fmt::Display| {
            Error::Unsupported(format!("the parameters of `{name}`: {error}"))
        };
        let op = load(config).map_err(|error| of_operation(&error))?;
        // Operations of another crate decide themselves what they read.
        if !self.own.contains_key(name) {
            let read = op.config()?;
            if read != *config {
                return Err(of_operation(&format_args!("{config}, of which {read} is known")));
            }
        }
        Ok(op)
    }

    /// The operation without its tensors, as a file would give it; as it is, if it cannot be loaded.
    pub(crate) fn without_tensors(&self, op: &Arc<dyn Op>) -> Result<Arc<dyn Op>> {
        match self.find(op.name()) {
            Some(_) => self.load(op.name(), &op.config()?),
            None => Ok(Arc::clone(op)),
        }
    }

    fn find(&self, name: &str) -> Option<Load> {
        self.own.get(name).copied().or_else(|| builtin(name))
    }
}

fn load<O: Op + DeserializeOwned>(config: &serde_json::Value) -> serde_json::Result<Arc<dyn Op>> {
    let op = O::deserialize(config)?;
    Ok(op.shared())
}

/// The operations of this crate; a test compares them with the catalogue.
fn builtin(name: &str) -> Option<Load> {
    Some(match name {
        "Conv1d" => load::<ops::Conv1d>,
        "Conv2d" => load::<ops::Conv2d>,
        "Conv3d" => load::<ops::Conv3d>,
        "ConvTranspose1d" => load::<ops::ConvTranspose1d>,
        "ConvTranspose2d" => load::<ops::ConvTranspose2d>,
        "ConvTranspose3d" => load::<ops::ConvTranspose3d>,
        "Linear" => load::<ops::Linear>,
        "BatchNorm1d" => load::<ops::BatchNorm1d>,
        "BatchNorm2d" => load::<ops::BatchNorm2d>,
        "BatchNorm3d" => load::<ops::BatchNorm3d>,
        "LayerNorm" => load::<ops::LayerNorm>,
        "GroupNorm" => load::<ops::GroupNorm>,
        "InstanceNorm1d" => load::<ops::InstanceNorm1d>,
        "InstanceNorm2d" => load::<ops::InstanceNorm2d>,
        "InstanceNorm3d" => load::<ops::InstanceNorm3d>,
        "LSTM" => load::<ops::LSTM>,
        "GRU" => load::<ops::GRU>,
        "LSTMCell" => load::<ops::LSTMCell>,
        "GRUCell" => load::<ops::GRUCell>,
        "RNNCell" => load::<ops::RNNCell>,
        "Embedding" => load::<ops::Embedding>,
        "EmbeddingBag" => load::<ops::EmbeddingBag>,
        "PReLU" => load::<ops::PReLU>,
        "Identity" => load::<ops::Identity>,
        "relu" => load::<ops::ReLU>,
        "relu6" => load::<ops::ReLU6>,
        "hardtanh" => load::<ops::Hardtanh>,
        "leaky_relu" => load::<ops::LeakyReLU>,
        "elu" => load::<ops::ELU>,
        "celu" => load::<ops::CELU>,
        "threshold" => load::<ops::Threshold>,
        "sigmoid" => load::<ops::Sigmoid>,
        "tanh" => load::<ops::Tanh>,
        "hardsigmoid" => load::<ops::Hardsigmoid>,
        "hardswish" => load::<ops::Hardswish>,
        "silu" => load::<ops::SiLU>,
        "mish" => load::<ops::Mish>,
        "softmax" => load::<ops::Softmax>,
        "log_softmax" => load::<ops::LogSoftmax>,
        "gelu" => load::<ops::GELU>,
        "abs" => load::<ops::Abs>,
        "neg" => load::<ops::Neg>,
        "exp" => load::<ops::Exp>,
        "sqrt" => load::<ops::Sqrt>,
        "square" => load::<ops::Square>,
        "add" => load::<ops::Add>,
        "sub" => load::<ops::Sub>,
        "mul" => load::<ops::Mul>,
        "maximum" => load::<ops::Maximum>,
        "minimum" => load::<ops::Minimum>,
        "matmul" => load::<ops::Matmul>,
        "add_scalar" => load::<ops::AddScalar>,
        "mul_scalar" => load::<ops::MulScalar>,
        "cat" => load::<ops::Cat>,
        "stack" => load::<ops::Stack>,
        "max_pool1d" => load::<ops::MaxPool1d>,
        "max_pool2d" => load::<ops::MaxPool2d>,
        "avg_pool1d" => load::<ops::AvgPool1d>,
        "avg_pool2d" => load::<ops::AvgPool2d>,
        "adaptive_avg_pool1d" => load::<ops::AdaptiveAvgPool1d>,
        "adaptive_avg_pool2d" => load::<ops::AdaptiveAvgPool2d>,
        "flatten" => load::<ops::Flatten>,
        "reshape" => load::<ops::Reshape>,
        "permute" => load::<ops::Permute>,
        "transpose" => load::<ops::Transpose>,
        "squeeze" => load::<ops::Squeeze>,
        "unsqueeze" => load::<ops::Unsqueeze>,
        "narrow" => load::<ops::Narrow>,
        "select" => load::<ops::Select>,
        "expand" => load::<ops::Expand>,
        "pixel_shuffle" => load::<ops::PixelShuffle>,
        "pixel_unshuffle" => load::<ops::PixelUnshuffle>,
        "interpolate" => load::<ops::Upsample>,
        "pad" => load::<ops::Pad>,
        "ZeroPad2d" => load::<ops::ZeroPad2d>,
        "ConstantPad2d" => load::<ops::ConstantPad2d>,
        "ReflectionPad2d" => load::<ops::ReflectionPad2d>,
        "ReplicationPad2d" => load::<ops::ReplicationPad2d>,
        "chunk" => load::<ops::Chunk>,
        "split" => load::<ops::Split>,
        "mean" => load::<ops::Mean>,
        "clamp" => load::<ops::Clamp>,
        "dropout" => load::<ops::Dropout>,
        "quant" => load::<ops::Quant>,
        "dequant" => load::<ops::Dequant>,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_of_the_catalogue_can_be_loaded() {
        let missing: Vec<&str> = qcatalogue::operations()
            .iter()
            .map(|row| row.name)
            .filter(|name| builtin(name).is_none())
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn an_unknown_operation_is_named() {
        let message = Loaders::new().load("fft", &serde_json::Value::Null).unwrap_err().to_string();
        assert!(message.contains("`fft`"), "{message}");
    }
}
