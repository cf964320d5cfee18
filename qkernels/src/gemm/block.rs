//! A block: some rows, which stay in cache, times some panels.

#[cfg(target_arch = "x86_64")]
mod amx;

use std::ops::Range;

use super::PackedMatrix;
use super::saturation::LargeQuads;
use crate::epilogue::{Epilogue, Panels, Tiles};
use crate::isa::Isa;
use crate::kernels::{self, MIN_ROWS_OF_PANELS, Products, Tile, TileSize};
use crate::operands::Chains;
use crate::operands::RunBuffers;
use crate::operands::{LocatedRows, Rows};
use crate::output_rows::OutputRows;
use crate::panel::{PANEL, Sums};

/// Bytes that widened rows may occupy: half of a second-level cache of 512 KiB.
const WIDENED_BYTES: usize = 256 * 1024;

/// The fewest rows that are worth the widening of a panel.
const MIN_WIDENED_ROWS: usize = 24;

/// The most rows that are multiplied in two parts of 8 bits, which takes longer than 16 bits, but no widening.
const MAX_ROWS_IN_PARTS: usize = 8;

/// Some rows, and some panels of a group.
pub(super) struct Block<'a, R, E> {
    pub(super) isa: Isa,
    pub(super) source: &'a R,
    pub(super) epilogue: &'a E,
    pub(super) group: usize,
    pub(super) matrix: &'a PackedMatrix,
    pub(super) rows: Range<usize>,
    pub(super) panels: Range<usize>,
}

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct Scratch {
    runs: RunBuffers,
    row_sums: Vec<i32>,
    large: LargeQuads,
    tiles: TileSums,
    widened: Widened,
    #[cfg(target_arch = "x86_64")]
    amx: amx::Scratch,
}

/// The sums of two tiles or more, aligned for vectors of any size: few enough that the processor still multiplies
/// while it rounds the last ones.
#[repr(C, align(64))]
struct TileSums([Sums; 2 * TileSize::MAX_SUMS]);

impl Default for TileSums {
    fn default() -> Self {
        Self([[0; PANEL]; 2 * TileSize::MAX_SUMS])
    }
}

/// Buffers of the kernels that multiply 16 bits.
#[derive(Default)]
struct Widened {
    /// `[rows][runs][words]`.
    rows: Vec<i16>,
    /// A panel.
    weights: Vec<i16>,
}

impl<R: Rows, E: Epilogue> Block<'_, R, E> {
    /// The columns of the panels, counted over all groups.
    pub(super) fn columns(&self) -> Range<usize> {
        let first = self.group * self.matrix.columns();
        let end = self.matrix.columns().min(self.panels.end * PANEL);
        first + self.panels.start * PANEL..first + end
    }

    pub(super) fn multiply(&self, scratch: &mut Scratch, output: OutputRows<'_, E::Output>) {
        #[cfg(target_arch = "x86_64")]
        let mut output = output;
        #[cfg(target_arch = "x86_64")]
        if let Isa::Amx(_, proof) = self.isa
            && self.multiply_windows(proof, &mut scratch.amx, &mut output)
        {
            return;
        }
        let Scratch { runs, row_sums, large, tiles, widened, .. } = scratch;
        let located = runs.locate(self.source, self.rows.clone(), self.group);
        assert_eq!(located.runs().padded_depth(), self.matrix.runs().padded_depth());
        sum_rows(self.matrix, &located, self.source.zero_point(), row_sums);
        large.clear();
        let bounds = self.matrix.pair_bounds();
        let largest = self.largest_activation();
        let can_saturate = largest.is_some_and(|largest| bounds.can_saturate([largest; 2]));
        let are_few = !can_saturate || large.find(self.isa, &located, bounds);
        let corrections = Corrections { isa: self.isa, matrix: self.matrix, row_sums, large };
        let mut product = Product { block: self, corrections, output };
        #[cfg(target_arch = "x86_64")]
        if let Isa::Amx(_, proof) = self.isa
            && product.multiply_located(proof, located, &mut scratch.amx)
        {
            return;
        }
        match TileSize::of(self.isa) {
            Some(size) if are_few || self.rows.len() <= MAX_ROWS_IN_PARTS => {
                let most_panels = if self.rows.len() < MIN_ROWS_OF_PANELS { 1 } else { size.panels };
                for first in self.panels.clone().step_by(most_panels) {
                    let panels = first..self.panels.end.min(first + most_panels);
                    let (size, products) = match largest.and_then(|largest| self.chains(largest, first)) {
                        Some((size, chains)) => (size, Products::Chains(chains)),
                        None => (size, if are_few { Products::Pairs } else { Products::Parts }),
                    };
                    product.multiply_bytes(located, panels, size.rows, products, tiles);
                }
            }
            _ => product.multiply_words(located, widened, tiles),
        }
    }

    /// No activation is larger; looked for only where it matters.
    fn largest_activation(&self) -> Option<u8> {
        kernels::sums_in_16_bits(self.isa).then(|| {
            let bytes = self.source.span(self.rows.clone());
            let zero_point = self.source.zero_point();
            self.isa.run(|| bytes.iter().copied().fold(zero_point, u8::max))
        })
    }

    /// The chains of a panel, and the tile for them, if that is how it is multiplied.
    fn chains(&self, largest: u8, panel: usize) -> Option<(TileSize, &Chains)> {
        let size = TileSize::of_chains(self.isa)?;
        let chains = (self.rows.len() >= size.rows).then(|| self.matrix.chains(self.isa, panel)).flatten()?;
        (largest <= chains.most_activation()).then_some((size, chains))
    }
}

/// `sum of xq - K * zx` of each row, if weights have zero points.
fn sum_rows(matrix: &PackedMatrix, located: &LocatedRows<'_>, zero_point: u8, sums: &mut Vec<i32>) {
    sums.clear();
    if matrix.has_zero_points() {
        let runs = located.runs();
        // Both terms wrap around if they must: their difference times a zero point is part of a sum that fits.
        let center = (runs.depth() as i32).wrapping_mul(i32::from(zero_point));
        let bytes = |row| (0..runs.count).flat_map(move |run| &located.bytes(run, row)[..runs.len]);
        let sum = |row| bytes(row).fold(0, |sum: i32, &q| sum.wrapping_add(i32::from(q)));
        sums.extend((0..located.rows()).map(|row| sum(row).wrapping_sub(center)));
    }
}

/// A block under way.
struct Product<'a, R, E: Epilogue> {
    block: &'a Block<'a, R, E>,
    corrections: Corrections<'a>,
    output: OutputRows<'a, E::Output>,
}

impl<R: Rows, E: Epilogue> Product<'_, R, E> {
    /// Multiplies tile by tile, of no more than `most_rows`.
    fn multiply_bytes(
        &mut self,
        located: LocatedRows<'_>,
        panels: Range<usize>,
        most_rows: usize,
        products: Products<'_>,
        TileSums(sums): &mut TileSums,
    ) {
        let Block { isa, matrix, .. } = *self.block;
        let mut initial = [[0; PANEL]; 2];
        for (initial, panel) in initial.iter_mut().zip(panels.clone()) {
            *initial = self.initial(panel, located.used().iter().copied());
        }
        // As few tiles as there must be, of sizes that differ by one row at most.
        let rows = located.rows();
        let tiles = rows.div_ceil(most_rows);
        let mut tiles = ByteTiles {
            isa,
            tile: Tile::new(
                located,
                matrix.quads(panels.start, panels.len()),
                &initial[..panels.len()],
                products,
            ),
            least_rows: rows / tiles,
            larger_tiles: rows % tiles,
            sums,
            corrections: self.corrections,
            panels: panels.clone(),
        };
        self.finish(0..rows, panels, &mut tiles);
    }

    /// Multiplies by 16-bit products.
    fn multiply_words(
        &mut self,
        located: LocatedRows<'_>,
        widened: &mut Widened,
        TileSums(sums): &mut TileSums,
    ) {
        let Widened { rows: words, weights } = widened;
        let Block { isa, matrix, ref panels, .. } = *self.block;
        let runs = located.runs();
        let depth = runs.count * kernels::words_of_run(runs);
        let most_rows = (WIDENED_BYTES / (depth * size_of::<i16>())).max(MIN_WIDENED_ROWS);
        let rows = located.rows();
        for first_row in (0..rows).step_by(most_rows) {
            let end = rows.min(first_row + most_rows);
            let words = kernels::widen_rows(isa, &located, first_row..end, words);
            // As few times as there must be, the sums of about as many rows.
            let count = end - first_row;
            let rows_of_tiles = count.div_ceil(count.div_ceil(sums.len()));
            for panel in panels.clone() {
                let weights = kernels::widen_panel(isa, matrix.quads(panel, 1), matrix.runs(), weights);
                let mut tiles = WordTiles {
                    isa,
                    words,
                    depth,
                    rows: first_row..end,
                    weights,
                    initial: self.initial(panel, 0..runs.count),
                    sums: &mut sums[..rows_of_tiles],
                    corrections: self.corrections,
                    panels: panel..panel + 1,
                };
                self.finish(first_row..end, panel..panel + 1, &mut tiles);
            }
        }
    }

    /// `-zx * sum of wq` of each column over some of the source's runs: where its sums start.
    fn initial(&self, panel: usize, runs: impl Iterator<Item = usize>) -> Sums {
        let run_sums = &self.block.matrix.columns_of_panel()[panel].run_sums;
        let packed_runs_of_run = run_sums.len() / self.block.source.runs().count;
        let mut initial: Sums = [0; PANEL];
        for run in runs {
            for sums in &run_sums[run * packed_runs_of_run..][..packed_runs_of_run] {
                for (initial, sum) in initial.iter_mut().zip(sums) {
                    *initial = initial.wrapping_add(*sum);
                }
            }
        }
        let zero_point = i32::from(self.block.source.zero_point());
        initial.map(|sum| sum.wrapping_mul(-zero_point))
    }

    /// Hands the sums of some rows of the block on to the epilogue.
    fn finish(&mut self, rows: Range<usize>, panels: Range<usize>, tiles: &mut dyn Tiles) {
        let Block { isa, epilogue, .. } = *self.block;
        let first_column = (panels.start - self.block.panels.start) * PANEL;
        let columns = first_column..self.output.columns().min(first_column + panels.len() * PANEL);
        let panels = Panels {
            count: panels.len(),
            first_row: self.block.rows.start + rows.start,
            first_column: self.block.columns().start + first_column,
        };
        epilogue.finish_tiles(isa, &panels, tiles, self.output.part(rows, columns));
    }
}

/// Some panels times all rows of a block, a few tiles at a time.
struct ByteTiles<'a> {
    isa: Isa,
    /// The last one.
    tile: Tile<'a>,
    least_rows: usize,
    /// The number of remaining tiles that have a row more.
    larger_tiles: usize,
    sums: &'a mut [Sums],
    corrections: Corrections<'a>,
    panels: Range<usize>,
}

impl Tiles for ByteTiles<'_> {
    fn next(&mut self) -> Option<&[Sums]> {
        let first_row = self.tile.rows().end;
        let mut free = &mut *self.sums;
        while self.tile.rows().end < self.tile.located().rows() {
            let rows = self.least_rows + usize::from(self.larger_tiles > 0);
            let Some(sums) = free.split_off_mut(..rows * self.panels.len()) else { break };
            self.larger_tiles = self.larger_tiles.saturating_sub(1);
            self.tile.advance(rows);
            kernels::multiply_tile(self.isa, &self.tile, sums);
        }
        let rows = self.tile.rows().end - first_row;
        let sums = &mut self.sums[..rows * self.panels.len()];
        self.corrections.apply(first_row, &self.panels, sums);
        (rows > 0).then_some(sums)
    }
}

/// A panel times some rows of a block, 16 bits wide, as many at a time as there is room for sums.
struct WordTiles<'a> {
    isa: Isa,
    /// The rows that are left.
    rows: Range<usize>,
    /// Their activations, `[rows][depth]`.
    words: &'a [i16],
    depth: usize,
    weights: &'a [i16],
    initial: Sums,
    sums: &'a mut [Sums],
    corrections: Corrections<'a>,
    panels: Range<usize>,
}

impl Tiles for WordTiles<'_> {
    fn next(&mut self) -> Option<&[Sums]> {
        let first_row = self.rows.start;
        let rows = self.rows.len().min(self.sums.len());
        let (words, others) = self.words.split_at(rows * self.depth);
        (self.rows.start, self.words) = (first_row + rows, others);
        let sums = &mut self.sums[..rows];
        kernels::multiply_words(self.isa, words, self.weights, &self.initial, sums);
        self.corrections.apply(first_row, &self.panels, sums);
        (rows > 0).then_some(sums)
    }
}

/// The terms that the sums of products of a block lack.
#[derive(Clone, Copy)]
struct Corrections<'a> {
    isa: Isa,
    matrix: &'a PackedMatrix,
    /// Of each row, if weights have zero points.
    row_sums: &'a [i32],
    large: &'a LargeQuads,
}

impl Corrections<'_> {
    /// Adds them to the sums `[rows][panels]` of the rows from `first_row` of the block on.
    #[inline(always)]
    fn apply(&self, first_row: usize, panels: &Range<usize>, sums: &mut [Sums]) {
        if !self.large.is_empty() {
            self.add_lost(first_row, panels, sums);
        }
        if !self.row_sums.is_empty() {
            self.subtract_zero_points(first_row, panels, sums);
        }
    }

    fn add_lost(&self, first_row: usize, panels: &Range<usize>, sums: &mut [Sums]) {
        for (i, panel) in panels.clone().enumerate() {
            let sums = sums.iter_mut().skip(i).step_by(panels.len());
            self.large.correct(self.isa, first_row, self.matrix.quads(panel, 1), sums);
        }
    }

    fn subtract_zero_points(&self, first_row: usize, panels: &Range<usize>, sums: &mut [Sums]) {
        let columns = &self.matrix.columns_of_panel()[panels.clone()];
        for (sums, &row_sum) in sums.chunks_exact_mut(panels.len()).zip(&self.row_sums[first_row..]) {
            for (sums, columns) in sums.iter_mut().zip(columns) {
                for (sum, zero_point) in sums.iter_mut().zip(columns.zero_points) {
                    *sum = sum.wrapping_sub(row_sum.wrapping_mul(zero_point));
                }
            }
        }
    }
}
