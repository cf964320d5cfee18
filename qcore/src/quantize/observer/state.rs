//! Observers' state for files, which is checked as it is read, and the comparison of settings that merging and loading need.

use std::any::Any;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Observer;
use crate::{Error, Result};

/// The state as JSON. An f32 becomes the f64 of the same value, so it comes back exactly.
pub(super) fn save<T: Observer + Serialize>(observer: &T) -> Result<Value> {
    serde_json::to_value(observer).map_err(|error| observer.refusal(&format!("cannot be saved: {error}")))
}

/// Replaces the data of `observer` by that of a state of the same settings.
pub(super) fn load<T>(observer: &mut T, state: Value) -> Result<()>
where
    T: Observer + Clone + PartialEq + DeserializeOwned,
{
    let loaded: T = serde_json::from_value(state)
        .map_err(|error| observer.refusal(&format!("cannot load this state: {error}")))?;
    if !has_same_settings(observer, &loaded) {
        return Err(observer.refusal("cannot load a state of other settings than its own"));
    }
    *observer = loaded;
    Ok(())
}

/// `other` as the type of `observer`, if it has the same type and settings.
pub(super) fn same_kind<'a, T>(observer: &T, other: &'a dyn Observer) -> Result<&'a T>
where
    T: Observer + Any + Clone + PartialEq,
{
    let Some(same) = other.as_any().downcast_ref::<T>() else {
        return Err(observer.refusal(&format!("cannot merge a {}", other.name())));
    };
    if !has_same_settings(observer, same) {
        return Err(observer.refusal("cannot merge an observer of other settings"));
    }
    Ok(same)
}

fn has_same_settings<T: Observer + Clone + PartialEq>(left: &T, right: &T) -> bool {
    let (mut left, mut right) = (left.clone(), right.clone());
    left.reset();
    right.reset();
    left == right
}

/// The refusal of an observer whose result depends on the order of batches.
pub(super) fn order_dependent(observer: &dyn Observer, instead: &str) -> Error {
    observer.refusal(&format!(
        "cannot be merged, because what it keeps depends on the order of batches; use {instead}, which merges \
         exactly, or calibrate in one pass"
    ))
}
