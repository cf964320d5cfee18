//! The rows of a block in tiles.

use std::marker::PhantomData;

use super::registers::TileShape;
use crate::aligned::AlignedBuffer;
use crate::operands::LocatedRows;
use crate::panel::{PanelQuad, QUAD, Runs};

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

    /// Quads of a step; those that a tile has room for beyond them take as long.
    pub(crate) fn quads(self) -> usize {
        self.quads
    }
}

/// Buffers of [`RowTiles`], kept between calls.
#[derive(Default)]
pub(crate) struct TileBuffers {
    /// `[pairs][steps]`
    steps: Vec<Step>,
    pairs: Vec<Pair>,
    /// Which tiles are copied.
    copied: Vec<bool>,
    /// The rows of those, one after the other, the used runs of each one after the other.
    copies: AlignedBuffer<u8>,
}

/// A step of depth of a pair of tiles: where the activations of each begin, and by how much the weights lie behind the
/// first ones of their panel.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Step {
    activations: [*const u8; 2],
    weights: usize,
}

/// Two tiles.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    /// The first row of each.
    pub(super) first_rows: [usize; 2],
    /// From a row of each to its next one, in bytes.
    pub(super) strides: [usize; 2],
}

/// The rows of a block in pairs of tiles of one size; if they do not come out even, the last tiles overlap with those
/// before.
///
/// From the start of each step on, as many rows as the shape has can be read, each of as many quads.
#[derive(Clone, Copy)]
pub(crate) struct RowTiles<'a> {
    shape: TileShape,
    steps_of_pair: usize,
    quads_of_panel: usize,
    steps: &'a [Step],
    pairs: &'a [Pair],
    bytes: PhantomData<&'a [u8]>,
}

impl TileBuffers {
    /// Puts rows in tiles: where a tile's rows lie at equal distances, they are read there, and others are copied.
    pub(crate) fn tile<'a>(&'a mut self, located: LocatedRows<'a>, depth: DepthSteps) -> RowTiles<'a> {
        let (rows, runs, used) = (located.rows(), located.runs(), located.used());
        assert!(rows > 0 && depth.of_run * depth.quads == runs.quads());
        let tiles = 2 * rows.div_ceil(2 * TileShape::MAX.rows);
        let shape = TileShape { rows: rows.div_ceil(tiles), quads: depth.quads };
        let pairs = rows.div_ceil(2 * shape.rows);
        let first_row = |tile: usize| (tile * shape.rows).min(rows - shape.rows);

        self.copied.clear();
        self.copied
            .extend((0..2 * pairs).map(|tile| stride(&located, first_row(tile), shape.rows).is_none()));
        let row_len = row_len_of_copies(used.len() * runs.padded_len());
        let copies = self.copied.iter().filter(|&&is_copied| is_copied).count();
        let mut free = self.copies.first_mut(copies * shape.rows * row_len);

        self.pairs.clear();
        self.steps.clear();
        let steps_of_pair = used.len() * depth.of_run;
        let no_step = Step { activations: [std::ptr::null(); 2], weights: 0 };
        self.steps.resize(pairs * steps_of_pair, no_step);
        for pair in 0..pairs {
            let steps = &mut self.steps[pair * steps_of_pair..][..steps_of_pair];
            let first_rows = [2 * pair, 2 * pair + 1].map(first_row);
            let mut strides = [0; 2];
            for (i, first_row) in first_rows.into_iter().enumerate() {
                let stride = match self.copied[2 * pair + i] {
                    false => stride(&located, first_row, shape.rows),
                    true => None,
                };
                let copy = match stride {
                    Some(_) => None,
                    None => {
                        let (copy, others) = free.split_at_mut(shape.rows * row_len);
                        free = others;
                        copy_rows(&located, first_row, copy, row_len);
                        Some(&*copy)
                    }
                };
                strides[i] = stride.unwrap_or(row_len);
                for (step, (u, &run)) in used
                    .iter()
                    .enumerate()
                    .flat_map(|used| std::iter::repeat_n(used, depth.of_run))
                    .enumerate()
                {
                    let quad = step % depth.of_run * depth.quads;
                    let start = match copy {
                        None => located.bytes(run, first_row)[quad * QUAD..].as_ptr(),
                        Some(copy) => copy[u * runs.padded_len() + quad * QUAD..].as_ptr(),
                    };
                    steps[step].activations[i] = start;
                    steps[step].weights = (run * runs.quads() + quad) * size_of::<PanelQuad>();
                }
            }
            self.pairs.push(Pair { first_rows, strides });
        }
        RowTiles {
            shape,

            steps_of_pair,
            quads_of_panel: runs.count * runs.quads(),
            steps: &self.steps,
            pairs: &self.pairs,
            bytes: PhantomData,
        }
    }
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

impl<'a> RowTiles<'a> {
    pub(crate) fn shape(&self) -> TileShape {
        self.shape
    }

    /// The number of pairs.
    pub(crate) fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// The rows of a pair.
    pub(crate) fn rows_of_pair(&self, pair: usize) -> std::ops::Range<usize> {
        let [first, second] = self.pairs[pair].first_rows;
        first..second + self.shape.rows
    }

    pub(super) fn quads_of_panel(&self) -> usize {
        self.quads_of_panel
    }

    /// A pair and its steps.
    pub(super) fn pair(&self, pair: usize) -> (Pair, &'a [Step]) {
        (self.pairs[pair], &self.steps[pair * self.steps_of_pair..][..self.steps_of_pair])
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
                let tiled = tiles.tile(located, depth);
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
