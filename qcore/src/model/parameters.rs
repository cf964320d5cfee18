//! `Parameters`: the tensors of a state dict, by PyTorch's names.

use crate::{Error, Result, Tensor};

/// Anything with tensors in a state dict: layers, `Vec`, `Option`, `Sequential`, models.
pub trait Parameters {
    /// Visits each tensor with its key below `path`.
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor));

    /// As [`Parameters::parameters`], to change them.
    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor));
}

/// # Errors
/// When a value is NaN or infinite; the error has the parameter's key.
pub(crate) fn check_parameters(model: &impl Parameters) -> Result<()> {
    let mut result = Ok(());
    model.parameters("", &mut |key, tensor| {
        if result.is_ok() {
            result = check_parameter(&key, tensor);
        }
    });
    result
}

/// # Errors
/// When a value is NaN or infinite, or a negative variance.
pub(crate) fn check_parameter(key: &str, tensor: &Tensor) -> Result<()> {
    if let Some((index, value)) = tensor.first_non_finite() {
        return Err(Error::NotFinite { what: format!("the parameter `{key}`"), value, index });
    }
    let is_variance = key.rsplit('.').next() == Some("running_var");
    match tensor.view().iter().enumerate().find(|(_, value)| is_variance && **value < 0.0) {
        Some((index, value)) => {
            let message = format!("`{key}` is {value} at flat index {index}, which is no variance");
            Err(Error::parameter("a batch norm", message))
        }
        None => Ok(()),
    }
}

/// `name` below `path`: `conv1` below `layers.0` is `layers.0.conv1`. Either may be empty.
pub fn join(path: &str, name: &str) -> String {
    match (path, name) {
        ("", only) | (only, "") => only.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

impl<T: Parameters> Parameters for Vec<T> {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        for (index, item) in self.iter().enumerate() {
            item.parameters(&join(path, &index.to_string()), visit);
        }
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        for (index, item) in self.iter_mut().enumerate() {
            item.parameters_mut(&join(path, &index.to_string()), visit);
        }
    }
}

impl<T: Parameters> Parameters for Option<T> {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        if let Some(item) = self {
            item.parameters(path, visit);
        }
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        if let Some(item) = self {
            item.parameters_mut(path, visit);
        }
    }
}
