//! The smallest and the largest value of a tensor, from which dynamic quantization has its scale.

use crate::isa::{Pass, isa};
use crate::threads::{elementwise_chunk, for_each_chunk};

/// Parts that are looked through one by one.
const MAX_PARTS: usize = 64;

/// Values that are compared side by side, as vectors.
const LANES: usize = 32;

/// The smallest and the largest value, `None` if there are no values, and NaN twice if one of them is NaN.
///
/// A zero is positive. PyTorch: `torch.aminmax`.
pub fn range(values: &[f32]) -> Option<(f32, f32)> {
    if values.is_empty() {
        return None;
    }
    let part_len = elementwise_chunk(values.len(), values.len().div_ceil(MAX_PARTS));
    let mut parts = [NOTHING; MAX_PARTS];
    let parts = &mut parts[..values.len().div_ceil(part_len)];
    let isa = isa();
    // Less than a multiply-add for each element.
    for_each_chunk(parts, 1, values.len() / 2, |index, part| {
        let values = &values[index * part_len..];
        part.fill(isa.run_pass(Range { values: &values[..values.len().min(part_len)] }));
    });
    let [low, high] = parts.iter().copied().fold(NOTHING, widen);
    let high = if low.is_nan() { low } else { high };
    Some((low + 0.0, high + 0.0))
}

/// The range of no values.
const NOTHING: [f32; 2] = [f32::INFINITY, f32::NEG_INFINITY];

/// The range of both; NaN in the lower limit stays there.
#[inline(always)]
fn widen([low, high]: [f32; 2], [other_low, other_high]: [f32; 2]) -> [f32; 2] {
    let low = if other_low < low || other_low.is_nan() { other_low } else { low };
    [low, if other_high > high { other_high } else { high }]
}

struct Range<'a> {
    values: &'a [f32],
}

impl Pass for Range<'_> {
    type Output = [f32; 2];

    #[inline(always)]
    fn run(self) -> [f32; 2] {
        let [mut low, mut high] = NOTHING.map(|limit| [limit; LANES]);
        let (rows, rest) = self.values.as_chunks::<LANES>();
        for row in rows {
            for lane in 0..LANES {
                [low[lane], high[lane]] = widen([low[lane], high[lane]], [row[lane]; 2]);
            }
        }
        let lanes = low.into_iter().zip(high).map(|(low, high)| [low, high]);
        lanes.chain(rest.iter().map(|&value| [value; 2])).fold(NOTHING, widen)
    }
}
