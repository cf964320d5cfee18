//! How large neighbouring weights are, and the activations whose products with them could saturate in 16 bits.

use crate::panel::QUAD;

/// How large the weights of neighbouring pairs are; only those of one sign add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PairBounds {
    /// No weight is of larger magnitude: at most 128.
    single: u8,
    /// No two neighbours of one sign are of larger magnitude together: at most twice `single`.
    both: u16,
}

impl PairBounds {
    pub(crate) fn new(single: u8, both: u16) -> Self {
        Self { single, both }
    }

    /// Of the weights of both.
    pub(crate) fn max(self, other: Self) -> Self {
        Self { single: self.single.max(other.single), both: self.both.max(other.both) }
    }

    /// By how much the magnitudes of two can be larger together than that of one.
    fn second(self) -> u8 {
        (self.both - u16::from(self.single)) as u8
    }

    /// Whether the products of a pair could leave `i16`.
    pub(crate) fn can_saturate(self, [x0, x1]: [u8; 2]) -> bool {
        let [single, second] = [self.single, self.second()].map(u32::from);
        let [most, least] = [x0.max(x1), x0.min(x1)].map(u32::from);
        single * most + second * least > i16::MAX as u32
    }

    /// The weights of a pair that saturates if any does, with either of its activations the larger one.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn worst_pairs(self) -> [[i8; 2]; 2] {
        let [single, second] = [self.single, self.second()].map(|w| 0_i8.wrapping_sub_unsigned(w));
        [[single, second], [second, single]]
    }
}

/// Four activations of a row, of which a pair could saturate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LargeQuad {
    pub(crate) activations: [u8; QUAD],
    /// The quad of a panel that they are multiplied with.
    pub(crate) index: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panel::{PANEL, PanelQuad};

    fn bounds(pair: [i8; 2]) -> PairBounds {
        let mut quad = PanelQuad([0; PANEL * QUAD]);
        quad.0[14..16].copy_from_slice(&pair);
        PairBounds::of(&[quad])
    }

    #[test]
    fn only_pairs_of_one_sign_add_up() {
        assert_eq!(bounds([-128, 127]), PairBounds { single: 128, both: 128 });
        assert_eq!(bounds([-128, -128]), PairBounds { single: 128, both: 256 });
        assert_eq!(bounds([3, 100]), PairBounds { single: 100, both: 103 });
        assert_eq!(bounds([0, 0]), PairBounds { single: 0, both: 0 });
    }

    #[test]
    fn a_pair_can_saturate_if_some_order_of_the_weights_leaves_sixteen_bits() {
        for pair in [[127, 127], [127, 2], [100, 90], [-127, -60], [-128, -128], [64, 64], [0, 0]] {
            let bounds = bounds(pair);
            for x0 in 0..=255 {
                for x1 in 0..=255 {
                    let product = |x: u8, w: i8| i32::from(x) * i32::from(w);
                    // Nor is -32768 allowed.
                    let leaves = |a, b| i16::try_from((product(x0, a) + product(x1, b)).abs()).is_err();
                    let any = leaves(pair[0], pair[1]) || leaves(pair[1], pair[0]);
                    assert_eq!(bounds.can_saturate([x0, x1]), any, "{x0} {x1} {pair:?}");
                }
            }
        }
    }
}
