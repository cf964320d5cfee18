//! The product of a pair of tiles of rows and a panel or two.

use std::arch::asm;

use super::registers::TileRegisters;
use super::rows::{Pair, RowTiles, Step};
use crate::panel::{PanelQuad, Sums};

impl TileRegisters {
    /// `sums[row][panel][column] = initial[panel][column] + sum over k of rows[row][k] * weights[panel][k][column]`
    /// for the rows of a pair and the panel `first_panel`, with the next one if there is one.
    ///
    /// `weights` are those of the panels, one after the other, and `sums` is where the pair's first row starts.
    pub(crate) fn multiply(
        &self,
        rows: &RowTiles<'_>,
        pair: usize,
        first_panel: usize,
        weights: &[PanelQuad],
        initial: &[Sums],
        sums: &mut [Sums],
    ) {
        let panels = initial.len();
        let rows_of_pair = rows.rows_of_pair(pair);
        let (pair, steps) = rows.pair(pair);
        assert!(self.shape() == rows.shape() && !steps.is_empty());
        assert!(weights.len() == panels * rows.quads_of_panel());
        assert!(sums.len() == panels * rows_of_pair.len() && first_panel < panels);
        let second_row = pair.first_rows[1] - pair.first_rows[0];
        let sums = sums.as_mut_ptr();
        let operands = Operands {
            pair,
            steps,
            weights: &weights[first_panel * rows.quads_of_panel()..],
            panel_len: rows.quads_of_panel() * size_of::<PanelQuad>(),
            initial: &initial[first_panel..],
            sums: [0, second_row].map(|row| sums.wrapping_add(row * panels + first_panel)),
            sums_stride: size_of_val(initial),
        };
        match panels - first_panel {
            // SAFETY: the registers have the shape of the tiles, and the activations of each step can be read in it.
            // The weights of a step are quads of a panel, of which there is one. `sums` has room for all rows of the
            // pair.
            1 => unsafe { multiply_panel(operands) },
            // SAFETY: as above, of two panels.
            _ => unsafe { multiply_two_panels(operands) },
        }
    }
}

impl TileRegisters {
    /// Multiplies what is in the registers, four pairs of tiles so many times, once at least: for a measurement.
    pub(crate) fn multiply_themselves(&self, times: usize) {
        // SAFETY: the registers are configured, and nothing relies on their contents.
        unsafe {
            asm!(
                "2:",
                "tdpbusd tmm0, tmm4, tmm6",
                "tdpbusd tmm1, tmm4, tmm7",
                "tdpbusd tmm2, tmm5, tmm6",
                "tdpbusd tmm3, tmm5, tmm7",
                "dec {times}",
                "jnz 2b",
                times = inout(reg) times.max(1) => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                options(nomem, nostack),
            );
        }
    }
}

/// A pair of tiles and a panel or two.
struct Operands<'a> {
    pair: Pair,
    steps: &'a [Step],
    /// Those of the panels, and others.
    weights: &'a [PanelQuad],
    /// Bytes of a panel.
    panel_len: usize,
    initial: &'a [Sums],
    /// Where those of each tile start.
    sums: [*mut Sums; 2],
    /// From a row to the next one, in bytes.
    sums_stride: usize,
}

// A step is three words: where the activations of both tiles are, and how far the weights are from the first ones of
// their panel.

/// # Safety
/// The tile registers are configured, the operands can be read and the sums written in their shape.
unsafe fn multiply_panel(operands: Operands<'_>) {
    let Operands { pair, steps, weights, initial, sums, sums_stride, .. } = operands;
    // SAFETY: the caller answers for the operands. Nothing relies on what tile registers held before, or hold after.
    unsafe {
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
            "tilestored [{sums0} + {sums_stride}], tmm0",
            "tilestored [{sums1} + {sums_stride}], tmm2",
            address = inout(reg) initial.as_ptr() => _,
            step = inout(reg) steps.as_ptr() => _,
            steps = inout(reg) steps.len() => _,
            stride0 = in(reg) pair.strides[0],
            stride1 = in(reg) pair.strides[1],
            weights = in(reg) weights.as_ptr(),
            line = in(reg) size_of::<PanelQuad>(),
            sums0 = in(reg) sums[0],
            sums1 = in(reg) sums[1],
            sums_stride = in(reg) sums_stride,
            out("tmm0") _, out("tmm2") _, out("tmm4") _, out("tmm5") _, out("tmm6") _,
            options(nostack),
        );
    }
}

/// # Safety
/// As for [`multiply_panel`], with a second panel.
unsafe fn multiply_two_panels(operands: Operands<'_>) {
    let Operands { pair, steps, weights, panel_len, initial, sums, sums_stride } = operands;
    // SAFETY: as above.
    unsafe {
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
            "add {address}, {panel_len}",
            "tileloadd tmm7, [{address} + {line}]",
            "tdpbusd tmm1, tmm4, tmm7",
            "mov {address}, [{step} + 8]",
            "tileloadd tmm5, [{address} + {stride1}]",
            "tdpbusd tmm2, tmm5, tmm6",
            "tdpbusd tmm3, tmm5, tmm7",
            "add {step}, 24",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{sums0} + {sums_stride}], tmm0",
            "tilestored [{sums0} + {sums_stride} + 64], tmm1",
            "tilestored [{sums1} + {sums_stride}], tmm2",
            "tilestored [{sums1} + {sums_stride} + 64], tmm3",
            address = inout(reg) initial.as_ptr() => _,
            step = inout(reg) steps.as_ptr() => _,
            steps = inout(reg) steps.len() => _,
            stride0 = in(reg) pair.strides[0],
            stride1 = in(reg) pair.strides[1],
            weights = in(reg) weights.as_ptr(),
            panel_len = in(reg) panel_len,
            line = in(reg) size_of::<PanelQuad>(),
            sums0 = in(reg) sums[0],
            sums1 = in(reg) sums[1],
            sums_stride = in(reg) sums_stride,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
