//! `Unbuildable`: stands in for a model whose `forward` has mistakes.

use crate::{Error, Result};

/// What `#[quantizable]` emits beside its compile errors calls this, so that rustc has nothing to add to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unbuildable {}

impl Unbuildable {
    /// The return type of the model's functions.
    ///
    /// # Errors
    /// Always.
    pub fn refuse<T>() -> Result<T> {
        Err(Error::Unsupported("a model that does not compile".to_owned()))
    }
}
