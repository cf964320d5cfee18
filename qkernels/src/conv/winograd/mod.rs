//! Convolutions of 3x3 filters and stride 1 with fewer products: Winograd's F(2x2, 3x3), in integers.
//!
//! Four neighbouring outputs `y` `[2, 2]` of a patch `d` `[4, 4]` of the image and a filter `g` `[3, 3]` are
//!
//! ```text
//! 4 y = At ((2G g 2Gt) * (Bt d B)) A          B = [ 1  0  0  0]     2G = [2  0  0]     A = [1  0]
//!                                                 [ 0  1 -1  1]          [1  1  1]         [1  1]
//!                                                 [-1  1  1  0]          [1 -1  1]         [1 -1]
//!                                                 [ 0  0  0 -1]          [0  0  2]         [0 -1]
//! ```
//!
//! with 16 products, one for each position of the patch, in place of 36. (Lavin and Gray, *Fast Algorithms for
//! Convolutional Neural Networks*, 2016; `2G` in place of `G` keeps integers.) At each position the products are
//! summed over all channels, which is a matrix product of patches and filters.
//!
//! Nothing is rounded: `Bt d B` is within 1020 in magnitude and `2G g 2Gt` within 2295, so both fit 16 bits, and the
//! sums, which may wrap around on the way, end at four times a sum of at most `2^29`. So the results are those of any
//! other kernel. It pays where products of 16 bits are as fast as those of 8: on AVX2 without a dot product of bytes.

mod filters;

use std::cell::Cell;
use std::ops::Range;

use crate::aligned::AlignedBuffer;
use crate::epilogue::{Epilogue, Panels};
use crate::geometry::Conv2dGeometry;
use crate::isa::{Avx2, Isa};
use crate::kernels::avx2;
use crate::output_rows::OutputRows;
use crate::panel::{PANEL, Sums};
use crate::threads::{for_each_index, threads_for};

pub(super) use filters::WinogradFilters;

const FILTER_TAPS: usize = 9;

/// Of a patch.
const POSITIONS: usize = 16;

/// Pixels from one side of a patch to the other.
const PATCH: usize = 4;

/// Products of more channels could leave the range: `4 * 9 * 896 * 255 * 255 < 2^31`.
const MAX_CHANNELS: usize = 896;

/// Bytes that transformed patches may occupy: half of a second-level cache of 512 KiB.
const TRANSFORMED_BYTES: usize = 256 * 1024;

/// More patches than this do not make a chunk better, and fewer do not share the weights well.
const PATCHES_OF_CHUNK: Range<usize> = 24..48;

/// Chunks for each thread that are shared out evenly.
const CHUNKS_OF_THREAD: usize = 4;

thread_local! {
    /// Kept between calls, so that a steady state allocates nothing.
    static SCRATCH: Cell<Option<Box<Scratch>>> = Cell::default();
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    /// A row of pixels outside the image.
    padding: Vec<u8>,
    /// A patch that crosses the border, `[4][4][C]`.
    border: Vec<u8>,
    /// `[POSITIONS][patches][C]`, with something between positions.
    transformed: AlignedBuffer<i16>,
    /// `[POSITIONS][patches][PANEL]`, likewise.
    products: AlignedBuffer<i32>,
    /// The upper and the lower row of pixels of each row of patches, `[2][patches][2][PANEL]`.
    sums: AlignedBuffer<i32>,
}

/// The proof for the kernels, if convolutions of these sizes are faster this way.
pub(super) fn is_faster(isa: Isa, geometry: &Conv2dGeometry) -> Option<Avx2> {
    let Isa::Avx2(proof) = isa else { return None };
    let is_possible = geometry.kernel == [3, 3]
        && geometry.stride == [1, 1]
        && geometry.dilation == [1, 1]
        && geometry.groups == 1
        && geometry.in_channels.is_multiple_of(PANEL)
        && geometry.in_channels <= MAX_CHANNELS;
    let patches = geometry.output_height().div_ceil(2) * geometry.output_width().div_ceil(2);
    let pixels = geometry.output_height() * geometry.output_width();
    (is_possible && pixels >= 16 && 9 * POSITIONS * patches <= 5 * FILTER_TAPS * pixels).then_some(proof)
}

/// A convolution under way.
pub(super) struct Winograd<'a, E> {
    pub(super) proof: Avx2,
    pub(super) filters: &'a WinogradFilters,
    pub(super) geometry: &'a Conv2dGeometry,
    pub(super) input: &'a [u8],
    pub(super) zero_point: u8,
    pub(super) epilogue: &'a E,
}

/// Some rows of patches, counted over all images, and some patches of each.
struct Chunk {
    rows: Range<usize>,
    patches: Range<usize>,
}

impl<E: Epilogue> Winograd<'_, E> {
    /// Convolves; lengths have been checked.
    pub(super) fn convolve(&self, output: OutputRows<'_, E::Output>) {
        let geometry = self.geometry;
        let [down, across] = self.patches_of_image();
        let rows = geometry.batch * down;
        let bytes_of_patch = POSITIONS * geometry.in_channels * size_of::<i16>();
        let most = (TRANSFORMED_BYTES / bytes_of_patch).clamp(PATCHES_OF_CHUNK.start, PATCHES_OF_CHUNK.end);
        let segments = across.div_ceil(most);
        let groups = rows.div_ceil((most / across).max(1));
        let chunks = groups * segments;
        let panels = geometry.out_channels.div_ceil(PANEL);
        let threads = threads_for(geometry.work() / FILTER_TAPS * POSITIONS / 4);
        let parts = if chunks >= CHUNKS_OF_THREAD * threads { 1 } else { panels.min(threads) };
        for_each_index(Isa::Avx2(self.proof), parts * chunks, threads, |index| {
            let (part, chunk) = (index / chunks, index % chunks);
            let (group, segment) = (chunk / segments, chunk % segments);
            let chunk = Chunk { rows: cut(rows, groups, group), patches: cut(across, segments, segment) };
            let mut scratch = SCRATCH.take().unwrap_or_default();
            // SAFETY: a chunk and a part of the panels are together in one task only.
            unsafe { self.finish_chunk(&chunk, cut(panels, parts, part), &output, &mut scratch) };
            SCRATCH.set(Some(scratch));
        });
    }

    fn patches_of_image(&self) -> [usize; 2] {
        [self.geometry.output_height(), self.geometry.output_width()].map(|pixels| pixels.div_ceil(2))
    }

    /// Computes the outputs of a chunk in the columns of some panels.
    ///
    /// # Safety
    /// No other thread has the same outputs.
    unsafe fn finish_chunk(
        &self,
        chunk: &Chunk,
        panels: Range<usize>,
        output: &OutputRows<'_, E::Output>,
        scratch: &mut Scratch,
    ) {
        let Scratch { padding, border, transformed, products, sums } = scratch;
        let channels = self.geometry.in_channels;
        let patches = chunk.rows.len() * chunk.patches.len();
        // An odd number of cache lines apart, the positions do not compete for places in the cache.
        let word_lines = (patches * channels).div_ceil(32) | 1;
        let transformed = transformed.first_mut(POSITIONS * 32 * word_lines);
        let product_lines = patches | 1;
        let products = products.first_mut(POSITIONS * PANEL * product_lines).as_chunks_mut::<PANEL>().0;
        let sums = sums.first_mut(2 * patches * 2 * PANEL).as_chunks_mut::<PANEL>().0;
        let (upper, lower) = sums.as_chunks_mut::<2>().0.split_at_mut(patches);
        self.transform_chunk(chunk, padding, border, transformed, 32 * word_lines);
        for panel in panels {
            for position in 0..POSITIONS {
                let mut initial = [0; PANEL];
                if position == 5 {
                    // `Bt 1 B` is 4 at this position and 0 elsewhere.
                    let zero_point = i32::from(self.zero_point);
                    initial = self.filters.sums(panel).map(|sum| sum.wrapping_mul(-4 * zero_point));
                }
                avx2::multiply_pairs(
                    self.proof,
                    &transformed[position * 32 * word_lines..][..patches * channels],
                    channels,
                    self.filters.weights(panel, position),
                    &initial,
                    &mut products[position * product_lines..][..patches],
                );
            }
            avx2::transform_products(self.proof, products, product_lines, upper, lower);
            // SAFETY: as promised by the caller.
            unsafe { self.finish_panel(chunk, panel, [upper, lower], output) };
        }
    }

    /// Transforms the patches of a chunk.
    fn transform_chunk(
        &self,
        chunk: &Chunk,
        padding: &mut Vec<u8>,
        border: &mut Vec<u8>,
        transformed: &mut [i16],
        position_len: usize,
    ) {
        let geometry = self.geometry;
        let (width, channels) = (geometry.width, geometry.in_channels);
        let outside = geometry.padding[1];
        let row_len = width * channels;
        padding.clear();
        padding.resize(row_len, self.zero_point);
        border.resize(PATCH * PATCH * channels, 0);
        // The patches that do not cross the left and the right border.
        let inside = {
            let end = (outside + width).checked_sub(PATCH).map_or(0, |last| last / 2 + 1);
            let first = outside.div_ceil(2).clamp(chunk.patches.start, chunk.patches.end);
            first..end.clamp(first, chunk.patches.end)
        };
        let [down, _] = self.patches_of_image();
        for (i, row) in chunk.rows.clone().enumerate() {
            let (image, y) = (row / down, row % down * 2);
            let rows: [&[u8]; PATCH] = std::array::from_fn(|tap| {
                let y = (y + tap).checked_sub(geometry.padding[0]).filter(|&y| y < geometry.height);
                y.map_or(&padding[..], |y| &self.input[(image * geometry.height + y) * row_len..][..row_len])
            });
            let place = |patch: usize| (i * chunk.patches.len() + patch - chunk.patches.start) * channels;
            if !inside.is_empty() {
                let rows = rows.map(|row| &row[(2 * inside.start - outside) * channels..]);
                let transformed = &mut transformed[place(inside.start)..];
                avx2::transform_patches(self.proof, rows, channels, inside.len(), transformed, position_len);
            }
            for patch in (chunk.patches.start..inside.start).chain(inside.end..chunk.patches.end) {
                let before = outside.saturating_sub(2 * patch).min(PATCH);
                let end = (outside + width).saturating_sub(2 * patch).clamp(before, PATCH);
                border.fill(self.zero_point);
                for (row, border) in rows.iter().zip(border.chunks_exact_mut(PATCH * channels)) {
                    if before < end {
                        let first = (2 * patch + before - outside) * channels;
                        border[before * channels..end * channels]
                            .copy_from_slice(&row[first..][..(end - before) * channels]);
                    }
                }
                let rows = std::array::from_fn(|y| &border[y * PATCH * channels..][..PATCH * channels]);
                let transformed = &mut transformed[place(patch)..];
                avx2::transform_patches(self.proof, rows, channels, 1, transformed, position_len);
            }
        }
    }

    /// Hands the sums of a chunk with a panel on to the epilogue, row by row of pixels.
    ///
    /// # Safety
    /// As for [`finish_chunk`](Self::finish_chunk).
    unsafe fn finish_panel(
        &self,
        chunk: &Chunk,
        panel: usize,
        sums: [&[[Sums; 2]]; 2],
        output: &OutputRows<'_, E::Output>,
    ) {
        let [height, width] = [self.geometry.output_height(), self.geometry.output_width()];
        let [down, _] = self.patches_of_image();
        let first_column = panel * PANEL;
        let columns = first_column..output.columns().min(first_column + PANEL);
        let first_x = 2 * chunk.patches.start;
        let pixels = width.min(2 * chunk.patches.end) - first_x;
        for (i, row) in chunk.rows.clone().enumerate() {
            let (image, y) = (row / down, row % down * 2);
            for (y, sums) in (y..height).zip(sums) {
                let sums = sums[i * chunk.patches.len()..][..chunk.patches.len()].as_flattened();
                let first_row = (image * height + y) * width + first_x;
                let panels = Panels { count: 1, first_row, first_column };
                // SAFETY: as promised by the caller.
                let output = unsafe { output.disjoint_part(first_row..first_row + pixels, columns.clone()) };
                let isa = Isa::Avx2(self.proof);
                self.epilogue.finish_tiles(isa, &panels, &mut Some(&sums[..pixels]), output);
            }
        }
    }
}

/// One of `parts` nearly equal parts of `0..count`.
fn cut(count: usize, parts: usize, part: usize) -> Range<usize> {
    part * count / parts..(part + 1) * count / parts
}
