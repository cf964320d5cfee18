//! The product of a pair of tiles of rows and a panel or two.

use std::arch::asm;

use super::registers::TileRegisters;
use super::rows::RowTiles;
use crate::panel::{PanelQuad, Sums};

impl TileRegisters {
    /// `sums[row][panel][column] = initial[panel][column] + sum over k of rows[row][k] * weights[panel][k][column]`
    /// for the rows of a pair.
    ///
    /// `weights` are those of one or two panels, one after the other, and `sums` is where the pair's first row starts.
    pub(crate) fn multiply(
        &self,
        rows: &RowTiles<'_>,
        pair: usize,
        weights: &[PanelQuad],
        initial: &[Sums],
        sums: &mut [Sums],
    ) {
        let panels = initial.len();
        let rows_of_pair = rows.rows_of_pair(pair);
        let (pair, steps) = rows.pair(pair);
        assert!(self.shape() == rows.shape() && !steps.is_empty());
        assert!(weights.len() == panels * rows.quads_of_panel());
        assert!(sums.len() == panels * rows_of_pair.len());
        let second = &mut sums[(pair.first_rows[1] - pair.first_rows[0]) * panels..];
        let second = second.as_mut_ptr();
        let first = sums.as_mut_ptr();
        // Each step is three words: the activations of both tiles, and how far the weights are from the first ones of
        // their panel.
        match panels {
            // SAFETY: the registers have the shape of the tiles, and the activations of each step can be read in it.
            // The weights of a step are quads of a panel. `sums` has room for all rows from the first one of either
            // tile on, and `initial` is as long as a row of them. Nothing relies on the tile registers' contents.
            1 => unsafe {
                asm!(
                    "tileloadd tmm0, [{address}]",
                    "tileloadd tmm2, [{address}]",
                    "2:",
                    "mov {address}, [{step}]",
                    "tileloadd tmm4, [{address} + {stride0}]",
                    "mov {address}, [{step} + 16]",
                    "add {address}, {weights}",
                    "tileloadd tmm6, [{address} + {line}]",
                    "tdpbusd tmm0, tmm4, tmm6",
                    "mov {address}, [{step} + 8]",
                    "tileloadd tmm5, [{address} + {stride1}]",
                    "tdpbusd tmm2, tmm5, tmm6",
                    "add {step}, 24",
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{first} + {line}], tmm0",
                    "tilestored [{second} + {line}], tmm2",
                    address = inout(reg) initial.as_ptr() => _,
                    step = inout(reg) steps.as_ptr() => _,
                    steps = inout(reg) steps.len() => _,
                    stride0 = in(reg) pair.strides[0],
                    stride1 = in(reg) pair.strides[1],
                    weights = in(reg) weights.as_ptr(),
                    line = in(reg) size_of::<PanelQuad>(),
                    first = in(reg) first,
                    second = in(reg) second,
                    out("tmm0") _, out("tmm2") _, out("tmm4") _, out("tmm5") _, out("tmm6") _,
                    options(nostack),
                );
            },
            // SAFETY: as above; the second panel's weights lie behind the first one's.
            2 => unsafe {
                asm!(
                    "tileloadd tmm0, [{address}]",
                    "tileloadd tmm1, [{address} + 64]",
                    "tileloadd tmm2, [{address}]",
                    "tileloadd tmm3, [{address} + 64]",
                    "2:",
                    "mov {address}, [{step}]",
                    "tileloadd tmm4, [{address} + {stride0}]",
                    "mov {address}, [{step} + 16]",
                    "add {address}, {weights}",
                    "tileloadd tmm6, [{address} + {line}]",
                    "tdpbusd tmm0, tmm4, tmm6",
                    "add {address}, {panel}",
                    "tileloadd tmm7, [{address} + {line}]",
                    "tdpbusd tmm1, tmm4, tmm7",
                    "mov {address}, [{step} + 8]",
                    "tileloadd tmm5, [{address} + {stride1}]",
                    "tdpbusd tmm2, tmm5, tmm6",
                    "tdpbusd tmm3, tmm5, tmm7",
                    "add {step}, 24",
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{first} + 2*{line}], tmm0",
                    "tilestored [{first} + 2*{line} + 64], tmm1",
                    "tilestored [{second} + 2*{line}], tmm2",
                    "tilestored [{second} + 2*{line} + 64], tmm3",
                    address = inout(reg) initial.as_ptr() => _,
                    step = inout(reg) steps.as_ptr() => _,
                    steps = inout(reg) steps.len() => _,
                    stride0 = in(reg) pair.strides[0],
                    stride1 = in(reg) pair.strides[1],
                    weights = in(reg) weights.as_ptr(),
                    panel = in(reg) size_of_val(weights) / 2,
                    line = in(reg) size_of::<PanelQuad>(),
                    first = in(reg) first,
                    second = in(reg) second,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            },
            _ => unreachable!("the sums of one or two panels"),
        }
    }
}
