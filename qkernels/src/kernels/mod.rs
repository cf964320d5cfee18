//! The micro-kernels, one file for each instruction set.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
mod depthwise;
mod generic;

use crate::gemm::{PANEL, Panel, QUAD};
use crate::isa::Isa;

pub(crate) use depthwise::{DepthwiseBlock, PADDING, TapPair, sum_block};

/// Sums of one row with the columns of a panel.
pub(crate) type Sums = [i32; PANEL];

/// What multiplies, for reports: the instruction set, and the width of the integers it multiplies.
pub(crate) fn name(isa: Isa) -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if isa.avx2().is_some() {
        return "avx2, 16 bits";
    }
    let _ = isa;
    "scalar, 16 bits"
}

/// `sums[r][c] = sum over k of rows[r][k] * (w[k][c] - zw[c])`, exactly.
///
/// `rows` holds centred activations of magnitude at most 255, as many rows as `sums`, each as long as
/// the panel is deep; `widened` is a buffer.
pub(crate) fn multiply_panel(
    isa: Isa,
    rows: &[i16],
    panel: Panel<'_>,
    widened: &mut Vec<i16>,
    sums: &mut [Sums],
) {
    assert_eq!(rows.len(), sums.len() * panel.quads.len() * QUAD);
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = isa.avx2() {
        return avx2::multiply_panel(avx2, rows, panel, widened, sums);
    }
    generic::multiply_panel(rows, panel, widened, sums);
}

/// `values[i] = input[i] - zero_point`, for slices of equal length.
#[inline]
pub(crate) fn center(isa: Isa, input: &[u8], zero_point: u8, values: &mut [i16]) {
    let zero_point = i16::from(zero_point);
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = isa.avx2() {
        return avx2::center(avx2, input, zero_point, values);
    }
    for (value, &q) in values.iter_mut().zip(input) {
        *value = i16::from(q).wrapping_sub(zero_point);
    }
}
