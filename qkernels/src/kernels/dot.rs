//! The micro-kernel of instruction sets that multiply bytes: sums of a tile of rows with a panel or two.
//!
//! The tile's sums stay in registers. A step of depth loads four weights of each column and, row by row, four
//! activations into every lane: the dot product of the two is added to the row's sums. The activations are read
//! where they lie, through one pointer a row.

use std::ops::Range;

use crate::operands::{Chains, LocatedRows};
#[cfg(target_arch = "x86_64")]
use crate::panel::PANEL;
use crate::panel::{PanelQuad, QUAD, Sums};

/// Vectors of 32-bit sums, and the dot product that adds to them.
#[cfg(target_arch = "x86_64")]
pub(super) trait DotProduct: Copy {
    /// [`LANES`](Self::LANES) sums, or four bytes for each of them.
    type Vector: Copy;

    /// Sums of a vector.
    const LANES: usize;

    fn zero(self) -> Self::Vector;

    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// Adds the dot product of four unsigned activations and four signed weights to each sum.
    fn dot(self, sums: Self::Vector, activations: Self::Vector, weights: Self::Vector) -> Self::Vector;

    /// Four bytes in every lane.
    ///
    /// # Safety
    /// Four bytes can be read.
    unsafe fn broadcast(self, quad: *const u8) -> Self::Vector;

    /// # Safety
    /// A vector can be read.
    unsafe fn load(self, vector: *const u8) -> Self::Vector;

    /// # Safety
    /// A vector can be written.
    unsafe fn store(self, vector: *mut i32, sums: Self::Vector);
}

/// How bytes are multiplied where sums of products pass through 16 bits.
#[derive(Clone, Copy)]
pub(crate) enum Products<'a> {
    /// Two products are added up, and saturate if they are too large.
    Pairs,
    /// Likewise, but each activation is cut in two that are small enough.
    Parts,
    /// Four products are added up, those of two quads.
    Chains(&'a Chains),
}

/// The operands of a tile.
pub(crate) struct Tile<'a> {
    located: LocatedRows<'a>,
    rows: Range<usize>,
    weights: &'a [PanelQuad],
    initial: &'a [Sums],
    products: Products<'a>,
    quads_of_run: usize,
    quads_of_panel: usize,
}

impl<'a> Tile<'a> {
    /// No rows yet.
    ///
    /// `weights` are those of the panels, one panel after the other, and `initial` is where the sums of each panel's
    /// columns start.
    pub(crate) fn new(
        located: LocatedRows<'a>,
        weights: &'a [PanelQuad],
        initial: &'a [Sums],
        products: Products<'a>,
    ) -> Self {
        let quads_of_run = located.runs().quads();
        let quads_of_panel = located.runs().count * quads_of_run;
        assert_eq!(weights.len(), initial.len() * quads_of_panel);
        Self { located, rows: 0..0, weights, initial, products, quads_of_run, quads_of_panel }
    }

    /// The next tile, of `rows` rows.
    #[inline]
    pub(crate) fn advance(&mut self, rows: usize) {
        self.rows = self.rows.end..self.rows.end + rows;
    }

    /// Its rows.
    pub(crate) fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// All rows of which it can be some.
    pub(crate) fn located(&self) -> LocatedRows<'a> {
        self.located
    }

    pub(super) fn panels(&self) -> usize {
        self.initial.len()
    }

    pub(super) fn products(&self) -> Products<'a> {
        self.products
    }

    pub(super) fn initial(&self) -> &'a [Sums] {
        self.initial
    }

    /// [`multiply_tile`](super::multiply_tile) in plain Rust: the definition, which follows the products where they lie.
    pub(super) fn multiply(&self, sums: &mut [Sums]) {
        let runs = self.located.runs();
        for (row, sums) in self.rows().zip(sums.chunks_exact_mut(self.panels())) {
            sums.copy_from_slice(self.initial());
            for &run in self.located.used() {
                let activations = self.located.bytes(run, row).as_chunks().0;
                if let Products::Chains(chains) = self.products() {
                    assert_eq!((chains.quads(), sums.len()), (self.quads_of_panel, 1));
                    let packed_runs = chains.runs() / runs.count;
                    let chains = chains.of_runs(run * packed_runs..(run + 1) * packed_runs);
                    let offsets = chains.pairs.as_flattened().iter().chain(chains.singles);
                    let weights = chains.pair_weights.as_flattened().iter().chain(chains.single_weights);
                    for (&offset, weights) in offsets.zip(weights) {
                        let quad = offset as usize / QUAD - run * self.quads_of_run;
                        add_products(&mut sums[0], &activations[quad], weights);
                    }
                } else {
                    for (sums, weights) in sums.iter_mut().zip(self.weights.chunks(self.quads_of_panel)) {
                        let weights = &weights[run * self.quads_of_run..];
                        for (activations, weights) in activations.iter().zip(weights) {
                            add_products(sums, activations, weights);
                        }
                    }
                }
            }
        }
    }
}

/// Adds the products of four activations with the weights of each column.
fn add_products(sums: &mut Sums, activations: &[u8; QUAD], weights: &PanelQuad) {
    for (sum, weights) in sums.iter_mut().zip(weights.0.as_chunks::<QUAD>().0) {
        for (&activation, &weight) in activations.iter().zip(weights) {
            *sum = sum.wrapping_add(i32::from(activation) * i32::from(weight));
        }
    }
}

/// [`multiply_tile`](super::multiply_tile) for `R` rows and `V` vectors of columns, whole panels.
///
/// `U` steps of depth go to sums of their own, so that few rows and columns make enough independent sums.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn multiply_tile<D: DotProduct, const R: usize, const V: usize, const U: usize>(
    isa: D,
    tile: &Tile<'_>,
    sums: &mut [Sums],
) {
    let Tile { quads_of_run, quads_of_panel, .. } = *tile;
    let panels = V * D::LANES / PANEL;
    assert!(tile.rows.len() == R && sums.len() == R * panels && tile.initial.len() == panels);

    // SAFETY: the vectors of `V` are whole panels, as many as `initial` has.
    let initial: [D::Vector; V] = std::array::from_fn(|v| unsafe {
        isa.load(tile.initial.as_ptr().cast::<u8>().add(v * D::LANES * QUAD))
    });
    // Variables, not an array: so they stay in registers.
    const { assert!(U == 1 || U == 2 || U == 4) };
    let mut total = [initial; R];
    let mut total1 = [[isa.zero(); V]; R];
    let mut total2 = total1;
    let mut total3 = total1;

    for (run, &starts) in tile.located.used_starts::<R>(tile.rows.start) {
        // SAFETY: a run of the rows is one of the weights, of which there are `panels * quads_of_panel`.
        let weights = unsafe { tile.weights.as_ptr().add(run * quads_of_run).cast::<u8>() };
        let step = |quad: usize, total: &mut [[D::Vector; V]; R]| {
            // SAFETY: vector `v` is a part of quad `quad` of this run, of the panel it belongs to.
            let weights: [D::Vector; V] = std::array::from_fn(|v| unsafe {
                let column = v * D::LANES;
                let panel = column / PANEL * quads_of_panel * size_of::<PanelQuad>();
                isa.load(weights.add(panel + quad * size_of::<PanelQuad>() + column % PANEL * QUAD))
            });
            for (start, total) in starts.iter().zip(total) {
                // SAFETY: a run can be read in whole quads.
                let activations = unsafe { isa.broadcast(start.add(quad * QUAD)) };
                for (total, weights) in total.iter_mut().zip(weights) {
                    *total = isa.dot(*total, activations, weights);
                }
            }
        };
        let whole = quads_of_run / U * U;
        for quad in (0..whole).step_by(U) {
            step(quad, &mut total);
            if U > 1 {
                step(quad + 1, &mut total1);
            }
            if U > 2 {
                step(quad + 2, &mut total2);
                step(quad + 3, &mut total3);
            }
        }
        for quad in whole..quads_of_run {
            step(quad, &mut total);
        }
    }

    let add = |total: &mut [[D::Vector; V]; R], others: [[D::Vector; V]; R]| {
        for (total, others) in total.iter_mut().zip(others) {
            for (total, other) in total.iter_mut().zip(others) {
                *total = isa.add(*total, other);
            }
        }
    };
    if U > 1 {
        add(&mut total, total1);
    }
    if U > 2 {
        add(&mut total, total2);
        add(&mut total, total3);
    }
    let sums: *mut i32 = sums.as_mut_ptr().cast();
    for (r, total) in total.iter().enumerate() {
        for (v, total) in total.iter().enumerate() {
            // SAFETY: `R` rows of `V` vectors are `R` rows of whole panels.
            unsafe { isa.store(sums.add((r * V + v) * D::LANES), *total) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::PackedMatrix;
    use crate::isa::Isa;
    use crate::kernels::multiply_tile;
    use crate::panel::{PANEL, Runs};

    #[test]
    fn every_kind_of_products_gives_the_same_sums() {
        let runs = Runs { count: 3, len: 204 };
        // Small enough for every instruction set to be exact.
        let weight = |column: usize, k: usize| ((column * 37 + k * 71) % 81) as i8 - 40;
        let activation = |row: usize, k: usize| ((row * 89 + k * 57) % 128) as u8;
        let matrix = PackedMatrix::new(PANEL, runs, &[0], weight).unwrap();
        let chains = matrix.chains(Isa::Scalar, 0).expect("small weights are in pairs");
        let bytes: Vec<Vec<u8>> =
            (0..4).map(|row| (0..runs.depth()).map(|k| activation(row, k)).collect()).collect();
        let rows: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let mut starts = Vec::new();
        let located = LocatedRows::of_single_runs(&rows, &mut starts);
        let initial = [std::array::from_fn(|column| column as i32 - 5)];
        for isa in Isa::available() {
            for (kind, products) in
                [Products::Pairs, Products::Parts, Products::Chains(chains)].iter().enumerate()
            {
                let mut tile = Tile::new(located, matrix.quads(0, 1), &initial, *products);
                tile.advance(1);
                tile.advance(3);
                let mut sums = [[0; PANEL]; 3];
                multiply_tile(isa, &tile, &mut sums);
                for (row, sums) in (1..).zip(sums) {
                    for (column, sum) in sums.into_iter().enumerate() {
                        let product = |k| i32::from(activation(row, k)) * i32::from(weight(column, k));
                        let expected = initial[0][column] + (0..runs.depth()).map(product).sum::<i32>();
                        assert_eq!(sum, expected, "{isa}, products {kind}, row {row}, column {column}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_definition_multiplies_the_runs_of_two_panels() {
        let runs = Runs { count: 1, len: 8 };
        let matrix = PackedMatrix::new(2 * PANEL, runs, &[0], |column, k| (column * 8 + k) as i8).unwrap();
        let bytes = [255_u8, 0, 1, 2, 3, 4, 5, 6];
        let rows = [&bytes[..]];
        let mut starts = Vec::new();
        let located = LocatedRows::of_single_runs(&rows, &mut starts);
        let initial = [[7; PANEL], [-7; PANEL]];
        let mut tile = Tile::new(located, matrix.quads(0, 2), &initial, Products::Pairs);
        tile.advance(1);
        let mut sums = [[0; PANEL]; 2];
        tile.multiply(&mut sums);
        for (column, sum) in sums.as_flattened().iter().enumerate() {
            let product = |k: usize| i32::from(bytes[k]) * i32::from((column * 8 + k) as i8);
            let expected = initial[column / PANEL][0] + (0..8).map(product).sum::<i32>();
            assert_eq!(*sum, expected, "column {column}");
        }
    }
}
