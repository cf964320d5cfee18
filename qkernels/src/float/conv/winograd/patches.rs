//! Transformed patches of a tile.

use std::ops::Range;

use crate::aligned::AlignedBuffer;
use crate::float::strided;
use crate::geometry::Conv2dGeometry;
use crate::isa::Isa;
use crate::kernels::float::{FloatTile, POSITIONS, PatchRun, Patches, Rows, transform_patches};

/// Values of padded planes that are transformed at once, about: few enough for a first-level cache, and enough for
/// the first written ones to have arrived there when they are read.
const PADDED: usize = 4096;

/// The patches of a tile as `Bt d B`. The memory is used again for the next tile.
#[derive(Debug, Default)]
pub(super) struct TransformedPatches {
    /// Planes of some channels with their padding.
    padded: AlignedBuffer<f32>,
    runs: Vec<PatchRun>,
    /// For each position of a patch panels of neighbouring patches, `[POSITIONS][panels][C + 1][columns]`: runs end
    /// in whole vectors, in a last panel beyond its end.
    values: AlignedBuffer<f32>,
    panels: usize,
    panel_len: usize,
}

impl TransformedPatches {
    /// Transforms `patches`, which count through one image, of `planes` `[C, H, W]`.
    #[inline(always)]
    pub(super) fn transform(
        &mut self,
        isa: Isa,
        geometry: &Conv2dGeometry,
        planes: &[f32],
        patches: Range<usize>,
    ) {
        let columns = FloatTile::of(isa).columns();
        let across = geometry.output_width().div_ceil(2);
        let rows = patches.start / across..patches.end.div_ceil(across);
        // Of an only row the part that the patches see, as rows may be much longer.
        let columns_of_rows = match rows.len() {
            1 => patches.start % across..(patches.end - 1) % across + 1,
            _ => 0..across,
        };
        let row_len = 2 * columns_of_rows.len() + 2;
        let channels = geometry.in_channels;
        self.panels = patches.len().div_ceil(columns);
        self.panel_len = (channels + 1) * columns;
        self.runs.clear();
        for (panel, start) in patches.clone().step_by(columns).enumerate() {
            let end = (start + columns).min(patches.end);
            for row in start / across..end.div_ceil(across) {
                let first = (row * across).max(start);
                self.runs.push(PatchRun {
                    source: 2 * ((row - rows.start) * row_len + first - row * across - columns_of_rows.start),
                    place: panel * self.panel_len + first - start,
                    len: (row * across + across).min(end) - first,
                });
            }
        }
        let plane_len = geometry.height * geometry.width;
        let padded_len = (2 * rows.len() + 2) * row_len;
        let together = (PADDED / padded_len).clamp(1, channels);
        // Behind the last row, for the vectors that begin there.
        let padded = self.padded.first_mut(together * padded_len + 2 * FloatTile::MAX_COLUMNS);
        padded.fill(0.0);
        let position_len = self.panels * self.panel_len;
        let values = self.values.first_mut(POSITIONS * position_len);
        for (index, planes) in planes.chunks(together * plane_len).enumerate() {
            for (plane, padded) in planes.chunks_exact(plane_len).zip(padded.chunks_exact_mut(padded_len)) {
                pad(geometry, plane, [2 * rows.start, 2 * columns_of_rows.start], padded, row_len);
            }
            for i in 0..planes.len() / plane_len {
                let values = &mut values[(index * together + i) * columns..];
                let padded = &padded[i * padded_len..];
                let patches = Patches { values: padded, row_len, runs: &self.runs };
                transform_patches(isa, &patches, values, position_len);
            }
        }
    }

    /// What the patches of a panel have at one position, a row for each channel.
    pub(super) fn panel(&self, position: usize, panel: usize, columns: usize) -> Rows<'_> {
        let values = self.values.first(POSITIONS * self.panels * self.panel_len);
        let first = (position * self.panels + panel) * self.panel_len;
        Rows { values: &values[first..][..self.panel_len - columns], stride: columns }
    }
}

/// Copies of `plane` `[H, W]` what belongs into `padded`, whose rows begin with row and column `first` of the padded
/// image. What belongs to the padding stays as it is.
#[inline(always)]
fn pad(geometry: &Conv2dGeometry, plane: &[f32], first: [usize; 2], padded: &mut [f32], row_len: usize) {
    let lens = [padded.len() / row_len, row_len];
    let sizes = [geometry.height, geometry.width];
    let [rows, columns] = [0, 1].map(|axis| {
        let padding = geometry.padding[axis];
        first[axis].max(padding)..(first[axis] + lens[axis]).min(padding + sizes[axis])
    });
    if !rows.is_empty() && !columns.is_empty() {
        let source =
            (rows.start - geometry.padding[0]) * geometry.width + columns.start - geometry.padding[1];
        let from = Rows { values: &plane[source..], stride: geometry.width };
        let padded = &mut padded[(rows.start - first[0]) * row_len + columns.start - first[1]..];
        let padded = &mut padded[..(rows.len() - 1) * row_len + columns.len()];
        strided::copy_rows(from, 1, padded, row_len, columns.len());
    }
}
