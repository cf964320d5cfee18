//! Convolutions that mix channels: for each tile of pixels the windows are gathered into a matrix that stays in
//! the cache, and multiplied by the weight.

use std::cell::Cell;
use std::ops::Range;

use super::windows::Windows;
use crate::float::product::{Matrix, Tiled};
use crate::geometry::Conv2dGeometry;
use crate::isa::isa;
use crate::threads::{for_each_chunk, threads_for};

/// Pixels of a tile. With [`DEPTH`], so many that the windows and the weights that meet them fit into a
/// second-level cache.
const PIXELS: usize = 128;

/// At most so many products are summed at once.
const DEPTH: usize = 512;

thread_local! {
    static WINDOWS: Cell<Windows> = Cell::default();
}

pub(super) fn convolve(
    geometry: &Conv2dGeometry,
    input: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) {
    let pixels = geometry.output_height() * geometry.output_width();
    let channels = geometry.in_channels / geometry.groups;
    let out_channels = geometry.out_channels / geometry.groups;
    let depth = geometry.depth();
    let products = geometry.batch * geometry.groups;
    let tiles = pixels.div_ceil(PIXELS);
    let block = channel_block(geometry, products * tiles);
    let blocks = out_channels.div_ceil(block);

    let output = Tiled::new(output, pixels);
    for_each_chunk(&mut vec![(); products * blocks * tiles], 1, geometry.work(), |task, _| {
        let (product, block_index, tile) = (task / (blocks * tiles), task / tiles % blocks, task % tiles);
        let group = product % geometry.groups;
        let first = block_index * block;
        let rows = first..(first + block).min(out_channels);
        let columns = tile * PIXELS..(tile * PIXELS + PIXELS).min(pixels);
        let filters = group * out_channels + rows.start..group * out_channels + rows.end;
        let planes = channels * geometry.height * geometry.width;
        let planes = &input[product * planes..][..planes];
        let weight = &weight[filters.start * depth..filters.end * depth];
        let start = product * out_channels;
        // SAFETY: the tasks' products, channels and pixels tell their tiles apart.
        let mut output = unsafe { output.tile(start + rows.start..start + rows.end, columns.clone()) };
        if let Some(bias) = bias {
            output.fill_rows(&bias[filters]);
        }
        let mut windows = WINDOWS.take();
        if !geometry.is_pointwise() {
            windows.locate(geometry, columns.clone());
        }
        let mut add = bias.is_some();
        for sum in pieces(depth) {
            let right = if geometry.is_pointwise() {
                Matrix::new(&planes[sum.start * pixels + columns.start..], sum.len(), columns.len(), pixels)
            } else {
                let windows = isa().run(
                    #[inline(always)]
                    || windows.gather(geometry, planes, sum.clone()),
                );
                Matrix::new(windows, sum.len(), columns.len(), columns.len())
            };
            let left = Matrix::new(&weight[sum.start..], rows.len(), sum.len(), depth);
            output.multiply(left, right, add);
            add = true;
        }
        WINDOWS.set(windows);
    });
}

/// How many output channels are a task: all of them, unless that leaves threads idle.
fn channel_block(geometry: &Conv2dGeometry, tasks: usize) -> usize {
    let out_channels = geometry.out_channels / geometry.groups;
    let threads = threads_for(geometry.work());
    let blocks = if tasks < 4 * threads { threads } else { 1 };
    out_channels.div_ceil(blocks)
}

/// `0..depth` in nearly equal pieces of at most [`DEPTH`].
fn pieces(depth: usize) -> impl Iterator<Item = Range<usize>> {
    let piece = depth.div_ceil(depth.div_ceil(DEPTH));
    (0..depth).step_by(piece).map(move |start| start..(start + piece).min(depth))
}
