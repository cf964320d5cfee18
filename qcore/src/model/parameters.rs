//! `Parameters`: the tensors of a state dict, by PyTorch's names.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use super::StateDictMismatch;
use crate::{Error, Result, Tensor};

/// Anything with tensors in a state dict: layers, `Vec`, `Option`, `Sequential`, models.
pub trait Parameters {
    /// Visits each tensor with its key below `path`.
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor));

    /// As [`Parameters::parameters`], to change them.
    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor));

    /// Refuses tensors with which a layer cannot compute.
    ///
    /// # Errors
    /// When a value is NaN or infinite, or what a layer says of its own; the error has the tensor's key and the index.
    fn check(&self, path: &str) -> Result<()> {
        let mut result = Ok(());
        self.parameters(path, &mut |key, tensor| {
            if result.is_ok() {
                result = check_finite(&key, tensor);
            }
        });
        result
    }

    /// For the error about a key that two tensors share: the fields below `path`, as `Net.conv1`, that hold a tensor
    /// of that key, outermost first. Without names there is nothing to add.
    fn owners(&self, path: &str, key: &str, owners: &mut Vec<String>) {
        let _ = (path, key, owners);
    }
}

/// Adds the field `name` at `path` to `owners`, and those inside of it, if it holds a tensor of this key.
pub fn add_owner(field: &dyn Parameters, path: &str, key: &str, name: &str, owners: &mut Vec<String>) {
    let mut holds = false;
    field.parameters(path, &mut |own, _| holds |= own == key);
    if holds {
        owners.push(name.to_owned());
        field.owners(path, key, owners);
    }
}

/// The keys that more than one tensor has, each with the fields that hold them.
pub(crate) fn shared_keys(model: &impl Parameters) -> Vec<(String, Vec<String>)> {
    let (mut known, mut shared) = (BTreeSet::new(), BTreeSet::new());
    model.parameters("", &mut |key, _| {
        if let Some(key) = known.replace(key) {
            shared.insert(key);
        }
    });
    let with_owners = |key: String| {
        let mut owners = Vec::new();
        model.owners("", &key, &mut owners);
        (key, owners)
    };
    shared.into_iter().map(with_owners).collect()
}

/// # Errors
/// When two tensors have one key, or a layer cannot compute with its own ([`Parameters::check`]).
pub(crate) fn check_parameters(model: &impl Parameters) -> Result<()> {
    let shared = shared_keys(model);
    if !shared.is_empty() {
        return Err(Error::StateDict(StateDictMismatch { shared, ..StateDictMismatch::default() }));
    }
    model.check("")
}

/// # Errors
/// When a value is NaN or infinite.
pub(crate) fn check_finite(key: &str, tensor: &Tensor) -> Result<()> {
    match tensor.first_non_finite() {
        Some((index, value)) => {
            Err(Error::NotFinite { what: format!("the parameter `{key}`"), value, index })
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

    fn check(&self, path: &str) -> Result<()> {
        self.iter().enumerate().try_for_each(|(index, item)| item.check(&join(path, &index.to_string())))
    }

    fn owners(&self, path: &str, key: &str, owners: &mut Vec<String>) {
        for (index, item) in self.iter().enumerate() {
            item.owners(&join(path, &index.to_string()), key, owners);
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

    fn check(&self, path: &str) -> Result<()> {
        self.as_ref().map_or(Ok(()), |item| item.check(path))
    }

    fn owners(&self, path: &str, key: &str, owners: &mut Vec<String>) {
        if let Some(item) = self {
            item.owners(path, key, owners);
        }
    }
}

impl<T: Parameters, const N: usize> Parameters for [T; N] {
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

    fn check(&self, path: &str) -> Result<()> {
        self.iter().enumerate().try_for_each(|(index, item)| item.check(&join(path, &index.to_string())))
    }

    fn owners(&self, path: &str, key: &str, owners: &mut Vec<String>) {
        for (index, item) in self.iter().enumerate() {
            item.owners(&join(path, &index.to_string()), key, owners);
        }
    }
}

macro_rules! tuple {
    ($($name:ident $index:tt)+) => {
        impl<$($name: Parameters),+> Parameters for ($($name,)+) {
            fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
                $(self.$index.parameters(&join(path, stringify!($index)), visit);)+
            }

            fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
                $(self.$index.parameters_mut(&join(path, stringify!($index)), visit);)+
            }

            fn check(&self, path: &str) -> Result<()> {
                $(self.$index.check(&join(path, stringify!($index)))?;)+
                Ok(())
            }

            fn owners(&self, path: &str, key: &str, owners: &mut Vec<String>) {
                $(self.$index.owners(&join(path, stringify!($index)), key, owners);)+
            }
        }
    };
}
tuple!(A 0);
tuple!(A 0 B 1);
tuple!(A 0 B 1 C 2);
tuple!(A 0 B 1 C 2 D 3);
tuple!(A 0 B 1 C 2 D 3 E 4);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5 G 6);
tuple!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7);

impl<T: Parameters> Parameters for Box<T> {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        (**self).parameters(path, visit);
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        (**self).parameters_mut(path, visit);
    }

    fn check(&self, path: &str) -> Result<()> {
        (**self).check(path)
    }

    fn owners(&self, path: &str, key: &str, owners: &mut Vec<String>) {
        (**self).owners(path, key, owners);
    }
}

/// What else holds the layer keeps it as it was: a change is made to a copy of its own.
macro_rules! shared_pointer {
    ($pointer:ident) => {
        impl<T: Parameters + Clone> Parameters for $pointer<T> {
            fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
                (**self).parameters(path, visit);
            }

            fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
                Self::make_mut(self).parameters_mut(path, visit);
            }

            fn check(&self, path: &str) -> Result<()> {
                (**self).check(path)
            }

            fn owners(&self, path: &str, key: &str, owners: &mut Vec<String>) {
                (**self).owners(path, key, owners);
            }
        }
    };
}
shared_pointer!(Arc);
shared_pointer!(Rc);

/// Element `index` of the list `name` in the body of a model.
///
/// # Errors
/// When the list is shorter.
pub fn element<'l, T>(list: &'l [T], index: usize, name: &str) -> Result<&'l T> {
    list.get(index).ok_or_else(|| {
        let message = format!("there is no element {index} in a list of {}", list.len());
        Error::parameter("element", message).in_layer(name)
    })
}
