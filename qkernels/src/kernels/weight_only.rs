//! Products of a row of activations with a panel of weights that are packed in 8 or 4 bits.

use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::isa::Isa;
use crate::panel::PANEL;
use crate::weight_only::WeightBits;

/// Neighbouring activations with one scale, whose weights have one scale, too.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) inputs: Range<usize>,
    /// Where it is among the activations that are filled up.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The weights of some outputs.
pub(crate) struct Panel<'a> {
    pub(crate) bits: WeightBits,
    pub(crate) blocks: &'a [Block],
    /// `[words of a row][PANEL]` words of unsigned weights.
    pub(crate) bytes: &'a [u8],
    /// Of each block.
    pub(crate) scales: &'a [[f32; PANEL]],
}

/// A row of activations in steps.
pub(crate) struct Activations<'a> {
    /// Filled up to whole blocks.
    pub(crate) values: &'a [i16],
    /// Of each block how large a step is.
    pub(crate) scales: &'a [f32],
    /// Of each block the sum of its steps.
    pub(crate) sums: &'a [i32],
}

impl Panel<'_> {
    /// The words of a block and its activations, pairs of them.
    ///
    /// # Panics
    /// If the block is not of this panel or the activations are others'.
    #[inline(always)]
    pub(crate) fn block<'a>(
        &'a self,
        block: &Block,
        activations: &'a Activations<'_>,
    ) -> (&'a [[u8; 4 * PANEL]], &'a [[i16; 2]]) {
        let of_word = self.bits.of_word();
        let words = &self.bytes.as_chunks().0[block.start / of_word..block.end / of_word];
        let pairs = activations.values[block.start..block.end].as_chunks().0;
        assert_eq!(words.len() * of_word, 2 * pairs.len());
        (words, pairs)
    }

    /// What the sums of a block have too much, as weights are unsigned.
    #[inline(always)]
    pub(crate) fn excess(&self, sum: i32) -> i32 {
        sum * self.bits.offset()
    }
}

/// Of each output the sum over blocks of `scale * step * sum of products`.
pub(crate) fn multiply_panel(isa: Isa, panel: &Panel<'_>, activations: &Activations<'_>) -> [f32; PANEL] {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni(proof) | Isa::Amx(proof, _) => {
            avx512::multiply_weight_only(proof, panel, activations)
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::multiply_weight_only(proof, panel, activations),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::multiply_weight_only(proof.avx2(), panel, activations),
        Isa::Scalar => multiply(panel, activations),
    }
}

/// [`multiply_panel`] as it is defined.
fn multiply(panel: &Panel<'_>, activations: &Activations<'_>) -> [f32; PANEL] {
    let (of_word, mask) = (panel.bits.of_word(), 2 * panel.bits.offset() - 1);
    let mut totals = [0.0_f32; PANEL];
    for (index, block) in panel.blocks.iter().enumerate() {
        let (words, pairs) = panel.block(block, activations);
        let mut sums = [0_i32; PANEL];
        for (words, pairs) in words.iter().zip(pairs.chunks_exact(of_word / 2)) {
            for (sum, word) in sums.iter_mut().zip(words.as_chunks().0) {
                let word = u32::from_le_bytes(*word);
                for (i, &[a, b]) in pairs.iter().enumerate() {
                    let halves = (word >> (i * 32 / of_word)).cast_signed();
                    *sum += (halves & mask) * i32::from(a) + ((halves >> 16) & mask) * i32::from(b);
                }
            }
        }
        let (scale, excess) = (activations.scales[index], panel.excess(activations.sums[index]));
        for ((total, sum), weight_scale) in totals.iter_mut().zip(sums).zip(panel.scales[index]) {
            *total = ((sum - excess) as f32 * scale).mul_add(weight_scale, *total);
        }
    }
    totals
}
