//! Quads whose products may be added up in 16 bits before they are widened, two at a time.
//!
//! `vpmaddubsw` leaves sums of two products in 16 bits. Activations that leave their highest bit unused, as those of
//! `reduce_range` nearly do, leave room there for the products of another quad, unless many weights of one sign are
//! large. They seldom are in both of two quads, if large ones are paired with small ones: nearly every quad finds a
//! partner.

use std::array::from_fn;
use std::ops::Range;

use crate::isa::Pass;
use crate::panel::{PANEL, PanelQuad, QUAD, Runs};

/// Chains are for activations up to one of these, the first for which they pay. `reduce_range` ends at 127 in what
/// was observed; what comes later may be larger.
const MAX_ACTIVATIONS: [u8; 3] = [159, 143, 127];

/// Partners are that close, so that activations and weights are read nearly in their order.
const WINDOW: usize = 32;

/// The pairs whose gain a quad that is in no pair costs; every run costs as much.
const WORTH_OF_SINGLE: usize = 6;

/// Sums that a quad has in 16 bits: two of each column.
const SUMS: usize = PANEL * QUAD / 2;

/// The quads of a panel in an order in which they can be multiplied two at a time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chains {
    most_activation: u8,
    pairs: Vec<[u32; 2]>,
    singles: Vec<u32>,
    pair_weights: Vec<[PanelQuad; 2]>,
    single_weights: Vec<PanelQuad>,
    /// Where the pairs and the singles of each run end.
    ends: Vec<[usize; 2]>,
}

/// The chains of some neighbouring runs, and the quads that are in none.
///
/// Each quad of activations is a distance in bytes from where those of the panel's first run would begin if all runs
/// were neighbours.
pub(crate) struct ChainsOfRuns<'a> {
    pub(crate) pairs: &'a [[u32; 2]],
    pub(crate) pair_weights: &'a [[PanelQuad; 2]],
    pub(crate) singles: &'a [u32],
    pub(crate) single_weights: &'a [PanelQuad],
}

impl Chains {
    /// Products with larger activations could leave 16 bits.
    pub(crate) fn most_activation(&self) -> u8 {
        self.most_activation
    }

    pub(crate) fn byte_len(&self) -> usize {
        size_of_val(&*self.pairs)
            + size_of_val(&*self.singles)
            + size_of_val(&*self.pair_weights)
            + size_of_val(&*self.single_weights)
            + size_of_val(&*self.ends)
    }

    pub(crate) fn quads(&self) -> usize {
        2 * self.pairs.len() + self.singles.len()
    }

    /// Runs of the packed weights.
    pub(crate) fn runs(&self) -> usize {
        self.ends.len()
    }

    #[inline(always)]
    pub(crate) fn of_runs(&self, runs: Range<usize>) -> ChainsOfRuns<'_> {
        let end = |runs: usize| runs.checked_sub(1).map_or([0; 2], |last| self.ends[last]);
        let ([pair, single], [pair_end, single_end]) = (end(runs.start), end(runs.end));
        ChainsOfRuns {
            pairs: &self.pairs[pair..pair_end],
            pair_weights: &self.pair_weights[pair..pair_end],
            singles: &self.singles[single..single_end],
            single_weights: &self.single_weights[single..single_end],
        }
    }
}

/// Finds the chains of a panel, if enough quads are in pairs for it to pay.
pub(crate) struct FindChains<'a> {
    pub(crate) weights: &'a [PanelQuad],
    pub(crate) runs: Runs,
}

impl Pass for FindChains<'_> {
    type Output = Option<Chains>;

    #[inline(always)]
    fn run(self) -> Option<Chains> {
        let most_pairs = self.weights.len() / 2;
        if WORTH_OF_SINGLE * self.runs.count >= most_pairs || u32::try_from(self.runs.padded_depth()).is_err()
        {
            return None;
        }
        MAX_ACTIVATIONS.into_iter().find_map(
            #[inline(always)]
            |most_activation| {
                let chains = self.find(most_activation);
                let costs = WORTH_OF_SINGLE * (chains.singles.len() + chains.ends.len());
                (costs < chains.pairs.len()).then_some(chains)
            },
        )
    }
}

impl FindChains<'_> {
    #[inline(always)]
    fn find(&self, most_activation: u8) -> Chains {
        let Self { weights, runs } = *self;
        let most_pairs = weights.len() / 2;
        let mut chains = Chains {
            most_activation,
            pairs: Vec::with_capacity(most_pairs),
            pair_weights: Vec::with_capacity(most_pairs),
            ..Chains::default()
        };
        for (run, quads) in weights.chunks_exact(runs.quads()).enumerate() {
            for (window, quads) in quads.chunks(WINDOW).enumerate() {
                pair((run * runs.quads() + window * WINDOW) as u32, quads, &mut chains);
            }
            chains.ends.push([chains.pairs.len(), chains.singles.len()]);
        }
        chains
    }
}

/// Pairs the quads of a window, those with the largest weights first, each with the one of the smallest that fits.
#[inline(always)]
fn pair(first: u32, quads: &[PanelQuad], chains: &mut Chains) {
    let mut halves = [[0; 2 * SUMS]; WINDOW];
    // How large each quad is, and where, in one number: so they are sorted fast.
    let mut left = [0; WINDOW];
    for (index, (quad, halves)) in quads.iter().zip(&mut halves).enumerate() {
        *halves = halves_of_sums(quad);
        let size: u32 = halves.iter().map(|&half| u32::from(half)).sum();
        left[index] = size * WINDOW as u32 + index as u32;
    }
    let index = |key: u32| key as usize % WINDOW;
    // Halves of weights of one sign, of which twice as many times the activation are in `i16`.
    let most_halves = (i16::MAX / i16::from(chains.most_activation) / 2) as u8;
    let offset = |index: usize| (first + index as u32) * QUAD as u32;
    let mut left = &mut left[..quads.len()];
    left.sort_unstable();
    while let Some((&mut largest, others)) = left.split_last_mut() {
        let of = |key: u32| &halves[index(key)];
        match others.iter().position(|&other| fit(of(largest), of(other), most_halves)) {
            Some(partner) => {
                let other = others[partner];
                let [a, b] = [index(largest), index(other)];
                let pair = [a.min(b), a.max(b)];
                chains.pairs.push(pair.map(offset));
                chains.pair_weights.push(pair.map(|index| quads[index]));
                others.copy_within(..partner, 1);
                left = &mut others[1..];
            }
            None => {
                chains.singles.push(offset(index(largest)));
                chains.single_weights.push(quads[index(largest)]);
                left = others;
            }
        }
    }
}

/// Halves, rounded up, of the sums of weights of each sign that are added up in 16 bits: at most 128.
#[inline(always)]
fn halves_of_sums(quad: &PanelQuad) -> [u8; 2 * SUMS] {
    // Two bytes as one word, then apart again: so compilers see that this is the same for all pairs.
    let words: [i16; SUMS] =
        from_fn(|i| i16::from_le_bytes([quad.0[2 * i].cast_unsigned(), quad.0[2 * i + 1].cast_unsigned()]));
    let mut halves = [0; 2 * SUMS];
    let (positive, negative) = halves.split_at_mut(SUMS);
    for ((positive, negative), word) in positive.iter_mut().zip(negative).zip(words) {
        let [w0, w1] = [word << 8 >> 8, word >> 8];
        *positive = ((w0.max(0) + w1.max(0) + 1) >> 1) as u8;
        *negative = ((1 - w0.min(0) - w1.min(0)) >> 1) as u8;
    }
    halves
}

/// Whether no halves of two quads are more than `most` together.
#[inline(always)]
fn fit(a: &[u8; 2 * SUMS], b: &[u8; 2 * SUMS], most: u8) -> bool {
    let mut excess = [0; 2 * SUMS];
    for ((excess, a), b) in excess.iter_mut().zip(a).zip(b) {
        *excess = a.saturating_add(*b).saturating_sub(most);
    }
    let (words, _) = excess.as_chunks::<16>();
    words.iter().fold(0, |any, &word| any | u128::from_ne_bytes(word)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    fn of_one_run(weights: &[[i8; PANEL * QUAD]]) -> Chains {
        let weights: Vec<_> = weights.iter().map(|&quad| PanelQuad(quad)).collect();
        let mut chains = Chains { most_activation: 127, ..Chains::default() };
        pair(0, &weights, &mut chains);
        chains
    }

    /// The largest of the sums that the quads have together.
    fn largest_together(quads: &[PanelQuad]) -> i16 {
        let sum = |place: usize, sign: i16| -> i16 {
            let weights = quads.iter().flat_map(|quad| &quad.0[2 * place..][..2]);
            weights.map(|&w| (sign * i16::from(w)).max(0)).sum()
        };
        (0..SUMS).flat_map(|place| [sum(place, 1), sum(place, -1)]).fold(0, i16::max)
    }

    #[test]
    fn every_quad_is_in_one_place_with_its_weights() {
        let runs = Runs { count: 3, len: 4 * 75 - 2 };
        // Few are large.
        let weight = |i: usize| ((i * i * 31 % 251) as i8) / if i.is_multiple_of(13) { 1 } else { 3 };
        let quads: Vec<PanelQuad> =
            (0..225).map(|quad| PanelQuad(from_fn(|byte| weight(quad * PANEL * QUAD + byte)))).collect();
        let mut isas = Isa::available().map(|isa| isa.run_pass(FindChains { weights: &quads, runs }));
        let chains = isas.next().flatten().expect("nearly all quads are in pairs");
        assert!(isas.flatten().all(|other| other.pairs == chains.pairs && other.singles == chains.singles));
        assert_eq!((chains.quads(), chains.runs()), (225, 3));
        let mut offsets = Vec::new();
        for run in 0..3 {
            let first = offsets.len();
            let ChainsOfRuns { pairs, pair_weights, singles, single_weights } = chains.of_runs(run..run + 1);
            assert_eq!((pairs.len(), singles.len()), (pair_weights.len(), single_weights.len()));
            for (pair, weights) in pairs.iter().zip(pair_weights) {
                assert!(largest_together(weights) <= i16::MAX / i16::from(chains.most_activation()));
                offsets.extend(pair.iter().copied().zip(weights.map(|quad| quad.0)));
            }
            offsets.extend(singles.iter().copied().zip(single_weights.iter().map(|quad| quad.0)));
            let of_run = &mut offsets[first..];
            of_run.sort_unstable();
            for (i, (offset, weights)) in of_run.iter().enumerate() {
                assert_eq!((*offset, weights), ((4 * (75 * run + i)) as u32, &quads[75 * run + i].0));
            }
        }
        let of_two = chains.of_runs(1..3);
        assert_eq!(2 * of_two.pairs.len() + of_two.singles.len(), 150);
    }

    #[test]
    fn few_pairs_do_not_pay() {
        let chains = |quads: &[PanelQuad], run: usize| {
            let runs = Runs { count: quads.len() / run, len: run * QUAD };
            Isa::Scalar.run_pass(FindChains { weights: quads, runs })
        };
        let [large, small] = [PanelQuad([127; 64]), PanelQuad([1; 64])];
        assert_eq!(chains(&[small; 40], 40).map(|chains| chains.most_activation()), Some(159));
        assert_eq!(chains(&[PanelQuad([55; 64]); 40], 40).map(|chains| chains.most_activation()), Some(143));
        assert!(chains(&[small; 40], 4).is_none());
        assert!(chains(&[small, large].repeat(20), 40).is_some());
        assert!(chains(&[small, large, large].repeat(20), 60).is_none());
    }

    #[test]
    fn a_large_quad_is_paired_with_a_small_one() {
        let quad = |pair: [i8; 2]| from_fn(|i| pair[i % 2]);
        let [large, small] = [quad([127, 127]), quad([2, 2])];
        assert_eq!(of_one_run(&[large, large, small, small]).pairs, [[4, 8], [0, 12]]);
        let of_128_and = |pair| of_one_run(&[quad([-128, 0]), quad(pair)]);
        assert_eq!(of_128_and([-127, -3]).pairs, [[0, 4]]);
        assert_eq!(of_128_and([-127, -4]).singles.len(), 2);
        for most in [[127, 127], [-128, -128]] {
            assert_eq!(of_one_run(&[quad(most); WINDOW]).singles.len(), WINDOW);
        }
    }
}
