//! The rows of a block in tiles.

use std::marker::PhantomData;
use std::ops::Range;

use super::registers::TileShape;
use crate::aligned::AlignedBuffer;
use crate::operands::{LocatedRows, PaddedWindows, Windows};
use crate::panel::{PanelQuad, QUAD, Runs};

/// The fewest neighbours in an output row of windows that are worth a tile.
const MIN_ROWS_OF_WINDOWS: usize = 12;

/// How the depth of a product is cut: each run in some tiles of the same size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DepthSteps {
    of_run: usize,
    quads: usize,
}

impl DepthSteps {
    pub(crate) fn new(runs: Runs) -> Self {
        let quads = runs.quads();
        let least = quads.div_ceil(TileShape::MAX.quads);
        let of_run = (least..quads).find(|&steps| quads.is_multiple_of(steps)).unwrap_or(quads);
        Self { of_run, quads: quads / of_run }
    }

    /// Whether a step is a large part of what tiles have room for; one of less depth takes as long.
    pub(crate) fn are_large(self) -> bool {
        4 * self.quads >= TileShape::MAX.quads
    }
}

/// Buffers of [`RowTiles`], kept between calls.
#[derive(Default)]
pub(crate) struct TileBuffers {
    tiles: Tiles,
    copies: AlignedBuffer<u8>,
}

/// The rows of a block in pairs of tiles of one size, in order; tiles may overlap with those before.
///
/// From the start of each step on, as many rows as the shape has can be read, each of as many quads.
#[derive(Clone, Copy)]
pub(crate) struct RowTiles<'a> {
    shape: TileShape,
    quads_of_panel: usize,
    pairs: &'a [Pair],
    /// `[pairs][steps]`
    steps: &'a [Step],
    bytes: PhantomData<&'a [u8]>,
}

/// Two tiles, which may be the same one.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    /// The first row of each.
    pub(super) first_rows: [usize; 2],
    /// From a row of each to its next one, in bytes.
    pub(super) strides: [usize; 2],
}

/// A step of depth of a pair of tiles: where the activations of each begin, and by how much the weights lie behind the
/// first ones of their panel.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Step {
    activations: [*const u8; 2],
    weights: usize,
}

impl TileBuffers {
    /// Puts rows in tiles: where a tile's rows lie at equal distances, they are read there, and others are copied.
    pub(crate) fn tile_rows<'a>(&'a mut self, located: LocatedRows<'a>, depth: DepthSteps) -> RowTiles<'a> {
        let (rows, runs, used) = (located.rows(), located.runs(), located.used());
        let tiles = even_tiles(rows);
        let rows_of_tile = rows.div_ceil(tiles);
        let row_len = row_len_of_copies(used.len() * runs.padded_len());
        let is_copied = |&row: &usize| stride(&located, row, rows_of_tile).is_none();
        let copies = first_rows(rows, tiles).filter(is_copied).count();
        let mut free = self.copies.first_mut(copies * rows_of_tile * row_len);
        self.tiles.clear();
        for first_row in first_rows(rows, tiles) {
            if let Some(stride) = stride(&located, first_row, rows_of_tile) {
                let starts = used.iter().map(|&run| (run, located.bytes(run, first_row).as_ptr()));
                self.tiles.push(runs, depth, first_row, stride, starts);
            } else {
                let copy;
                (copy, free) = free.split_at_mut(rows_of_tile * row_len);
                copy_rows(&located, first_row, copy, row_len);
                let starts = copy.chunks_exact(runs.padded_len()).map(<[u8]>::as_ptr);
                self.tiles.push(runs, depth, first_row, row_len, used.iter().copied().zip(starts));
            }
        }
        self.tiles.finish(TileShape { rows: rows_of_tile, quads: depth.quads }, runs)
    }

    /// Puts windows in tiles, each of neighbours in a row of the output; `None` if such tiles are too small.
    ///
    /// `rows` are a part of an output row, or whole ones.
    pub(crate) fn tile_windows<'a>(
        &'a mut self,
        windows: &Windows<'a>,
        rows: Range<usize>,
        depth: DepthSteps,
    ) -> Option<RowTiles<'a>> {
        let [height, width] = windows.output_size;
        let runs = windows.runs();
        let lines = rows.start / width..rows.end.div_ceil(width);
        let (first_x, rows_of_line, tiles_of_line) = match lines.len() {
            1 => (rows.start % width, rows.len(), even_tiles(rows.len())),
            _ => (0, width, width.div_ceil(TileShape::MAX.rows)),
        };
        let rows_of_tile = rows_of_line.div_ceil(tiles_of_line);
        let are_whole = lines.len() * rows_of_line == rows.len();
        if !are_whole || (lines.len() > 1 && rows_of_tile < MIN_ROWS_OF_WINDOWS) {
            return None;
        }
        // The lines of each image.
        let parts = || {
            (lines.start / height..lines.end.div_ceil(height)).map(|image| {
                let first = image * height;
                (image, lines.start.max(first) - first..lines.end.min(first + height) - first)
            })
        };
        let mut copy_len = 0;
        for (_, lines) in parts() {
            copy_len += windows.copy_len(lines.len())?;
        }
        let mut free = self.copies.first_mut(copy_len);
        self.tiles.clear();
        for (image, lines) in parts() {
            let copy;
            (copy, free) = free.split_at_mut(windows.copy_len(lines.len())?);
            let PaddedWindows { bytes, strides, run_stride } = windows.pad(image, lines.clone(), copy);
            for (i, line) in lines.enumerate() {
                let first_row = (image * height + line) * width + first_x - rows.start;
                for x in first_rows(rows_of_line, tiles_of_line) {
                    let start = i * strides[1] + (first_x + x) * strides[0];
                    let last = start + (rows_of_tile - 1) * strides[0] + (runs.count - 1) * run_stride;
                    assert!(last + runs.padded_len() <= bytes.len());
                    let starts = (0..runs.count).map(|run| (run, bytes[start + run * run_stride..].as_ptr()));
                    self.tiles.push(runs, depth, first_row + x, strides[0], starts);
                }
            }
        }
        Some(self.tiles.finish(TileShape { rows: rows_of_tile, quads: depth.quads }, runs))
    }
}

/// As few tiles as there must be for so many rows, in pairs.
fn even_tiles(rows: usize) -> usize {
    2 * rows.div_ceil(2 * TileShape::MAX.rows)
}

/// The first row of each of some tiles of one size; the last ones overlap with those before if they must.
fn first_rows(rows: usize, tiles: usize) -> impl Iterator<Item = usize> {
    let rows_of_tile = rows.div_ceil(tiles);
    (0..rows.div_ceil(rows_of_tile)).map(move |tile| (tile * rows_of_tile).min(rows - rows_of_tile))
}

/// The distance of the rows of a tile from each other, if it is the same for all of them in all runs.
fn stride(located: &LocatedRows<'_>, first_row: usize, rows: usize) -> Option<usize> {
    let mut stride = None;
    for &run in located.used() {
        for neighbours in located.starts(run)[first_row..][..rows].windows(2) {
            let distance = neighbours[1].addr().wrapping_sub(neighbours[0].addr());
            if *stride.get_or_insert(distance) != distance {
                return None;
            }
        }
    }
    // A single row has no next one.
    Some(stride.unwrap_or(0))
}

/// Whole cache lines, an odd number of them: so the rows of a tile are spread over all sets of the cache.
fn row_len_of_copies(depth: usize) -> usize {
    (depth.div_ceil(64) | 1) * 64
}

fn copy_rows(located: &LocatedRows<'_>, first_row: usize, copies: &mut [u8], row_len: usize) {
    let padded_len = located.runs().padded_len();
    for (row, copy) in (first_row..).zip(copies.chunks_exact_mut(row_len)) {
        for (&run, copy) in located.used().iter().zip(copy.chunks_exact_mut(padded_len)) {
            copy.copy_from_slice(located.bytes(run, row));
        }
    }
}

/// Tiles while they are put in pairs.
#[derive(Default)]
struct Tiles {
    pairs: Vec<Pair>,
    steps: Vec<Step>,
    /// The last pair has the same tile twice so far.
    is_odd: bool,
}

impl Tiles {
    fn clear(&mut self) {
        self.pairs.clear();
        self.steps.clear();
        self.is_odd = false;
    }

    /// Adds the next tile; `starts` tells where each of the runs that are used begins in its first row.
    fn push(
        &mut self,
        runs: Runs,
        depth: DepthSteps,
        first_row: usize,
        stride: usize,
        starts: impl Iterator<Item = (usize, *const u8)>,
    ) {
        let steps = starts.flat_map(|(run, start)| {
            (0..depth.of_run).map(move |step| {
                let quad = step * depth.quads;
                let weights = (run * runs.quads() + quad) * size_of::<PanelQuad>();
                Step { activations: [start.wrapping_add(quad * QUAD); 2], weights }
            })
        });
        self.is_odd = !self.is_odd;
        if self.is_odd {
            self.steps.extend(steps);
            self.pairs.push(Pair { first_rows: [first_row; 2], strides: [stride; 2] });
        } else if let Some(pair) = self.pairs.last_mut() {
            pair.first_rows[1] = first_row;
            pair.strides[1] = stride;
            let first_step = (self.pairs.len() - 1) * (self.steps.len() / self.pairs.len());
            for (step, second) in self.steps[first_step..].iter_mut().zip(steps) {
                step.activations[1] = second.activations[1];
            }
        }
    }

    fn finish(&self, shape: TileShape, runs: Runs) -> RowTiles<'_> {
        RowTiles {
            shape,
            quads_of_panel: runs.count * runs.quads(),
            pairs: &self.pairs,
            steps: &self.steps,
            bytes: PhantomData,
        }
    }
}

impl<'a> RowTiles<'a> {
    pub(crate) fn shape(&self) -> TileShape {
        self.shape
    }

    /// The number of pairs.
    pub(crate) fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// The rows of a pair.
    pub(crate) fn rows_of_pair(&self, pair: usize) -> Range<usize> {
        let [first, second] = self.pairs[pair].first_rows;
        first..second + self.shape.rows
    }

    pub(super) fn quads_of_panel(&self) -> usize {
        self.quads_of_panel
    }

    /// A pair and its steps.
    pub(super) fn pair(&self, pair: usize) -> (Pair, &'a [Step]) {
        let steps = self.steps.len() / self.pairs.len();
        (self.pairs[pair], &self.steps[pair * steps..][..steps])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operands::{Rows, RunBuffers, RunTable};

    /// Two runs of each row, which lie `stride` bytes apart; those of every seventh row lie elsewhere.
    struct Scattered {
        input: Vec<u8>,
        run_len: usize,
        stride: usize,
        breaks: bool,
    }

    impl Rows for Scattered {
        fn runs(&self) -> Runs {
            Runs { count: 2, len: self.run_len }
        }

        fn locate(&self, rows: std::ops::Range<usize>, _group: usize, table: &mut RunTable<'_>) {
            for row in rows.clone() {
                for run in 0..2 {
                    let start = match self.breaks && row % 7 == 6 {
                        true => row % 5,
                        false => row * self.stride,
                    };
                    let first = start + run * (self.input.len() / 2);
                    table.point(run, row - rows.start..row - rows.start + 1, first, 0);
                }
            }
        }

        fn input(&self) -> &[u8] {
            &self.input
        }

        fn span(&self, _: std::ops::Range<usize>) -> &[u8] {
            &self.input
        }

        fn zero_point(&self) -> u8 {
            7
        }
    }

    #[test]
    fn every_step_of_every_tile_has_the_bytes_of_its_rows() {
        let (mut runs, mut tiles) = (RunBuffers::default(), TileBuffers::default());
        for rows in [1, 2, 15, 16, 17, 31, 32, 33, 49, 64, 65, 100, 200] {
            for (run_len, breaks) in [(64_usize, false), (64, true), (100, true), (148, false), (3, true)] {
                let stride = run_len + 5;
                let len = 2 * (rows * stride + run_len.next_multiple_of(QUAD));
                let input = (0..len).map(|i| (i * i % 251) as u8).collect();
                let source = Scattered { input, run_len, stride, breaks };
                let located = runs.locate(&source, 0..rows, 0);
                let depth = DepthSteps::new(source.runs());
                let tiled = tiles.tile_rows(located, depth);
                let mut next_row = 0;
                for pair in 0..tiled.pairs() {
                    let rows_of_pair = tiled.rows_of_pair(pair);
                    assert!(rows_of_pair.start <= next_row && next_row < rows_of_pair.end);
                    next_row = rows_of_pair.end;
                    let (pair, steps) = tiled.pair(pair);
                    assert_eq!(steps.len(), 2 * depth.of_run);
                    for (tile, (first_row, stride)) in
                        pair.first_rows.into_iter().zip(pair.strides).enumerate()
                    {
                        for (i, step) in steps.iter().enumerate() {
                            let (run, quad) = (i / depth.of_run, i % depth.of_run * depth.quads);
                            assert_eq!(step.weights, (run * source.runs().quads() + quad) * 64);
                            for row in 0..tiled.shape().rows {
                                let start = step.activations[tile].wrapping_add(row * stride);
                                // SAFETY: what is tested here.
                                let bytes = unsafe { std::slice::from_raw_parts(start, depth.quads * QUAD) };
                                let expected =
                                    &located.bytes(run, first_row + row)[quad * QUAD..][..bytes.len()];
                                assert_eq!(bytes, expected, "row {row} of {first_row}, step {i}");
                            }
                        }
                    }
                }
                assert_eq!(next_row, rows);
            }
        }
    }
}
