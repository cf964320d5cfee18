//! The weights that a new layer starts with: PyTorch's distribution from a generator that always gives the same.

use qkernels::memory;

use super::inputs::{element_count, kernel_error};
use crate::{Error, Result, Tensor};

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

    /// A weight of this shape and its bias; both are [`empty`] if there is no weight or no memory for it, and
    /// [`fitting`] then says so.
    pub(super) fn weight_and_bias(
        &mut self,
        shape: &[usize],
        outputs: usize,
        fan_in: usize,
    ) -> (Tensor, Tensor) {
        let weight = self.uniform(shape, fan_in);
        let bias = if weight.is_empty() { empty() } else { self.uniform(&[outputs], fan_in) };
        (weight, bias)
    }

    /// Values of mean 0 and variance 1 (Box and Muller), as PyTorch draws the tables of embeddings; [`empty`] if there is no
    /// memory for them.
    pub(super) fn normal(&mut self, shape: &[usize]) -> Tensor {
        let Ok(mut tensor) = Tensor::try_zeros(shape) else { return empty() };
        for pair in tensor.as_slice_mut().unwrap_or_default().chunks_mut(2) {
            // In (0, 1], so that the logarithm is finite.
            let [radius, angle] = [(); 2].map(|()| ((self.next() >> 40) + 1) as f64 / (1_u32 << 24) as f64);
            let radius = (-2.0 * radius.ln()).sqrt();
            let (sin, cos) = (std::f64::consts::TAU * angle).sin_cos();
            for (value, part) in pair.iter_mut().zip([cos, sin]) {
                *value = (radius * part) as f32;
            }
        }
        tensor
    }

    /// Values between `-bound` and `bound`.
    ///
    /// For weights and biases PyTorch's `kaiming_uniform(a = sqrt(5))` comes to `bound = 1 / sqrt(fan_in)`.
    fn uniform(&mut self, shape: &[usize], fan_in: usize) -> Tensor {
        let Ok(mut tensor) = Tensor::try_zeros(shape) else { return empty() };
        let bound = 1.0 / (fan_in.max(1) as f32).sqrt();
        for value in tensor.as_slice_mut().unwrap_or_default() {
            // The 24 highest bits: every result is an exact f32 in [0, 1).
            let unit = (self.next() >> 40) as f32 / (1_u32 << 24) as f32;
            *value = (2.0 * unit - 1.0) * bound;
        }
        tensor
    }
}

/// A tensor of one value; [`empty`] if there is no memory for it, and [`fitting`] then says so.
pub(super) fn constant(shape: &[usize], value: f32) -> Tensor {
    let Ok(mut tensor) = Tensor::try_zeros(shape) else { return empty() };
    tensor.as_slice_mut().unwrap_or_default().fill(value);
    tensor
}

/// The placeholder of a tensor that is not loaded yet, or that there is no memory for.
pub(super) fn empty() -> Tensor {
    Tensor::zeros(&[0])
}

/// `tensor`, if it has the shape that a layer needs.
pub(super) fn fitting(layer: &'static str, what: &str, tensor: Tensor, shape: &[usize]) -> Result<Tensor> {
    if tensor.shape() == shape {
        return Ok(tensor);
    }
    if tensor.shape() == [0] {
        let bytes = element_count(shape).unwrap_or(usize::MAX).saturating_mul(size_of::<f32>());
        memory::check_free(format_args!("a {what} of a {layer}, of shape {shape:?},"), bytes)
            .map_err(kernel_error(layer))?;
    }
    Err(Error::shape(layer, format!("a {what} of shape {shape:?}"), tensor.shape()))
}
