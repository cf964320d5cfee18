//! Where packed weights are: in memory of their own, or in that of a file.

use std::ops::Deref;

use crate::file_bytes::SharedBytes;
use crate::panel::{PANEL, PanelQuad, QUAD};

/// Bytes of a [`PanelQuad`].
pub(crate) const QUAD_BYTES: usize = PANEL * QUAD;

/// A sequence of [`PanelQuad`]s.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    Owned(Vec<PanelQuad>),
    /// Whole quads, the first at a multiple of 64.
    File(SharedBytes),
}

impl Storage {
    /// The quads in a file, without a copy if they lie aligned; bytes that are no whole quad at the end are left
    /// out.
    pub(crate) fn of_file(bytes: SharedBytes) -> Self {
        let len = bytes.len() - bytes.len() % QUAD_BYTES;
        let is_aligned = bytes.as_ptr().align_offset(align_of::<PanelQuad>()) == 0;
        if is_aligned && len == bytes.len() {
            return Self::File(bytes);
        }
        let quads = bytes.as_chunks::<QUAD_BYTES>().0.iter();
        Self::Owned(quads.map(|quad| PanelQuad(quad.map(u8::cast_signed))).collect())
    }

    /// The quads as they are stored in a file.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::File(bytes) => bytes,
            Self::Owned(quads) => {
                // SAFETY: a `PanelQuad` is 64 bytes without padding, and every byte may be read as a `u8`.
                unsafe { std::slice::from_raw_parts(quads.as_ptr().cast(), size_of_val(quads.as_slice())) }
            }
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self::Owned(Vec::new())
    }
}

impl Deref for Storage {
    type Target = [PanelQuad];

    fn deref(&self) -> &[PanelQuad] {
        match self {
            Self::Owned(quads) => quads,
            Self::File(bytes) => {
                // SAFETY: any 64 bytes are a `PanelQuad`; `align_to` sees to alignment and bounds.
                let (before, quads, after) = unsafe { bytes.align_to::<PanelQuad>() };
                debug_assert!(before.is_empty() && after.is_empty());
                quads
            }
        }
    }
}
