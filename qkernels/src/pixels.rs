//! Pixels of a few elements, copied where they are not as far apart as they were.

/// Copies pixels of `width` elements, which are `strides[0]` elements apart in `from` and `strides[1]` in `to`, as many
/// as both have; what lies between those of `to` stays as it is.
///
/// To be called within [`Isa::run`](crate::isa::Isa::run).
#[inline(always)]
pub(crate) fn copy_pixels<T: Copy>(width: usize, from: &[T], to: &mut [T], strides: [usize; 2]) {
    match (width, strides) {
        (_, [from_stride, to_stride]) if width == from_stride && width == to_stride => {
            let len = from.len().min(to.len());
            to[..len].copy_from_slice(&from[..len]);
        }
        // With a distance that is known these become shuffles.
        (1, [2, 1]) => copy_first::<T, 2>(from, to),
        (1, [3, 1]) => copy_first::<T, 3>(from, to),
        (1, _) => copy_ends::<T, 1>(width, from, to, strides),
        (2..4, _) => copy_ends::<T, 2>(width, from, to, strides),
        (4..8, _) => copy_ends::<T, 4>(width, from, to, strides),
        (8..16, _) => copy_ends::<T, 8>(width, from, to, strides),
        (16..32, _) => copy_ends::<T, 16>(width, from, to, strides),
        (32..=64, _) => copy_ends::<T, 32>(width, from, to, strides),
        _ => {
            for (from, to) in from.chunks(strides[0]).zip(to.chunks_mut(strides[1])) {
                to[..width].copy_from_slice(&from[..width]);
            }
        }
    }
}

/// Pixels of one element that become neighbours.
#[inline(always)]
fn copy_first<T: Copy, const STRIDE: usize>(from: &[T], to: &mut [T]) {
    let (pixels, rest) = from.as_chunks::<STRIDE>();
    for (to, pixel) in to.iter_mut().zip(pixels) {
        *to = pixel[0];
    }
    if let (Some(to), Some(last)) = (to.get_mut(pixels.len()), rest.first()) {
        *to = *last;
    }
}

/// Pixels of `N..=2 * N` elements, in two parts that may overlap instead of a call for each.
#[inline(always)]
fn copy_ends<T: Copy, const N: usize>(width: usize, from: &[T], to: &mut [T], strides: [usize; 2]) {
    for (from, to) in from.chunks(strides[0]).zip(to.chunks_mut(strides[1])) {
        let (from, to) = (&from[..width], &mut to[..width]);
        if let (Some(from), Some(to)) = (from.first_chunk::<N>(), to.first_chunk_mut()) {
            *to = *from;
        }
        if N > 1
            && let (Some(from), Some(to)) = (from.last_chunk::<N>(), to.last_chunk_mut())
        {
            *to = *from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;

    #[test]
    fn pixels_of_every_width_move_and_their_gaps_stay() {
        for width in (1..=70).chain([127, 128, 129]) {
            for strides in [[0, 0], [0, 3], [1, 0], [width, 0], [2 * width, 0], [5, 7]] {
                let strides = strides.map(|gap| width + gap);
                for pixels in [0, 1, 2, 3, 9, 40] {
                    let [from_len, to_len] =
                        strides.map(|stride| if pixels == 0 { 0 } else { (pixels - 1) * stride + width });
                    let from: Vec<u8> = (0..from_len).map(|i| (i * 31 + 5) as u8).collect();
                    let mut expected = vec![7; to_len];
                    for pixel in 0..pixels {
                        expected[pixel * strides[1]..][..width]
                            .copy_from_slice(&from[pixel * strides[0]..][..width]);
                    }
                    for isa in Isa::available() {
                        let mut to = vec![7; to_len];
                        isa.run(|| copy_pixels(width, &from, &mut to, strides));
                        assert_eq!(to, expected, "{isa}, {pixels} of {width}, {strides:?} apart");
                    }
                }
            }
        }
    }
}
