//! Functions of bytes by way of floats.

use crate::isa::Avx2;
use crate::kernels::maps::{self, BinaryMap, ChannelMap};

/// [`map_pairs`](crate::kernels::map_pairs) on this instruction set.
pub(crate) fn map_pairs(proof: Avx2, map: &BinaryMap, a: &[u8], b: &[u8], output: &mut [u8]) {
    #[target_feature(enable = "avx2")]
    fn with_features(proof: Avx2, map: &BinaryMap, a: &[u8], b: &[u8], output: &mut [u8]) {
        maps::map_pairs_with(proof, map, a, b, output);
    }
    // SAFETY: the proof exists only where these instructions were detected.
    unsafe { with_features(proof, map, a, b, output) }
}

/// [`map_channels`](crate::kernels::map_channels) on this instruction set.
pub(crate) fn map_channels(proof: Avx2, map: &ChannelMap<'_>, input: &[u8], output: &mut [u8]) {
    #[target_feature(enable = "avx2")]
    fn with_features(proof: Avx2, map: &ChannelMap<'_>, input: &[u8], output: &mut [u8]) {
        maps::map_channels_with(proof, map, input, output);
    }
    // SAFETY: the proof exists only where these instructions were detected.
    unsafe { with_features(proof, map, input, output) }
}
