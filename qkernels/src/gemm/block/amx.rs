//! Blocks that tiles of bytes multiply.

use std::ops::Range;

use super::{Block, Corrections, LargeQuads, Product};
use crate::epilogue::{Epilogue, Tiles};
use crate::isa::Amx;
use crate::kernels::amx::{DepthSteps, RowTiles, TileBuffers, TileRegisters, TileShape};
use crate::operands::{LocatedRows, Rows};
use crate::output_rows::OutputRows;
use crate::panel::{PANEL, PanelQuad, Runs, Sums};

/// Panels whose sums become output together: a cache line of bytes.
const PANELS: usize = 4;

/// Panels that are multiplied at once.
const PANELS_OF_PRODUCT: usize = 2;

/// Rows of a pair of tiles.
const MAX_ROWS: usize = 2 * TileShape::MAX.rows;

/// With fewer rows tiles are too small.
const MIN_ROWS: usize = 6;

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct Scratch {
    tiles: TileBuffers,
    sums: PairSums,
}

/// The sums of two pairs of tiles: the processor multiplies one while those of the other become output.
#[repr(C, align(64))]
struct PairSums([[Sums; MAX_ROWS * PANELS]; 2]);

impl Default for PairSums {
    fn default() -> Self {
        Self([[[0; PANEL]; MAX_ROWS * PANELS]; 2])
    }
}

/// How the depth is cut, if products of tiles are faster.
fn depth_if_faster(rows: usize, runs: Runs) -> Option<DepthSteps> {
    let depth = DepthSteps::new(runs);
    (rows >= MIN_ROWS && depth.are_large()).then_some(depth)
}

impl<R: Rows, E: Epilogue> Block<'_, R, E> {
    /// Multiplies windows that lie in an image; `false` if they are better looked for one by one.
    pub(super) fn multiply_windows(
        &self,
        proof: Amx,
        Scratch { tiles, sums }: &mut Scratch,
        output: &mut OutputRows<'_, E::Output>,
    ) -> bool {
        // Sums of the rows are wanted where weights have zero points.
        if self.matrix.has_zero_points() {
            return false;
        }
        let Some(windows) = self.source.windows() else { return false };
        let runs = windows.runs();
        let depth = depth_if_faster(self.rows.len(), runs);
        let Some(rows) = depth.and_then(|depth| tiles.tile_windows(&windows, self.rows.clone(), depth))
        else {
            return false;
        };
        assert!(runs == self.source.runs() && runs.padded_depth() == self.matrix.runs().padded_depth());
        let large = LargeQuads::default();
        let corrections = Corrections { isa: self.isa, matrix: self.matrix, row_sums: &[], large: &large };
        let output = output.part(0..self.rows.len(), 0..output.columns());
        Product { block: self, corrections, output }.multiply_tiles(proof, rows, 0..runs.count, sums);
        true
    }
}

impl<R: Rows, E: Epilogue> Product<'_, R, E> {
    /// Multiplies rows that lie anywhere; `false` if other kernels are faster.
    pub(super) fn multiply_located(
        &mut self,
        proof: Amx,
        located: LocatedRows<'_>,
        Scratch { tiles, sums }: &mut Scratch,
    ) -> bool {
        let depth = depth_if_faster(located.rows(), located.runs());
        let Some(depth) = depth.filter(|_| !located.used().is_empty()) else { return false };
        let rows = tiles.tile_rows(located, depth);
        self.multiply_tiles(proof, rows, located.used().iter().copied(), sums);
        true
    }

    /// Multiplies pairs of tiles; `runs` are those that are in them.
    fn multiply_tiles(
        &mut self,
        proof: Amx,
        rows: RowTiles<'_>,
        runs: impl Iterator<Item = usize> + Clone,
        PairSums(sums): &mut PairSums,
    ) {
        let registers = TileRegisters::configure(proof, rows.shape());
        let Block { matrix, ref panels, .. } = *self.block;
        let mut first = panels.start;
        while first < panels.end {
            let count = match panels.end - first {
                1 => 1,
                2 | 3 => 2,
                _ => PANELS,
            };
            let panels = first..first + count;
            let mut initial = [[0; PANEL]; PANELS];
            for (initial, panel) in initial.iter_mut().zip(panels.clone()) {
                *initial = self.initial(panel, runs.clone());
            }
            let mut tiles = TileProducts {
                registers: &registers,
                rows,
                weights: matrix.quads(first, count),
                initial: &initial[..count],
                sums,
                pair: 0,
                part: 0,
                end_row: 0,
                corrections: self.corrections,
                panels: panels.clone(),
            };
            (0..tiles.parts()).for_each(|part| tiles.multiply(0, part));
            self.finish(0..self.block.rows.len(), panels, &mut tiles);
            first += count;
        }
    }
}

/// Some panels times all rows of a block, a pair of tiles ahead of the epilogue.
struct TileProducts<'a> {
    registers: &'a TileRegisters,
    rows: RowTiles<'a>,
    weights: &'a [PanelQuad],
    initial: &'a [Sums],
    /// Those of even and those of odd pairs.
    sums: &'a mut [[Sums; MAX_ROWS * PANELS]; 2],
    /// The next one, which is multiplied already, and the next part of it.
    pair: usize,
    part: usize,
    /// Where the last rows end.
    end_row: usize,
    corrections: Corrections<'a>,
    panels: Range<usize>,
}

impl TileProducts<'_> {
    /// Parts in which a pair is multiplied, and likewise handed on.
    fn parts(&self) -> usize {
        self.initial.len().div_ceil(PANELS_OF_PRODUCT)
    }

    fn multiply(&mut self, pair: usize, part: usize) {
        let len = self.rows.rows_of_pair(pair).len() * self.initial.len();
        let sums = &mut self.sums[pair % 2][..len];
        let first_panel = part * PANELS_OF_PRODUCT;
        self.registers.multiply(&self.rows, pair, first_panel, self.weights, self.initial, sums);
    }
}

impl Tiles for TileProducts<'_> {
    fn next(&mut self) -> Option<&[Sums]> {
        let (pair, part) = (self.pair, self.part);
        if pair == self.rows.pairs() {
            return None;
        }
        if pair + 1 < self.rows.pairs() {
            self.multiply(pair + 1, part);
        }
        let rows = self.rows.rows_of_pair(pair);
        let panels = self.initial.len();
        // Tiles overlap.
        let new_rows = self.end_row..rows.end;
        let others = self.parts() - 1 - part;
        // Groups of four rows are requantized fastest.
        let end =
            if others == 0 { rows.end } else { rows.end - new_rows.len() / (others + 1) * others / 4 * 4 };
        let sums = &mut self.sums[pair % 2];
        let sums = &mut sums[(new_rows.start - rows.start) * panels..(end - rows.start) * panels];
        self.end_row = end;
        (self.pair, self.part) = if others == 0 { (pair + 1, 0) } else { (pair, part + 1) };
        self.corrections.apply(new_rows.start, &self.panels, sums);
        Some(sums)
    }
}
