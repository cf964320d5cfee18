//! Sums of a depthwise convolution: every output channel looks at one input channel.
//!
//! Sixteen output channels at a time; taps come in pairs, so that one `vpmaddwd` multiplies both.

use super::Sums;
use crate::gemm::PANEL;
use crate::isa::Isa;

/// The offset of a tap in the padding: beyond any input, also with a channel added.
pub(crate) const PADDING: usize = isize::MAX as usize;

/// Centred weights of two neighbouring taps for each channel of a block.
pub(crate) type TapPair = [[i16; 2]; PANEL];

/// Sixteen output channels of some output pixels.
#[derive(Clone, Copy)]
pub(crate) struct DepthwiseBlock<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) zero_point: u8,
    /// For each output pixel, where the input pixel of each tap starts, or [`PADDING`].
    pub(crate) taps: &'a [[usize; 2]],
    pub(crate) weights: &'a [TapPair],
    /// The first output channel.
    pub(crate) channel: usize,
    /// Output channels of an input channel.
    pub(crate) multiplier: usize,
}

impl DepthwiseBlock<'_> {
    /// The sixteen input bytes of the tap at `offset`, where they are neighbours in memory. Those of
    /// channels that do not exist are arbitrary, their weights are 0.
    #[inline(always)]
    pub(super) fn neighbours(&self, offset: usize) -> Option<&[u8; PANEL]> {
        // No division here, it would cost more than all the rest.
        if self.multiplier == 1 { self.input.get(offset + self.channel..)?.first_chunk() } else { None }
    }

    /// The same at the end of the input, and where output channels share an input channel.
    #[inline(never)]
    pub(super) fn gather(&self, offset: usize) -> [u8; PANEL] {
        std::array::from_fn(|lane| {
            let channel = (self.channel + lane) / self.multiplier;
            self.input.get(offset + channel).copied().unwrap_or(self.zero_point)
        })
    }
}

/// `sums[p][c] = sum over taps of (xq - zx) * w[tap][c]` for each output pixel.
pub(crate) fn sum_block(isa: Isa, block: &DepthwiseBlock<'_>, sums: &mut [Sums]) {
    assert_eq!(block.taps.len(), sums.len() * block.weights.len());
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = isa.avx2() {
        return super::avx2::sum_block(avx2, block, sums);
    }
    sum_block_generic(block, sums);
}

fn sum_block_generic(block: &DepthwiseBlock<'_>, sums: &mut [Sums]) {
    let zero_point = i16::from(block.zero_point);
    for (sums, taps) in sums.iter_mut().zip(block.taps.chunks_exact(block.weights.len())) {
        let mut total = [0; PANEL];
        for (offsets, weights) in taps.iter().zip(block.weights) {
            let [first, second] = offsets.map(|offset| match block.neighbours(offset) {
                Some(bytes) => *bytes,
                None if offset == PADDING => [block.zero_point; PANEL],
                None => block.gather(offset),
            });
            let mut centred: TapPair = [[0; 2]; PANEL];
            for ((pair, &first), &second) in centred.iter_mut().zip(&first).zip(&second) {
                *pair = [first, second].map(|q| i16::from(q).wrapping_sub(zero_point));
            }
            for ((sum, a), w) in total.iter_mut().zip(&centred).zip(weights) {
                let product = |tap: usize| i32::from(a[tap]) * i32::from(w[tap]);
                *sum = i32::wrapping_add(*sum, product(0).wrapping_add(product(1)));
            }
        }
        *sums = total;
    }
}
