//! The weights that a new layer starts with: PyTorch's distribution from a generator that always gives the same.

use crate::{Error, Result, Tensor};

/// No layer is larger; beyond it a constructor would have to fail, so it leaves the weight empty and
/// [`Op::lower`](super::Op::lower) says what is wrong.
const MAX_VALUES: usize = 1 << 32;

/// `SplitMix64`: 64 well-mixed bits from a counter.
#[derive(Debug)]
pub(super) struct Generator {
    state: u64,
}

impl Generator {
    /// A layer's seed follows from its type and sizes alone.
    pub(super) fn for_layer(kind: &str, sizes: &[usize]) -> Self {
        let mut generator = Self { state: 0 };
        for byte in kind.bytes() {
            generator.state ^= u64::from(byte);
            generator.state = generator.next();
        }
        for &size in sizes {
            generator.state ^= size as u64;
            generator.state = generator.next();
        }
        generator
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// Values between `-bound` and `bound`.
    ///
    /// For weights and biases PyTorch's `kaiming_uniform(a = sqrt(5))` comes to `bound = 1 / sqrt(fan_in)`.
    pub(super) fn uniform(&mut self, shape: &[usize], fan_in: usize) -> Tensor {
        let count = shape.iter().try_fold(1_usize, |count, &extent| count.checked_mul(extent));
        let Some(count) = count.filter(|&count| count <= MAX_VALUES) else {
            return Tensor::zeros(&[0]);
        };
        let bound = 1.0 / (fan_in.max(1) as f32).sqrt();
        let values = (0..count)
            .map(|_| {
                // The 24 highest bits: every result is an exact f32 in [0, 1).
                let unit = (self.next() >> 40) as f32 / (1_u32 << 24) as f32;
                (2.0 * unit - 1.0) * bound
            })
            .collect();
        Tensor::from_vec(shape, values).unwrap_or_else(|_| Tensor::zeros(&[0]))
    }
}

/// The placeholder of a tensor that is not loaded yet.
pub(super) fn empty() -> Tensor {
    Tensor::zeros(&[0])
}

/// `tensor`, if it has the shape that a layer needs.
pub(super) fn fitting(layer: &'static str, what: &str, tensor: Tensor, shape: &[usize]) -> Result<Tensor> {
    if tensor.shape() == shape {
        return Ok(tensor);
    }
    Err(Error::shape(layer, format!("a {what} of shape {shape:?}"), tensor.shape()))
}
