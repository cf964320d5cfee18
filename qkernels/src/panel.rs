//! The order of packed weights, which the product and its micro-kernels agree on: panels, quads and runs.

/// Columns of a panel: one vector of sixteen 32-bit sums, or two of eight.
pub(crate) const PANEL: usize = 16;

/// Neighbouring weights of one column.
pub(crate) const QUAD: usize = 4;

/// Four steps of depth of a panel, `[PANEL][QUAD]`: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct PanelQuad(pub(crate) [i8; PANEL * QUAD]);

/// The depth of a product, as the rows of its left side lie in memory: `count` runs of `len` neighbouring bytes.
///
/// Packed, every run is filled up with zeros to a multiple of [`QUAD`]. Runs that need no filling can be read as
/// fewer and longer ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs {
    pub(crate) count: usize,
    pub(crate) len: usize,
}

impl Runs {
    pub(crate) fn depth(self) -> usize {
        self.count * self.len
    }

    /// Quads of one run.
    pub(crate) fn quads(self) -> usize {
        self.len.div_ceil(QUAD)
    }

    /// Bytes of one run in the packed order.
    pub(crate) fn padded_len(self) -> usize {
        self.quads() * QUAD
    }

    pub(crate) fn padded_depth(self) -> usize {
        self.count * self.padded_len()
    }
}

/// Sums of one row with the columns of a panel.
pub(crate) type Sums = [i32; PANEL];
