//! Blocks that tiles of bytes multiply.

use std::ops::Range;

use super::{Corrections, Product};
use crate::epilogue::{Epilogue, Tiles};
use crate::isa::Amx;
use crate::kernels::amx::{DepthSteps, RowTiles, TileBuffers, TileRegisters, TileShape};
use crate::operands::{LocatedRows, Rows};
use crate::panel::{PANEL, PanelQuad, Sums};

/// Panels of a product, if there are as many.
const PANELS: usize = 2;

/// Rows of a pair of tiles.
const MAX_ROWS: usize = 2 * TileShape::MAX.rows;

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

/// The steps of depth, if products of tiles are faster.
pub(super) fn steps_if_faster(located: &LocatedRows<'_>) -> Option<DepthSteps> {
    let steps = DepthSteps::new(located.runs());
    (!located.used().is_empty() && located.rows() >= 2 && steps.quads() >= 1).then_some(steps)
}

impl<R: Rows, E: Epilogue> Product<'_, R, E> {
    /// Multiplies pairs of tiles.
    pub(super) fn multiply_tiles(&mut self, proof: Amx, depth: DepthSteps, scratch: &mut Scratch) {
        let Scratch { tiles, sums: PairSums(sums) } = scratch;
        let rows = tiles.tile(self.located, depth);
        let registers = TileRegisters::configure(proof, rows.shape());
        let matrix = self.block.matrix;
        let panels = self.block.panels.clone();
        for first in panels.clone().step_by(PANELS) {
            let panels = first..panels.end.min(first + PANELS);
            let mut initial = [[0; PANEL]; PANELS];
            for (initial, panel) in initial.iter_mut().zip(panels.clone()) {
                *initial = self.initial(panel, self.located.used().iter().copied());
            }
            let mut tiles = TileProducts {
                registers: &registers,
                rows,
                weights: matrix.quads(panels.start, panels.len()),
                initial: &initial[..panels.len()],
                sums,
                pair: 0,
                end_row: 0,
                corrections: self.corrections,
                panels: panels.clone(),
            };
            tiles.multiply(0);
            self.finish(0..self.located.rows(), panels, &mut tiles);
        }
    }
}

/// One or two panels times all rows of a block, a pair of tiles ahead of the epilogue.
struct TileProducts<'a> {
    registers: &'a TileRegisters,
    rows: RowTiles<'a>,
    weights: &'a [PanelQuad],
    initial: &'a [Sums],
    /// Those of even and those of odd pairs.
    sums: &'a mut [[Sums; MAX_ROWS * PANELS]; 2],
    /// The next one, which is multiplied already.
    pair: usize,
    /// Where the rows of the last one end.
    end_row: usize,
    corrections: Corrections<'a>,
    panels: Range<usize>,
}

impl TileProducts<'_> {
    fn multiply(&mut self, pair: usize) {
        let len = self.rows.rows_of_pair(pair).len() * self.initial.len();
        let sums = &mut self.sums[pair % 2][..len];
        self.registers.multiply(&self.rows, pair, self.weights, self.initial, sums);
    }
}

impl Tiles for TileProducts<'_> {
    fn next(&mut self) -> Option<&[Sums]> {
        let pair = self.pair;
        if pair == self.rows.pairs() {
            return None;
        }
        self.pair += 1;
        if self.pair < self.rows.pairs() {
            self.multiply(self.pair);
        }
        let rows = self.rows.rows_of_pair(pair);
        let panels = self.initial.len();
        // Tiles overlap.
        let new_rows = self.end_row..rows.end;
        let sums = &mut self.sums[pair % 2][(new_rows.start - rows.start) * panels..rows.len() * panels];
        self.end_row = rows.end;
        self.corrections.apply(new_rows.start, &self.panels, sums);
        Some(sums)
    }
}
