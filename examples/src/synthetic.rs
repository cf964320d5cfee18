//! Weights and pictures from a formula, for networks whose real ones are not at hand.
//!
//! `data/torchvision/expected_logits.py` holds the same formula, bit for bit.

use anyhow::Result;
use qcore::{Module, Tensor};

/// Gives every tensor of `model` values that follow from its key alone.
///
/// Weights have He et al.'s variance (2015), so that activations neither vanish nor explode; statistics of batch
/// norms are spread as training leaves them.
pub fn fill(model: &mut impl Module) -> Result<()> {
    let mut outcome = Ok(());
    model.parameters_mut("", &mut |key, tensor| {
        let shape = tensor.shape().to_vec();
        let fan_in: usize = shape.iter().skip(1).product();
        let range = match key.rsplit('.').next() {
            Some("running_mean") => (-0.2, 0.2),
            Some("running_var") => (0.5, 1.5),
            Some("bias") => (-0.1, 0.1),
            _ if shape.len() == 1 => (0.8, 1.2),
            _ => {
                let bound = (6.0 / fan_in as f32).sqrt();
                (-bound, bound)
            }
        };
        match uniform(&key, &shape, range) {
            Ok(values) => *tensor = values,
            Err(error) => outcome = Err(error),
        }
    });
    Ok(outcome?)
}

/// Pictures `[N, 3, size, size]` of noise, normalised; `name` chooses which.
pub fn pictures(name: &str, count: usize, size: usize) -> qcore::Result<Tensor> {
    rectangles(name, count, [size, size])
}

/// The same of any height and width.
pub fn rectangles(name: &str, count: usize, [height, width]: [usize; 2]) -> qcore::Result<Tensor> {
    uniform(name, &[count, 3, height, width], (-2.0, 2.0))
}

/// Values spread evenly over `low..high`; `name` chooses which.
pub fn uniform(name: &str, shape: &[usize], (low, high): (f32, f32)) -> qcore::Result<Tensor> {
    let seed = fnv1a(name);
    let values = (0..shape.iter().product::<usize>() as u64)
        .map(|index| {
            // The 24 highest bits: an exact f32 in [0, 1).
            let unit = (mixed(seed.wrapping_add(index)) >> 40) as f32 / (1_u32 << 24) as f32;
            low + (high - low) * unit
        })
        .collect();
    Tensor::from_vec(shape, values)
}

/// FNV-1a with 64 bits.
fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// The finalizer of SplitMix64 (Steele et al. 2014).
fn mixed(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}
