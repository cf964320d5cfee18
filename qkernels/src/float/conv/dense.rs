//! Convolutions that mix channels: for each tile of pixels the windows are gathered into panels that stay in the
//! cache, and multiplied by the weight, which is read where it lies.

use std::cell::Cell;
use std::ops::Range;

use super::phases::Phases;
use super::windows::Windows;
use crate::float::tile::multiply_into;
use crate::float::{COST, Epilogue};
use crate::geometry::Conv2dGeometry;
use crate::isa::{Isa, Pass, isa};
use crate::kernels::float::{DOT_ROWS, FloatTile, ProductTile, Rows, dot_tile, multiply_tile, prefetch};
use crate::output_rows::OutputRows;
use crate::threads::{for_each_index, threads_for};

/// Pixels of a tile: with a depth of [`DEPTH`] the windows fit into a second-level cache.
const PIXELS: usize = 256;

/// Products that are summed at once, about: a panel of as many rows fits into a first-level cache.
const DEPTH: usize = 256;

thread_local! {
    static WINDOWS: Cell<Windows> = Cell::default();
}

/// Whether no tile goes on in the next row of the output: rows are so long that it would see much more than it is of.
fn has_long_rows(geometry: &Conv2dGeometry) -> bool {
    geometry.output_width() >= 2 * PIXELS
}

/// How many rows and columns of the output a tile may touch.
pub(super) fn tile_extents(geometry: &Conv2dGeometry) -> [usize; 2] {
    let (height, width) = (geometry.output_height(), geometry.output_width());
    match has_long_rows(geometry) {
        true => [1, PIXELS],
        false => [(PIXELS.div_ceil(width) + 1).min(height), width],
    }
}

pub(super) fn convolve(
    geometry: &Conv2dGeometry,
    phases: &Phases,
    input: &[f32],
    weight: &[f32],
    epilogue: &Epilogue,
    output: &mut [f32],
) {
    let isa = isa();
    let size = FloatTile::of(isa);
    let pixels = geometry.output_height() * geometry.output_width();
    let out_channels = geometry.out_channels / geometry.groups;
    let image = input.len() / (geometry.batch * geometry.groups);
    let products = geometry.batch * geometry.groups;
    let threads = threads_for(geometry.work().saturating_mul(COST));
    // Neighbouring pixels that are cut into tiles.
    let segment = if has_long_rows(geometry) { geometry.output_width() } else { pixels };
    let tiles = match segment.div_ceil(PIXELS) {
        1 => 1,
        tiles => tiles.next_multiple_of(threads),
    };
    let tile = segment.div_ceil(tiles).next_multiple_of(size.columns());
    let segment_tiles = segment.div_ceil(tile);
    let tiles = pixels / segment * segment_tiles;
    // All output channels are a task, unless that leaves threads idle.
    let tasks = products * tiles;
    let blocks = if tasks.is_multiple_of(threads) || tasks >= 4 * threads { 1 } else { threads };
    let block = out_channels.div_ceil(blocks).next_multiple_of(size.rows);
    let blocks = out_channels.div_ceil(block);

    let output = OutputRows::new(output, pixels, pixels);
    for_each_index(isa, products * blocks * tiles, threads, |task| {
        let (product, block_index, tile_index) =
            (task / (blocks * tiles), task / tiles % blocks, task % tiles);
        let rows = block_index * block..(block_index * block + block).min(out_channels);
        let (segment_index, tile_index) = (tile_index / segment_tiles, tile_index % segment_tiles);
        let (start, end) = (tile_index * tile, (tile_index * tile + tile).min(segment));
        let pixels = segment_index * segment + start..segment_index * segment + end;
        let first = product * out_channels;
        // SAFETY: the tasks' products, channels and pixels tell their tiles apart.
        let output = unsafe { output.disjoint_part(first + rows.start..first + rows.end, pixels.clone()) };
        let first = product % geometry.groups * out_channels;
        let mut windows = WINDOWS.take();
        isa.run_pass(Task {
            isa,
            geometry,
            phases,
            planes: &input[product * image..][..image],
            weight,
            epilogue,
            channels: first + rows.start..first + rows.end,
            pixels,
            windows: &mut windows,
            output,
        });
        WINDOWS.set(windows);
    });
}

/// A tile of the output.
struct Task<'a> {
    isa: Isa,
    geometry: &'a Conv2dGeometry,
    phases: &'a Phases,
    /// The input of one image and group.
    planes: &'a [f32],
    weight: &'a [f32],
    epilogue: &'a Epilogue,
    /// Of the output.
    channels: Range<usize>,
    pixels: Range<usize>,
    windows: &'a mut Windows,
    output: OutputRows<'a, f32>,
}

impl Pass for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        match FloatTile::of(self.isa).columns() {
            8 => self.convolve::<8>(),
            16 => self.convolve::<16>(),
            32 => self.convolve::<32>(),
            columns => unreachable!("no tile has {columns} columns"),
        }
    }
}

impl Task<'_> {
    /// In panels of `N` pixels.
    #[inline(always)]
    fn convolve<const N: usize>(mut self) {
        let channels = self.geometry.in_channels / self.geometry.groups;
        let taps = self.geometry.kernel[0] * self.geometry.kernel[1];
        let count = channels.div_ceil((channels * taps).div_ceil(DEPTH));
        for first in (0..channels).step_by(count) {
            let range = first..(first + count).min(channels);
            let (planes, pixels) = (self.planes, self.pixels.clone());
            self.windows.gather::<N>(self.isa, self.geometry, self.phases, planes, range.clone(), pixels);
            let part = range.start * taps..range.end * taps;
            self.multiply::<N>(part, channels * taps);
        }
    }

    /// Adds the products of part of the depth, whose windows have been gathered, to the output.
    #[inline(always)]
    fn multiply<const N: usize>(&mut self, part: Range<usize>, depth: usize) {
        let size = FloatTile::of(self.isa);
        let pixels = self.pixels.len();
        let whole = pixels / N * N;
        // A single pixel, as images of 7x7 have one, would leave most of a vector empty.
        let is_single = pixels - whole == 1;
        if is_single {
            self.windows.take_single::<N>(whole / N);
        }
        for channel in self.channels.clone().step_by(size.rows) {
            let channels = channel..(channel + size.rows).min(self.channels.end);
            // The weights of the next tiles, unless they are in the cache already: reading them takes longer than
            // multiplying.
            if self.pixels.start == 0 {
                for channel in channels.end..(channels.end + size.rows).min(self.channels.end) {
                    prefetch(&self.weight[channel * depth..][part.clone()]);
                }
            }
            let first = channel - self.channels.start;
            let rows = first..first + channels.len();
            let tile = ProductTile {
                left: Rows { values: &self.weight[channel * depth + part.start..], stride: depth },
                left_step: 1,
                right: self.windows.panels_from::<N>(0),
                panel: self.windows.panel_len(),
                panels: whole / N,
                depth: part.len(),
                add: part.start > 0,
                finish: (part.end == depth).then(|| self.epilogue.of(channels.clone())),
            };
            if whole > 0 {
                let (start, stride) = self.output.part(rows.clone(), 0..whole).as_mut_ptr();
                // SAFETY: the part is the tiles.
                unsafe { multiply_tile(self.isa, [rows.len(), N / size.lanes], &tile, start, stride) };
            }
            if is_single {
                self.multiply_single(channels, &part, depth);
            } else if whole < pixels {
                let tile = ProductTile { right: self.windows.panels_from::<N>(whole / N), panels: 1, ..tile };
                multiply_into(self.isa, &tile, self.output.part(rows, whole..pixels));
            }
        }
    }

    /// Adds the products of part of the depth to the last pixel of some channels, as dot products.
    #[inline(always)]
    fn multiply_single(&mut self, channels: Range<usize>, part: &Range<usize>, depth: usize) {
        let window = Rows { values: self.windows.single(), stride: part.len() };
        let pixel = self.pixels.len() - 1;
        let mut channel = channels.start;
        while channel < channels.end {
            let rows = if channels.end - channel < DOT_ROWS { 1 } else { DOT_ROWS };
            let weights = Rows { values: &self.weight[channel * depth + part.start..], stride: depth };
            let dots = dot_tile(self.isa, [rows, 1], weights, window, part.len());
            let finish = self.epilogue.of(channel..channel + rows);
            for (r, [dot, ..]) in dots.iter().enumerate().take(rows) {
                let row = channel - self.channels.start + r;
                let mut output = self.output.part(row..row + 1, pixel..pixel + 1);
                let output = &mut output.row_mut(0)[0];
                let sum = if part.start > 0 { *output } else { 0.0 } + dot;
                *output = if part.end == depth { finish.apply(r, sum) } else { sum };
            }
            channel += rows;
        }
    }
}
