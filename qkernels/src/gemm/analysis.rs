//! Properties of the weights of a panel: sums of columns, and how large neighbouring weights are together.
//!
//! Every load of a model reads all its weights here once, so this has to go at the speed of memory.

use std::array::from_fn;

use crate::isa::Pass;
use crate::operands::PairBounds;
use crate::panel::{PANEL, PanelQuad, QUAD, Runs, Sums};

/// Bytes, and pairs of them, in a quad.
const BYTES: usize = PANEL * QUAD;
const PAIRS: usize = BYTES / 2;

/// Quads whose bytes add up in 16 bits.
const QUADS_IN_16_BITS: usize = 128;

/// Looks at the weights of one panel.
pub(super) struct Analysis<'a> {
    pub(super) weights: &'a [PanelQuad],
    pub(super) runs: Runs,
    /// Gets the sums of each column, one for each run.
    pub(super) run_sums: &'a mut Vec<Sums>,
}

impl Pass for Analysis<'_> {
    /// How large neighbours are.
    type Output = PairBounds;

    #[inline(always)]
    fn run(self) -> PairBounds {
        self.run_sums.clear();
        let mut pairs = Pairs { single: [0; PAIRS], both: [0; PAIRS] };
        for run in self.weights.chunks_exact(self.runs.quads()) {
            let mut sums: Sums = [0; PANEL];
            for quads in run.chunks(QUADS_IN_16_BITS) {
                let mut bytes = [0_i16; BYTES];
                for PanelQuad(quad) in quads {
                    for (sum, &weight) in bytes.iter_mut().zip(quad) {
                        *sum += i16::from(weight);
                    }
                    pairs.look_at(quad);
                }
                for (sum, bytes) in sums.iter_mut().zip(bytes.as_chunks::<QUAD>().0) {
                    *sum += bytes.iter().map(|&byte| i32::from(byte)).sum::<i32>();
                }
            }
            self.run_sums.push(sums);
        }
        pairs.bounds()
    }
}

/// The largest magnitudes at each of the places that a pair has in a quad.
struct Pairs {
    single: [i16; PAIRS],
    both: [i16; PAIRS],
}

impl Pairs {
    #[inline(always)]
    fn look_at(&mut self, quad: &[i8; BYTES]) {
        // Two bytes as one word, then apart again: so compilers see that this is the same for all pairs.
        let words: [i16; PAIRS] = from_fn(|pair| {
            i16::from_le_bytes([quad[2 * pair].cast_unsigned(), quad[2 * pair + 1].cast_unsigned()])
        });
        for ((single, both), word) in self.single.iter_mut().zip(&mut self.both).zip(words) {
            let [w0, w1] = [word << 8 >> 8, word >> 8];
            *single = (*single).max(w0.max(-w0)).max(w1.max(-w1));
            *both = (*both).max(w0.max(0) + w1.max(0)).max((-w0).max(0) + (-w1).max(0));
        }
    }

    fn bounds(&self) -> PairBounds {
        let largest = |magnitudes: &[i16; PAIRS]| magnitudes.iter().copied().fold(0, i16::max);
        // At most 128 and 256.
        PairBounds::new(largest(&self.single) as u8, largest(&self.both) as u16)
    }
}

#[cfg(test)]
impl PairBounds {
    /// Of the pairs of some quads.
    pub(crate) fn of(quads: &[PanelQuad]) -> Self {
        let mut pairs = Pairs { single: [0; PAIRS], both: [0; PAIRS] };
        quads.iter().for_each(|quad| pairs.look_at(&quad.0));
        pairs.bounds()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    #[test]
    fn every_instruction_set_sees_the_same() {
        let runs = Runs { count: 3, len: 4 * 300 };
        let weight = |i: usize| (i * i * 31 % 251) as u8;
        let quads: Vec<PanelQuad> = (0..900)
            .map(|quad| {
                PanelQuad(from_fn(|byte| weight(quad * BYTES + byte).cast_signed() / (1 + quad % 3) as i8))
            })
            .collect();
        let mut sums = vec![[0; PANEL]; 3];
        let (mut single, mut both) = (0, 0);
        for (index, quad) in quads.iter().enumerate() {
            for (byte, &w) in quad.0.iter().enumerate() {
                sums[index / 300][byte / QUAD] += i32::from(w);
            }
            for [a, b] in quad.0.as_chunks::<2>().0.iter().map(|pair| pair.map(i16::from)) {
                single = single.max(a.abs()).max(b.abs());
                both = both.max((a.max(0) + b.max(0)).max(-(a.min(0) + b.min(0))));
            }
        }
        for isa in Isa::available() {
            let mut run_sums = vec![[9; PANEL]];
            let found = isa.run_pass(Analysis { weights: &quads, runs, run_sums: &mut run_sums });
            let bounds = PairBounds::new(single as u8, both as u16);
            assert_eq!((&run_sums, found), (&sums, bounds), "{isa}");
        }
    }
}
