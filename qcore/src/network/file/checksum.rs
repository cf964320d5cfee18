//! The checksum of headers and tensors.

const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// Guards against a disk's or a copy's flipped bits, not against intent: four chains of multiplications by an odd
/// number, so that no change of a single word can be missed.
///
/// Word `i` of 64 bits, little-endian, goes into chain `i % 4`, which begins with `i % 4 + 1`: `(chain ^ word) * FACTOR`.
/// What is left at the end goes into a fifth, which begins with the length, byte by byte; the four are then mixed into
/// it one after the other, `((sum ^ chain) * FACTOR).rotate_left(29)`. The words are those of whole blocks of 32 bytes.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    let mut chains = [1_u64, 2, 3, 4];
    let (blocks, rest) = bytes.as_chunks::<32>();
    for block in blocks {
        for (chain, word) in chains.iter_mut().zip(block.as_chunks::<8>().0) {
            *chain = (*chain ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
        }
    }
    let last =
        rest.iter().fold(bytes.len() as u64, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(FACTOR));
    chains.into_iter().fold(last, |sum, chain| (sum ^ chain).wrapping_mul(FACTOR).rotate_left(29))
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn every_flipped_bit_changes_the_checksum() {
        let bytes: Vec<u8> = (0..77).collect();
        let expected = checksum(&bytes);
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(checksum(&damaged), expected, "bit {bit}");
        }
        assert_ne!(checksum(&[]), checksum(&[0]));
    }
}
