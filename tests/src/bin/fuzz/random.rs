//! Numbers, bytes and documents that are wrong in ways that matter.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

/// The random numbers of a case.
pub(crate) struct Random(StdRng);

/// Numbers where sums, products and casts of sizes go wrong.
const BORDERS: [usize; 22] = [
    0,
    1,
    2,
    3,
    7,
    8,
    15,
    16,
    17,
    31,
    64,
    255,
    256,
    1000,
    65_536,
    1 << 20,
    1 << 31,
    1 << 32,
    1 << 40,
    1 << 62,
    isize::MAX as usize,
    usize::MAX,
];

/// Floats where scales, sums and roundings go wrong.
const FLOATS: [f32; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1e-45,
    f32::MIN_POSITIVE,
    1e-20,
    1e20,
    f32::MAX,
    f32::MIN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    255.0,
    -128.5,
];

impl Random {
    pub(crate) fn new(seed: u64, case: u64) -> Self {
        Self(StdRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ case))
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0.random_range(0..limit.max(1))
    }

    /// Once in `n` times.
    pub(crate) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A size: mostly small, sometimes at a border.
    pub(crate) fn size(&mut self) -> usize {
        match self.below(8) {
            0 => *self.pick(&BORDERS),
            1 => self.below(40),
            _ => self.below(6),
        }
    }

    /// A size that does no harm.
    pub(crate) fn small(&mut self) -> usize {
        self.below(9)
    }

    /// An index of an axis, perhaps of one that is not there.
    pub(crate) fn axis(&mut self) -> isize {
        match self.below(12) {
            0 => *self.pick(&[isize::MIN, isize::MAX, -9, 9]),
            _ => self.below(9) as isize - 4,
        }
    }

    pub(crate) fn float(&mut self) -> f32 {
        match self.below(12) {
            0 => *self.pick(&FLOATS),
            _ => self.0.random_range(-4.0..4.0),
        }
    }

    /// A scale, mostly a plausible one.
    pub(crate) fn scale(&mut self) -> f32 {
        if self.once_in(8) { self.float() } else { self.0.random_range(0.001..2.0) }
    }

    /// A zero point, mostly one of a byte.
    pub(crate) fn zero_point(&mut self) -> i32 {
        match self.below(10) {
            0 => *self.pick(&[i32::MIN, i32::MAX, -129, 256, -1000]),
            1..4 => self.below(256) as i32 - 128,
            _ => self.below(256) as i32,
        }
    }

    /// So many floats; one in a few vectors has values that are not finite.
    pub(crate) fn floats(&mut self, len: usize) -> Vec<f32> {
        let is_wild = self.once_in(6);
        (0..len).map(|_| if is_wild { self.float() } else { self.0.random_range(-3.0..3.0) }).collect()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill(&mut bytes[..]);
        bytes
    }

    /// The extents of a tensor of `rank` axes with no more than some thousand values, which may have empty axes beside
    /// huge ones.
    pub(crate) fn shape(&mut self, rank: usize) -> Vec<usize> {
        let is_empty = self.once_in(6);
        let mut shape: Vec<usize> =
            (0..rank).map(|_| if is_empty { self.size() } else { 1 + self.below(9) }).collect();
        if is_empty && rank > 0 {
            let axis = self.below(rank);
            shape[axis] = 0;
        }
        while count(&shape).is_none() {
            let axis = self.below(rank);
            shape[axis] = shape[axis].min(5);
        }
        shape
    }

    /// Flips, cuts, moves and repeats bytes.
    pub(crate) fn mutate_bytes(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                return bytes.extend(self.0.random::<[u8; 8]>());
            }
            let at = self.below(bytes.len());
            let len = self.below(16).min(bytes.len() - at);
            match self.below(7) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = *self.pick(&[0, 1, 0x7f, 0x80, 0xff, b'"', b'{', b'[', b'9', b'-']),
                2 => drop(bytes.drain(at..at + len)),
                3 => {
                    let part = bytes[at..at + len].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, part);
                }
                4 => bytes.truncate(at),
                5 => {
                    let number = (*self.pick(&BORDERS) as u64).to_le_bytes();
                    for (byte, new) in bytes[at..].iter_mut().zip(number) {
                        *byte = new;
                    }
                }
                _ => {
                    let number = self.pick(&BORDERS).to_string();
                    bytes.splice(at..at, number.into_bytes());
                }
            }
        }
    }

    /// Replaces, removes, doubles and exchanges some values of a document.
    pub(crate) fn mutate_json(&mut self, document: &mut Value) {
        for _ in 0..=self.below(3) {
            let count = count_values(document);
            let (index, other) = (self.below(count), self.below(count));
            let elsewhere = nth_value(document, other).cloned().unwrap_or(Value::Null);
            let new = self.leaf();
            let Some(value) = nth_value(document, index) else { continue };
            match (value, self.below(8)) {
                (Value::Array(items), 0) if !items.is_empty() => {
                    let index = self.below(items.len());
                    drop(items.remove(index));
                }
                (Value::Array(items), 1) if !items.is_empty() => items.push(items[0].clone()),
                (Value::Array(items), 2) => items.reverse(),
                (Value::Object(entries), 0) => {
                    let key = entries.keys().nth(self.below(entries.len())).cloned();
                    key.and_then(|key| entries.remove(&key));
                }
                (Value::Object(entries), 1) => drop(entries.insert("else".into(), new)),
                (value @ (Value::Array(_) | Value::Object(_)), 2..7) => {
                    // What is inside matters more.
                    let index = self.below(count_values(value));
                    if let Some(inner) = nth_value(value, index).filter(|inner| !inner.is_object()) {
                        *inner = new;
                    }
                }
                (value, 7) => *value = elsewhere,
                (value, _) => *value = new,
            }
        }
    }

    /// A value without others inside.
    fn leaf(&mut self) -> Value {
        match self.below(10) {
            0 => Value::Null,
            1 => Value::Bool(self.once_in(2)),
            2 => self
                .pick(&["", "else", "float", "static", "dynamic", "NaN", "conv2d", "quint8", "qint8"])
                .to_string()
                .into(),
            3 => self.float().into(),
            4 => (-(self.size() as i64 & i64::MAX)).into(),
            5 => (self.float() as f64 * 1e300).into(),
            _ => self.size().into(),
        }
    }
}

/// How many values a shape has, if that is not too many for a test.
pub(crate) fn count(shape: &[usize]) -> Option<usize> {
    let mut extents = shape.iter().filter(|&&extent| extent > 0);
    let count = extents.try_fold(1_usize, |count, &extent| count.checked_mul(extent))?;
    let is_addressable = isize::try_from(count).is_ok();
    match shape.contains(&0) {
        true => is_addressable.then_some(0),
        false => (count <= 1 << 13).then_some(count),
    }
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(entries) => Box::new(entries.values()),
        _ => Box::new(std::iter::empty()),
    }
}

fn count_values(value: &Value) -> usize {
    1 + children(value).map(count_values).sum::<usize>()
}

/// The value at a place in the order of depth first.
fn nth_value(value: &mut Value, index: usize) -> Option<&mut Value> {
    if index == 0 {
        return Some(value);
    }
    let mut left = index - 1;
    let children: Box<dyn Iterator<Item = &mut Value> + '_> = match value {
        Value::Array(items) => Box::new(items.iter_mut()),
        Value::Object(entries) => Box::new(entries.values_mut()),
        _ => return None,
    };
    for child in children {
        let count = count_values(child);
        if left < count {
            return nth_value(child, left);
        }
        left -= count;
    }
    None
}
