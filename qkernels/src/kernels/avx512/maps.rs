//! Functions of bytes by way of floats.

use crate::isa::Avx512Vnni;
use crate::kernels::maps::{self, BinaryMap, ChannelMap};

/// [`map_pairs`](crate::kernels::map_pairs) on this instruction set.
pub(crate) fn map_pairs(proof: Avx512Vnni, map: &BinaryMap, a: &[u8], b: &[u8], output: &mut [u8]) {
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
    fn with_features(proof: Avx512Vnni, map: &BinaryMap, a: &[u8], b: &[u8], output: &mut [u8]) {
        maps::map_pairs_with(proof, map, a, b, output);
    }
    // SAFETY: the proof exists only where these instructions were detected.
    unsafe { with_features(proof, map, a, b, output) }
}

/// [`map_channels`](crate::kernels::map_channels) on this instruction set.
pub(crate) fn map_channels(proof: Avx512Vnni, map: &ChannelMap<'_>, input: &[u8], output: &mut [u8]) {
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
    fn with_features(proof: Avx512Vnni, map: &ChannelMap<'_>, input: &[u8], output: &mut [u8]) {
        maps::map_channels_with(proof, map, input, output);
    }
    // SAFETY: the proof exists only where these instructions were detected.
    unsafe { with_features(proof, map, input, output) }
}
