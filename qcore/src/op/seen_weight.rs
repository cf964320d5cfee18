//! What small images see of a convolution's weight, kept from one call to the next.

use std::sync::{Arc, Mutex, PoisonError};

use qkernels::float::SeenWeight;
use qkernels::geometry::Conv2dGeometry;

/// The part for the size of images that was seen last. Clones share it.
///
/// It belongs to one weight: whoever changes the weight starts with a new one. It says nothing that the weight does not
/// say, so that two are always equal.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeenWeightCache(Arc<Mutex<Option<Arc<SeenWeight>>>>);

impl PartialEq for SeenWeightCache {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl SeenWeightCache {
    /// The part of `weight` that these images see, if it is worth telling from the weight.
    pub(super) fn get(
        &self,
        geometry: &Conv2dGeometry,
        weight: &[f32],
    ) -> qkernels::Result<Option<Arc<SeenWeight>>> {
        if !SeenWeight::is_worth_it(geometry) {
            return Ok(None);
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|kept| !kept.fits(geometry)) {
            *kept = SeenWeight::new(geometry, weight)?.map(Arc::new);
        }
        Ok(kept.clone())
    }
}
