//! The methods of operations without tensors, which are nothing but their parameters in a file.

use serde::Serialize;

use crate::{Error, Result};

/// Implements `Parameters` for an operation without tensors, and `ObjectType` for a layer of this name.
macro_rules! no_parameters {
    ($operation:ty $(, const $D:ident)?) => {
        impl$(<const $D: usize>)? $crate::model::Parameters for $operation {
            fn parameters(&self, _path: &str, _visit: &mut dyn FnMut(String, &$crate::Tensor)) {}

            fn parameters_mut(&mut self, _path: &str, _visit: &mut dyn FnMut(String, &mut $crate::Tensor)) {}
        }
    };
    ($operation:ty, $layer:expr) => {
        $crate::ops::plain::no_parameters!($operation);

        impl $crate::ObjectType for $operation {
            const NAME: &'static str = $layer;
        }
    };
}
pub(super) use no_parameters;

/// `Op::config` and `Op::shared` of a type with `Clone` and serde, all of which is written to a file.
macro_rules! plain_op {
    () => {
        fn config(&self) -> $crate::Result<serde_json::Value> {
            $crate::ops::plain::config($crate::ops::Op::name(self), self)
        }

        fn shared(&self) -> std::sync::Arc<dyn $crate::ops::Op> {
            std::sync::Arc::new(self.clone())
        }
    };
}
pub(super) use plain_op;

/// The serde form of an operation.
///
/// # Errors
/// When it has no JSON form.
pub(super) fn config(name: &'static str, operation: &impl Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(operation).map_err(|error| Error::parameter(name, error.to_string()))
}
