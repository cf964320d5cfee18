//! A tile of a product at the edge of its output.

use crate::isa::Isa;
use crate::kernels::float::{FloatTile, ProductTile, multiply_tile};
use crate::output_rows::OutputRows;

/// Multiplies a single tile, of which a part may lie beyond the edge of the output.
#[inline(always)]
pub(super) fn multiply_into(isa: Isa, tile: &ProductTile<'_>, mut output: OutputRows<'_, f32>) {
    let size = FloatTile::of(isa);
    let (rows, columns) = (output.rows(), output.columns());
    let vectors = columns.div_ceil(size.lanes);
    if columns == vectors * size.lanes {
        let (start, stride) = output.as_mut_ptr();
        // SAFETY: `output` is the tile.
        return unsafe { multiply_tile(isa, [rows, vectors], tile, start, stride) };
    }
    let mut whole = [0.0; FloatTile::MAX_ROWS * FloatTile::MAX_COLUMNS];
    let stride = FloatTile::MAX_COLUMNS;
    if tile.add {
        for (r, whole) in whole.chunks_exact_mut(stride).take(rows).enumerate() {
            whole[..columns].copy_from_slice(output.row_mut(r));
        }
    }
    // SAFETY: no tile is larger.
    unsafe { multiply_tile(isa, [rows, vectors], tile, whole.as_mut_ptr(), stride) };
    for (r, whole) in whole.chunks_exact(stride).take(rows).enumerate() {
        output.row_mut(r).copy_from_slice(&whole[..columns]);
    }
}
