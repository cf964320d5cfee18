//! Weights in the order the micro-kernels read them: panels of columns, four steps of depth together.
//!
//! One order serves every instruction set, so that packed weights outlive a change of it and can be stored in
//! files: the byte dot products (`vpdpbusd`, `udot`, `vpmaddubsw`) consume four neighbouring bytes
//! of one column, and the widening kernels unfold them a block at a time.

use std::sync::OnceLock;

use super::analysis::Analysis;
use super::storage::{QUAD_BYTES, Storage};
use crate::error::{Error, Result};
use crate::isa::{Isa, isa};
use crate::length;
use crate::memory;
use crate::operands::PairBounds;
use crate::operands::{Chains, FindChains};
use crate::panel::{PANEL, PanelQuad, QUAD, Runs, Sums};

/// Weights of one group: bytes in the order `[columns / PANEL][runs][run length / QUAD][PANEL][QUAD]`, filled
/// up with zeros, whatever the instruction set.
#[derive(Clone, Debug, Default)]
pub(crate) struct PackedMatrix {
    columns: usize,
    runs: Runs,
    weights: Storage,
    /// One for each panel.
    columns_of_panel: Vec<PanelColumns>,
    pair_bounds: PairBounds,
    has_zero_points: bool,
}

/// Properties of the columns of a panel; 0 for those that do not exist.
#[derive(Clone, Debug, Default)]
pub(crate) struct PanelColumns {
    /// The sum of each column's weights, for each run.
    pub(crate) run_sums: Vec<Sums>,
    pub(crate) zero_points: [i32; PANEL],
    /// Looked for when they are wanted first.
    chains: OnceLock<Option<Chains>>,
}

impl PackedMatrix {
    /// Packs `columns` columns; `weight(o, k)` reads the weight of column `o` for byte `k` of the rows' runs,
    /// one run after the other.
    ///
    /// `zero_points` has one element, or one per column.
    ///
    /// # Errors
    /// If a zero point is not an `i8`, or a sum could leave `i32`.
    pub(crate) fn new(
        columns: usize,
        runs: Runs,
        zero_points: &[i32],
        weight: impl Fn(usize, usize) -> i8,
    ) -> Result<Self> {
        let (panels, quads) = Self::extents(columns, runs)?;
        // Sums of the runs take as much as the weights at most.
        memory::check_free("a packed weight", (panels * quads).saturating_mul(2 * PANEL * QUAD))?;
        let mut weights = vec![PanelQuad([0; PANEL * QUAD]); panels * quads];
        for column in 0..columns {
            let (panel, lane) = (column / PANEL, column % PANEL);
            let panel = &mut weights[panel * quads..][..quads];
            for run in 0..runs.count {
                for i in 0..runs.len {
                    let w = weight(column, run * runs.len + i);
                    panel[run * runs.quads() + i / QUAD].0[lane * QUAD + i % QUAD] = w;
                }
            }
        }
        Self::from_storage(columns, runs, zero_points, Storage::Owned(weights))
    }

    /// Weights that are packed already.
    ///
    /// # Errors
    /// As [`new`](Self::new), and if there are too many or too few, or one that fills up a run is not 0.
    pub(crate) fn from_storage(
        columns: usize,
        runs: Runs,
        zero_points: &[i32],
        weights: Storage,
    ) -> Result<Self> {
        let (panels, quads) = Self::extents(columns, runs)?;
        length::check("packed weight", weights.as_bytes(), panels * quads * QUAD_BYTES)?;
        let mut pair_bounds = PairBounds::default();
        let known = weights.chunks_exact(quads).enumerate().map(|(panel, weights)| {
            let mut known = PanelColumns::default();
            pair_bounds = pair_bounds.max(known.analyse(weights, runs)?);
            for (column, zero_point) in (panel * PANEL..columns).zip(&mut known.zero_points) {
                *zero_point = weight_zero_point(zero_points, column)?.into();
            }
            known.check_sums(weights)?;
            Ok(known)
        });
        let columns_of_panel = known.collect::<Result<Vec<_>>>()?;
        let has_zero_points = columns_of_panel.iter().any(|known| known.zero_points != [0; PANEL]);
        Ok(Self { columns, runs, weights, columns_of_panel, pair_bounds, has_zero_points })
    }

    /// Packs other weights in the same memory, for a single product: chains are not looked for. `pack` writes all quads of
    /// all panels, zeros where there is nothing.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn repack(
        &mut self,
        columns: usize,
        depth: usize,
        zero_point: i32,
        pack: impl FnOnce(&mut [PanelQuad]),
    ) -> Result<()> {
        let runs = Runs { count: 1, len: depth };
        let (panels, quads) = Self::extents(columns, runs)?;
        let Storage::Owned(weights) = &mut self.weights else {
            return Err(Error::parameter("packed weights of a file are not packed again"));
        };
        let more = (panels * quads).saturating_sub(weights.len());
        memory::reserve("a packed matrix", weights, more)?;
        weights.resize(panels * quads, PanelQuad([0; PANEL * QUAD]));
        pack(weights);
        let zero_point = weight_zero_point(&[zero_point], 0)?.into();
        self.columns_of_panel.resize_with(panels, PanelColumns::default);
        (self.columns, self.runs, self.has_zero_points) = (columns, runs, zero_point != 0);
        self.pair_bounds = PairBounds::default();
        for (panel, known) in self.columns_of_panel.iter_mut().enumerate() {
            let weights = &weights[panel * quads..][..quads];
            self.pair_bounds = self.pair_bounds.max(known.analyse(weights, runs)?);
            known.zero_points = [0; PANEL];
            known.zero_points[..(columns - panel * PANEL).min(PANEL)].fill(zero_point);
            known.chains = OnceLock::from(None);
            known.check_sums(weights)?;
        }
        Ok(())
    }

    /// Bytes of the packed weights of `columns` columns.
    ///
    /// # Errors
    /// If they could not be addressed.
    pub(crate) fn packed_len(columns: usize, runs: Runs) -> Result<usize> {
        Self::extents(columns, runs).map(|(panels, quads)| panels * quads * QUAD_BYTES)
    }

    /// How many panels there are, and how many quads each has.
    fn extents(columns: usize, runs: Runs) -> Result<(usize, usize)> {
        let panels = columns.div_ceil(PANEL);
        length::product("packed weight", &[panels, QUAD_BYTES, runs.count, runs.quads()])?;
        Ok((panels, runs.count * runs.quads()))
    }

    /// The packed weights, as [`from_storage`](Self::from_storage) takes them.
    pub(crate) fn storage(&self) -> &Storage {
        &self.weights
    }

    /// The weight of `column` for byte `k` of the rows' runs.
    pub(crate) fn weight(&self, column: usize, k: usize) -> i8 {
        let (run, i) = (k / self.runs.len, k % self.runs.len);
        let quads = self.quads(column / PANEL, 1);
        quads[run * self.runs.quads() + i / QUAD].0[column % PANEL * QUAD + i % QUAD]
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn panels(&self) -> usize {
        self.columns_of_panel.len()
    }

    pub(crate) fn runs(&self) -> Runs {
        self.runs
    }

    /// Bytes of the packed weights and their properties.
    pub(crate) fn byte_len(&self) -> usize {
        let of_panels: usize = self.columns_of_panel.iter().map(PanelColumns::byte_len).sum();
        size_of_val(&*self.weights) + of_panels
    }

    /// The properties of each panel's columns.
    pub(crate) fn columns_of_panel(&self) -> &[PanelColumns] {
        &self.columns_of_panel
    }

    /// How large the weights of neighbouring pairs are.
    pub(crate) fn pair_bounds(&self) -> PairBounds {
        self.pair_bounds
    }

    /// The chains of a panel, if they pay.
    pub(crate) fn chains(&self, isa: Isa, panel: usize) -> Option<&Chains> {
        let find = || isa.run_pass(FindChains { weights: self.quads(panel, 1), runs: self.runs });
        self.columns_of_panel[panel].chains.get_or_init(find).as_ref()
    }

    /// The weights of `count` panels, one after the other.
    pub(crate) fn quads(&self, panel: usize, count: usize) -> &[PanelQuad] {
        let quads = self.runs.count * self.runs.quads();
        &self.weights[panel * quads..][..count * quads]
    }

    /// Whether a weight other than 0 stands for 0.
    pub(crate) fn has_zero_points(&self) -> bool {
        self.has_zero_points
    }
}

impl PanelColumns {
    /// Sums the weights of one panel, and gives the bounds of their pairs.
    fn analyse(&mut self, weights: &[PanelQuad], runs: Runs) -> Result<PairBounds> {
        let filling = runs.padded_len() - runs.len;
        for run in weights.chunks_exact(runs.quads()) {
            let last = run.last().map_or(&[][..], |quad| quad.0.as_chunks::<QUAD>().0);
            if last.iter().any(|weights| weights[QUAD - filling..] != [0; QUAD][..filling]) {
                return Err(Error::parameter("a packed weight between two runs is not 0"));
            }
        }
        Ok(isa().run_pass(Analysis { weights, runs, run_sums: &mut self.run_sums }))
    }

    fn byte_len(&self) -> usize {
        let chains = self.chains.get().and_then(Option::as_ref);
        size_of::<Self>() + size_of_val(&*self.run_sums) + chains.map_or(0, Chains::byte_len)
    }

    /// An error unless all sums of products stay within `i32`.
    fn check_sums(&self, weights: &[PanelQuad]) -> Result<()> {
        let zero_points = self.zero_points;
        // No weight is further than 255 from its zero point.
        if weights.len() > (i32::MAX as usize / 255 / 255 / QUAD) {
            for (lane, zero_point) in zero_points.into_iter().enumerate() {
                let weights = weights.iter().flat_map(|quad| quad.0.as_chunks::<QUAD>().0[lane]);
                check_sum(weights, zero_point as i16)?;
            }
        }
        Ok(())
    }
}

/// `Ok` if there is one zero point, or one for each output channel.
pub(crate) fn check_zero_point_count(zero_points: &[i32], out_channels: usize) -> Result<()> {
    if zero_points.len() == 1 {
        return Ok(());
    }
    length::check("weight zero points", zero_points, out_channels)
}

/// The zero point of `column`, from one for all or one for each.
pub(crate) fn weight_zero_point(zero_points: &[i32], column: usize) -> Result<i16> {
    let zero_point = match zero_points {
        [zero_point] => *zero_point,
        _ => zero_points[column],
    };
    i8::try_from(zero_point)
        .map(i16::from)
        .map_err(|_| Error::parameter(format!("weight zero point {zero_point} is outside -128..=127")))
}

/// `Ok` if `sum |xq - zx| * |wq - zw|` cannot leave `i32`, whatever the activations are.
pub(crate) fn check_sum(weights: impl Iterator<Item = i8>, zero_point: i16) -> Result<()> {
    let magnitude: u64 = weights.map(|w| u64::from(i16::from(w).abs_diff(zero_point))).sum();
    if magnitude <= i32::MAX as u64 / 255 {
        Ok(())
    } else {
        Err(Error::parameter(
            "the weights of one output channel are so many that their sum could overflow 32 bits",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_packed_again_in_the_same_memory() {
        let runs = Runs { count: 1, len: 5 };
        let first = PackedMatrix::new(40, runs, &[3], |o, k| (o * 10 + k) as i8).unwrap();
        let mut packed = PackedMatrix::new(3, runs, &[0], |_, _| 100).unwrap();
        packed.repack(40, 5, 3, |quads| quads.copy_from_slice(first.quads(0, 3))).unwrap();
        assert_eq!((packed.columns(), packed.panels(), packed.has_zero_points()), (40, 3, true));
        assert_eq!(packed.pair_bounds(), first.pair_bounds());
        for (found, expected) in packed.columns_of_panel().iter().zip(first.columns_of_panel()) {
            assert_eq!((&found.run_sums, found.zero_points), (&expected.run_sums, expected.zero_points));
        }
        let message = packed.repack(1, 1, 128, |_| {}).unwrap_err().to_string();
        assert!(message.contains("zero point 128"), "{message}");
    }

    #[test]
    fn every_run_is_filled_up_to_a_quad() {
        let runs = Runs { count: 2, len: 5 };
        let packed = PackedMatrix::new(17, runs, &[0], |o, k| (o * 10 + k) as i8).unwrap();
        assert_eq!((packed.panels(), packed.runs().padded_depth()), (2, 16));
        let column = |panel: usize, lane: usize| -> Vec<i8> {
            let quads = packed.quads(panel, 1).iter();
            quads.flat_map(|quad| quad.0.as_chunks::<QUAD>().0[lane]).collect()
        };
        assert_eq!(column(0, 1), [10, 11, 12, 13, 14, 0, 0, 0, 15, 16, 17, 18, 19, 0, 0, 0]);
        assert_eq!(column(1, 0)[..5], [160_u8 as i8, 161_u8 as i8, 162_u8 as i8, 163_u8 as i8, 164_u8 as i8]);
        assert_eq!(column(1, 1), [0; 16]);
        let sums: Vec<i32> = packed.columns_of_panel()[0].run_sums.iter().map(|sums| sums[1]).collect();
        assert_eq!(sums, [(10..15).sum::<i32>(), (15..20).sum()]);
    }
}
