//! Random tensors and weights from a seed that a test's case carries.

use qcore::{Parameters, Tensor};

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Between `low` and `high`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (self.next() >> 40) as f32 / (1 << 24) as f32 * (high - low)
    }

    pub fn tensor(&mut self, shape: &[usize], low: f32, high: f32) -> Tensor {
        let values = (0..shape.iter().product()).map(|_| self.between(low, high)).collect();
        Tensor::from_vec(shape, values).unwrap()
    }

    /// Gives every weight a value, and every batch norm statistics that make sense.
    pub fn fill(&mut self, model: &mut impl Parameters) {
        model.parameters_mut("", &mut |name, tensor| {
            let (low, high) = match name.rsplit('.').next() {
                Some("running_var") => (0.5, 2.0),
                Some("weight") if tensor.rank() == 1 => (0.5, 1.5),
                // Rather above 0, so that no ReLU gives nothing but zeros, whose scale qnnpack may refuse.
                Some("bias") => (-0.2, 0.6),
                _ => (-0.6, 0.5),
            };
            *tensor = self.tensor(tensor.shape(), low, high);
        });
    }

    /// The items in another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, (self.next() % (last as u64 + 1)) as usize);
        }
    }
}
