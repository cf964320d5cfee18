//! Observers' state for files, which is checked as it is read, and the comparison of settings that merging and loading need.

use std::any::Any;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::Observer;
use crate::{Error, Result};

/// The state as JSON. An f32 is written as the shortest number that becomes it again.
pub(super) fn save<T: Observer + Serialize>(observer: &T) -> Result<String> {
    serde_json::to_string(observer).map_err(|error| observer.refusal(&format!("cannot be saved: {error}")))
}

/// Replaces the data of `observer` by that of a state of the same settings.
pub(super) fn load<T>(observer: &mut T, state: &str) -> Result<()>
where
    T: Observer + Clone + PartialEq + DeserializeOwned,
{
    let loaded: T = serde_json::from_str(state)
        .map_err(|error| observer.refusal(&format!("cannot load this state: {error}")))?;
    if !has_same_settings(observer, &loaded) {
        return Err(observer.refusal("cannot load a state of other settings than its own"));
    }
    *observer = loaded;
    Ok(())
}

/// The most entries of a list in a state: as many as a [`ValueGrid`](super::ValueGrid) has buckets.
const MAX_ENTRIES: usize = 1 << 16;

/// A list that is no longer than any observer's, whoever wrote the file.
pub(in crate::quantize) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct List<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a list of at most {MAX_ENTRIES}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(entry) = seq.next_element()? {
                if list.len() == MAX_ENTRIES {
                    return Err(A::Error::invalid_length(MAX_ENTRIES + 1, &self));
                }
                list.push(entry);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(List(PhantomData))
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
