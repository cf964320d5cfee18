//! Convolutions of 3x3 filters and stride 1 with fewer products: Winograd's F(2x2, 3x3).
//!
//! Four neighbouring outputs `y` `[2, 2]` of a patch `d` `[4, 4]` of the image and a filter `g` `[3, 3]` are
//!
//! ```text
//! y = At ((G g Gt) * (Bt d B)) A          B = [ 1  0  0  0]     G = [ 1   0   0]     A = [1  0]
//!                                             [ 0  1 -1  1]         [.5  .5  .5]         [1  1]
//!                                             [-1  1  1  0]         [.5 -.5  .5]         [1 -1]
//!                                             [ 0  0  0 -1]         [ 0   0   1]         [0 -1]
//! ```
//!
//! with 16 products, one for each position of the patch, in place of 36. (Lavin and Gray, *Fast Algorithms for
//! Convolutional Neural Networks*, 2016.) At each position the products are summed over all channels, which is a
//! matrix product of filters and patches.
//!
//! What a patch has outside of a window enters the window's output and leaves it again but for rounding. So the error
//! is a part of what is added up around an output, and a value that is not finite makes all outputs of its patches
//! NaN.

mod filters;
mod patches;

use std::cell::Cell;
use std::ops::Range;

use self::patches::TransformedPatches;
use crate::aligned::AlignedBuffer;
use crate::float::{Epilogue, strided};
use crate::geometry::Conv2dGeometry;
use crate::isa::{Isa, Pass, isa};
use crate::kernels::float::{FloatTile, POSITIONS, ProductTile, Rows, multiply_tile, transform_products};
use crate::output_rows::OutputRows;
use crate::threads::{for_each_index, threads_for};

pub(super) use filters::WinogradFilters;

const FILTER_TAPS: usize = 9;

/// With fewer channels the transforms cost what the products save.
const MIN_CHANNELS: usize = 16;

/// Bytes that transformed patches may occupy: a second-level cache.
const TRANSFORMED_BYTES: usize = 512 * 1024;

/// Fewer patches do not share the weights well, and more do not make a tile better.
const PATCHES: Range<usize> = 64..128;

/// Output channels between the products of a tile and their transform, which finds them in the cache; whole groups of
/// filters.
const BLOCK: usize = 24;

/// Tiles for each thread that are shared out evenly.
const TILES_OF_THREAD: usize = 4;

thread_local! {
    /// Kept between calls, so that a steady state allocates nothing.
    static SCRATCH: Cell<Option<Box<Scratch>>> = Cell::default();
}

/// Buffers of one thread.
#[derive(Debug, Default)]
struct Scratch {
    patches: TransformedPatches,
    /// `[POSITIONS][BLOCK][patches]`
    products: AlignedBuffer<f32>,
    /// The upper and the lower row of pixels of the patches, as if they were side by side.
    pixels: [Vec<f32>; 2],
}

/// Whether convolutions of these sizes are faster this way.
pub(super) fn is_faster(geometry: &Conv2dGeometry) -> bool {
    let is_possible = geometry.kernel == [3, 3]
        && geometry.stride == [1, 1]
        && geometry.dilation == [1, 1]
        && geometry.groups == 1
        // There are that many zeros around a patch at most, so that planes with their padding are not much larger.
        && geometry.padding.iter().all(|&padding| padding <= 2);
    let pixels = geometry.output_height() * geometry.output_width();
    // As many as are multiplied: whole vectors.
    let patches = patches_of(geometry).iter().product::<usize>().next_multiple_of(16);
    is_possible
        && geometry.in_channels.min(geometry.out_channels) >= MIN_CHANNELS
        && patches.saturating_mul(6 * POSITIONS) <= pixels.saturating_mul(5 * FILTER_TAPS)
}

/// Patches of an image, from top to bottom and from left to right.
fn patches_of(geometry: &Conv2dGeometry) -> [usize; 2] {
    [geometry.output_height(), geometry.output_width()].map(|pixels| pixels.div_ceil(2))
}

pub(super) fn convolve(
    geometry: &Conv2dGeometry,
    input: &[f32],
    filters: &WinogradFilters,
    epilogue: &Epilogue,
    output: &mut [f32],
) {
    let isa = isa();
    let patches = patches_of(geometry).iter().product::<usize>();
    let most = TRANSFORMED_BYTES / (POSITIONS * geometry.in_channels * size_of::<f32>());
    let most = most.clamp(PATCHES.start, PATCHES.end);
    let columns = FloatTile::of(isa).columns();
    let tile = patches.div_ceil(patches.div_ceil(most)).next_multiple_of(columns);
    let tiles = patches.div_ceil(tile);
    let threads = threads_for(geometry.work() / FILTER_TAPS * POSITIONS / 4);
    // All output channels are a task, unless that leaves threads idle.
    let blocks = if geometry.batch * tiles < TILES_OF_THREAD * threads { threads } else { 1 };
    let block = geometry.out_channels.div_ceil(blocks).next_multiple_of(FloatTile::MAX_ROWS);
    let blocks = geometry.out_channels.div_ceil(block);

    let pixels = geometry.output_height() * geometry.output_width();
    let output = OutputRows::new(output, pixels, pixels);
    let image_len = geometry.in_channels * geometry.height * geometry.width;
    for_each_index(isa, geometry.batch * blocks * tiles, threads, |task| {
        let (image, block_index, tile_index) = (task / (blocks * tiles), task / tiles % blocks, task % tiles);
        let mut scratch = SCRATCH.take().unwrap_or_default();
        isa.run_pass(Task {
            isa,
            geometry,
            planes: &input[image * image_len..][..image_len],
            filters,
            epilogue,
            channels: block_index * block..(block_index * block + block).min(geometry.out_channels),
            patches: tile_index * tile..(tile_index * tile + tile).min(patches),
            scratch: &mut scratch,
            first_plane: image * geometry.out_channels,
            output: &output,
        });
        SCRATCH.set(Some(scratch));
    });
}

/// A tile of patches and some output channels. Nothing else has the same.
struct Task<'a> {
    isa: Isa,
    geometry: &'a Conv2dGeometry,
    /// The input of one image.
    planes: &'a [f32],
    filters: &'a WinogradFilters,
    epilogue: &'a Epilogue,
    /// Of the output.
    channels: Range<usize>,
    patches: Range<usize>,
    scratch: &'a mut Scratch,
    /// The image's first plane of the output.
    first_plane: usize,
    output: &'a OutputRows<'a, f32>,
}

impl Pass for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let patches = self.patches.clone();
        self.scratch.patches.transform(self.isa, self.geometry, self.planes, patches);
        for start in self.channels.clone().step_by(BLOCK) {
            let channels = start..(start + BLOCK).min(self.channels.end);
            self.multiply(channels.clone());
            for channel in channels {
                self.finish(channel, channel - start);
            }
        }
    }
}

impl Task<'_> {
    /// Floats from one channel's products to the next: whole panels.
    fn row_len(&self) -> usize {
        self.patches.len().next_multiple_of(FloatTile::of(self.isa).columns())
    }

    /// The products of a block of output channels, at each position.
    #[inline(always)]
    fn multiply(&mut self, channels: Range<usize>) {
        let size = FloatTile::of(self.isa);
        let row_len = self.row_len();
        let most = size.rows.min(self.filters.group());
        let Scratch { patches, products, .. } = self.scratch;
        let products = products.first_mut(POSITIONS * BLOCK * row_len);
        for (position, products) in products.chunks_exact_mut(BLOCK * row_len).enumerate() {
            for (panel, column) in (0..row_len).step_by(size.columns()).enumerate() {
                let values = patches.panel(position, panel, size.columns());
                let vectors = (self.patches.len() - column).div_ceil(size.lanes).min(2);
                for channel in channels.clone().step_by(most) {
                    let rows = most.min(channels.end - channel);
                    let weights = self.filters.rows(position, channel);
                    let tile = ProductTile {
                        left: Rows { values: weights.values, stride: 1 },
                        left_step: weights.stride,
                        right: values,
                        panel: 0,
                        panels: 1,
                        depth: self.geometry.in_channels,
                        add: false,
                        finish: None,
                    };
                    let first = (channel - channels.start) * row_len + column;
                    let products = &mut products[first..][..(rows - 1) * row_len + vectors * size.lanes];
                    // SAFETY: the slice is the tile.
                    unsafe {
                        multiply_tile(self.isa, [rows, vectors], &tile, products.as_mut_ptr(), row_len)
                    };
                }
            }
        }
    }

    /// The output of channel `channel`, whose products are row `row` of the block.
    #[inline(always)]
    fn finish(&mut self, channel: usize, row: usize) {
        let row_len = self.row_len();
        let Scratch { products, pixels, .. } = self.scratch;
        let products = &products.first(POSITIONS * BLOCK * row_len)[row * row_len..];
        let [upper, lower] = pixels.each_mut().map(|row| {
            row.resize(row.len().max(2 * row_len), 0.0);
            &mut row[..2 * row_len]
        });
        let finish = self.epilogue.of(channel..channel + 1);
        transform_products(self.isa, products, BLOCK * row_len, finish, [&mut *upper, &mut *lower]);

        let [height, width] = [self.geometry.output_height(), self.geometry.output_width()];
        let [_, across] = patches_of(self.geometry);
        let plane = self.first_plane + channel;
        let mut first = self.patches.start;
        while first < self.patches.end {
            let (y, x) = (2 * (first / across), 2 * (first % across));
            let last = (first - first % across + across).min(self.patches.end);
            let len = (2 * (last - first)).min(width - x);
            for (y, pixels) in (y..height).zip([&*upper, &*lower]) {
                let start = y * width + x;
                // SAFETY: the tasks' images, channels and patches tell their pixels apart.
                let mut output = unsafe { self.output.disjoint_part(plane..plane + 1, start..start + len) };
                strided::copy_contiguous(
                    &pixels[2 * (first - self.patches.start)..][..len],
                    output.row_mut(0),
                );
            }
            first = last;
        }
    }
}
