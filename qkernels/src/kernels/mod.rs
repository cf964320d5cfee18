//! The micro-kernels, one folder for each instruction set.

/// Methods of a proof that are an intrinsic or a few.
#[cfg(target_arch = "x86_64")]
macro_rules! intrinsics {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $body:expr;)+) => {$(
        #[inline(always)]
        fn $name(self, $($argument: $type),*) -> $result {
            // SAFETY: the proof `self` exists only where the instructions were detected; what is read or
            // written is a whole array.
            unsafe { $body }
        }
    )+};
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
mod depthwise;
mod dot;
mod dot_rows;
pub(crate) mod float;
mod generic;
mod lookup;
mod maps;
mod narrow;
#[cfg(target_arch = "x86_64")]
mod requantize;
mod transpose;
pub(crate) mod weight_only;

use std::ops::Range;

use crate::isa::Isa;
use crate::operands::{LargeQuad, LocatedRows, PairBounds};
use crate::panel::{PANEL, PanelQuad, QUAD, Runs, Sums};

pub(crate) use depthwise::{DepthwiseKernel, DepthwiseRow, MAX_PANELS, TapLanes, TapRows};
pub(crate) use dot::{Products, Tile};
pub(crate) use dot_rows::{COLUMN_ALIGNMENT, MAX_COLUMNS, dot_rows};
pub(crate) use lookup::look_up;
pub(crate) use maps::{BinaryMap, ChannelMap, MAX_ROUNDED, Operation, Rounding, map_channels, map_pairs};
pub(crate) use narrow::{
    NarrowRow, NarrowWeights, gather_rows, multiplies_bytes as narrow_multiplies_bytes, repeat_lanes,
};
pub(crate) use transpose::{Matrix, TILE, TransposeTile, transpose};

/// The kernel for weights of these bounds, for reports: the instruction set, and where it matters the width of
/// the integers.
pub(crate) fn name(isa: Isa, mut bounds: impl Iterator<Item = PairBounds>) -> String {
    if sums_in_16_bits(isa) && bounds.any(|bounds| bounds.can_saturate([u8::MAX; 2])) {
        return format!("{isa}, 8 bits with corrections, 16 if they are many");
    }
    match isa {
        Isa::Scalar => format!("{isa}, 16 bits"),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(_) => format!("{isa}, 8 bits"),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(_) | Isa::Avx512Vnni(_) | Isa::Amx(..) => isa.to_string(),
    }
}

/// Rows of a tile of several panels; tiles with fewer have one panel only.
pub(crate) const MIN_ROWS_OF_PANELS: usize = 4;

/// The sums that a micro-kernel of bytes holds in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TileSize {
    pub(crate) rows: usize,
    pub(crate) panels: usize,
}

impl TileSize {
    /// The largest tile of any instruction set.
    pub(crate) const MAX_SUMS: usize = 24;

    /// The tile for [`Products::Chains`], if `isa` has a use for them.
    pub(crate) fn of_chains(isa: Isa) -> Option<Self> {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => Some(avx2::CHAINS_TILE),
            _ => None,
        }
    }

    /// The tile of `isa`, if it multiplies bytes.
    pub(crate) fn of(isa: Isa) -> Option<Self> {
        match isa {
            Isa::Scalar => None,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) | Isa::AvxVnni(_) => Some(avx2::TILE),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni(_) | Isa::Amx(..) => Some(avx512::TILE),
        }
    }
}

/// Whether products of bytes are added up in 16 bits before they are widened.
pub(crate) fn sums_in_16_bits(isa: Isa) -> bool {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(_) => true,
        _ => false,
    }
}

/// Appends the quads of `row` of which a pair [`can_saturate`](PairBounds::can_saturate).
pub(crate) fn find_large_quads(
    isa: Isa,
    located: &LocatedRows<'_>,
    row: usize,
    bounds: PairBounds,
    found: &mut Vec<LargeQuad>,
) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::find_large_quads(proof, located, row, bounds, found),
        _ => {
            let _ = (located, row, bounds, found);
            unreachable!("nothing saturates")
        }
    }
}

/// Adds the losses of saturated products to the sums of a row with a panel.
pub(crate) fn add_lost(isa: Isa, large: &[LargeQuad], weights: &[PanelQuad], sums: &mut Sums) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::add_lost(proof, large, weights, sums),
        _ => {
            let _ = (large, weights, sums);
            unreachable!("nothing saturates")
        }
    }
}

/// `sums[row][panel][column] = initial[panel][column] + sum over k of rows[row][k] * weights[panel][k][column]`.
///
/// The tile is no larger than [`TileSize`] says, and of several panels only with [`MIN_ROWS_OF_PANELS`] or more. What
/// [saturates](PairBounds::can_saturate) in pairs, [`add_lost`] corrects.
pub(crate) fn multiply_tile(isa: Isa, tile: &Tile<'_>, sums: &mut [Sums]) {
    match isa {
        Isa::Scalar => tile.multiply(sums),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::multiply_tile(proof, tile, sums),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::multiply_tile_vnni(proof, tile, sums),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni(proof) | Isa::Amx(proof, _) => avx512::multiply_tile(proof, tile, sums),
    }
}

/// Activations of a run that [`multiply_words`] multiplies: pairs of them, not whole quads.
pub(crate) fn words_of_run(runs: Runs) -> usize {
    runs.len.next_multiple_of(2)
}

/// The activations of `rows` as [`multiply_words`] takes them, `[rows][runs][words]`.
pub(crate) fn widen_rows<'w>(
    isa: Isa,
    located: &LocatedRows<'_>,
    rows: Range<usize>,
    words: &'w mut Vec<i16>,
) -> &'w [i16] {
    let runs = located.runs();
    let len = rows.len() * runs.count * words_of_run(runs);
    // The last run may be written in whole quads.
    words.resize(len + QUAD, 0);
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = isa.avx2() {
        avx2::widen_rows(avx2, located, rows, words);
        return &words[..len];
    }
    let _ = isa;
    generic::widen_rows(located, rows, words);
    &words[..len]
}

/// The weights of a panel as [`multiply_words`] takes them, in an order of the instruction set.
pub(crate) fn widen_panel<'w>(
    isa: Isa,
    quads: &[PanelQuad],
    runs: Runs,
    words: &'w mut Vec<i16>,
) -> &'w [i16] {
    assert_eq!(quads.len(), runs.count * runs.quads());
    let len = runs.count * words_of_run(runs) * PANEL;
    words.resize(len + QUAD * PANEL, 0);
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = isa.avx2() {
        avx2::widen_panel(avx2, quads, runs, words);
        return &words[..len];
    }
    let _ = isa;
    generic::widen_panel(quads, runs, &mut words[..len]);
    &words[..len]
}

/// `sums[row][column] = initial[column] + sum over k of rows[row][k] * panel[k][column]`, 16 bits wide.
///
/// `rows` are activations, as many rows as `sums`, each as long as the panel is deep.
pub(crate) fn multiply_words(isa: Isa, rows: &[i16], panel: &[i16], initial: &Sums, sums: &mut [Sums]) {
    assert_eq!(rows.len() * PANEL, sums.len() * panel.len());
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = isa.avx2() {
        return avx2::multiply_words(avx2, rows, panel, initial, sums);
    }
    let _ = isa;
    generic::multiply_words(rows, panel, initial, sums);
}
