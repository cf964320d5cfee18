//! A float convolution's weight in the form that is fastest for images of one size, kept from one call to the next.

use std::sync::{Arc, Mutex, PoisonError};

use qkernels::float::PackedWeight;
use qkernels::geometry::Conv2dGeometry;

/// The form for the size of images that came last. Clones share it.
///
/// It belongs to one weight: whoever changes the weight starts with a new one. It says nothing that the weight does not
/// say, so that two are always equal.
#[derive(Clone, Debug, Default)]
pub(super) struct PackedWeightCache(Arc<Mutex<Option<Arc<PackedWeight>>>>);

impl PartialEq for PackedWeightCache {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl PackedWeightCache {
    /// The form of `weight` for these images, if that is another than the weight itself.
    pub(super) fn get(
        &self,
        geometry: &Conv2dGeometry,
        weight: &[f32],
    ) -> qkernels::Result<Option<Arc<PackedWeight>>> {
        if !PackedWeight::is_faster(geometry) {
            return Ok(None);
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|kept| !kept.fits(geometry)) {
            *kept = PackedWeight::new(geometry, weight)?.map(Arc::new);
        }
        Ok(kept.clone())
    }
}
