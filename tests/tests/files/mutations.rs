//! Thousands of random changes of what a file says: an error or something that works, never a panic.

use std::path::Path;

use qcore::prelude::*;
use qcore::{CalibrationState, Converted, Prepared};
use serde_json::{Value, json};
use tests::networks::Network;
use tests::tensors::noise;

use crate::damage::random;
use crate::parts::Parts;
use crate::{saved_network, scratch};

/// Changes JSON in places that follow from a seed.
struct Mutator<R>(R);

impl<R: FnMut(usize) -> usize> Mutator<R> {
    fn any(&mut self) -> Value {
        let texts =
            ["", "x", "static", "float", "dynamic", "Conv2d", "relu", "cat", "I8", "F64", "quint8", "\u{0}"];
        match self.0(12) {
            0 => Value::Null,
            1 => json!(self.0(2) == 0),
            2 => json!(self.0(5)),
            3 => json!(-(self.0(3) as i64)),
            4 => json!(1_u64 << self.0(64)),
            5 => json!(u64::MAX - self.0(9) as u64),
            6 => json!([1e-40, 0.5, -1.0, 1e39, 1e300][self.0(5)]),
            7 => json!([]),
            8 => json!({}),
            9 => json!([self.0(4), self.0(4)]),
            10 => json!({ texts[self.0(texts.len())]: self.0(4) }),
            _ => json!(texts[self.0(texts.len())]),
        }
    }

    /// One change, at a random depth.
    fn change(&mut self, value: &mut Value) {
        let count = match value {
            Value::Array(items) => items.len(),
            Value::Object(object) => object.len(),
            _ => 0,
        };
        // Deeper, mostly.
        if count > 0 && self.0(5) > 0 {
            let index = self.0(count);
            let inner = match value {
                Value::Array(items) => &mut items[index],
                Value::Object(object) => object.values_mut().nth(index).unwrap(),
                _ => unreachable!(),
            };
            return self.change(inner);
        }
        match (self.0(4), value) {
            (0, Value::Array(items)) if count > 0 => drop(items.remove(self.0(count))),
            (1, Value::Array(items)) if count > 0 => {
                let item = items[self.0(count)].clone();
                items.insert(self.0(count + 1), item);
            }
            (2, Value::Array(items)) if count > 1 => items.swap(self.0(count), self.0(count)),
            (0, Value::Object(object)) if count > 0 => {
                let key = object.keys().nth(self.0(count)).unwrap().clone();
                object.remove(&key);
            }
            (1, Value::Object(object)) if count > 0 => {
                let key = object.keys().nth(self.0(count)).unwrap().clone();
                let value = object.remove(&key).unwrap();
                object.insert(format!("{key}_"), value);
            }
            (_, value) => *value = self.any(),
        }
    }

    fn changes(&mut self, value: &mut Value) {
        for _ in 0..=self.0(3) {
            self.change(value);
        }
    }
}

/// How many of `count` results are errors, and how many are not.
fn tally(count: usize, mut run: impl FnMut() -> bool) -> (usize, usize) {
    let good = (0..count).filter(|_| run()).count();
    (count - good, good)
}

#[test]
fn descriptions_of_networks() {
    let (_folder, path) = scratch("model.safetensors");
    let parts = Parts::of(&saved_network());
    let contents = parts.contents();
    let mut mutator = Mutator(random());
    let x = noise(&[1, 3, 5, 5], 0);
    let (errors, models) = tally(1500, || {
        let mut other = contents.clone();
        mutator.changes(&mut other);
        std::fs::write(&path, parts.clone().with_contents(&other).to_signed_bytes()).unwrap();
        let _ = qcore::ModelSummary::open(&path);
        match qcore::Network::load(&path) {
            Err(_) => false,
            Ok(network) => {
                let _ = network.forward(&vec![x.clone(); network.input_count()]);
                true
            }
        }
    });
    assert!(errors > 1000 && models > 0, "{errors} errors, {models} models");
}

#[test]
fn headers_of_converted_models_and_checkpoints() {
    let (_folder, path) = scratch("model.safetensors");
    Network::small().state_dict().save(&path).unwrap();
    let checkpoint = Parts::of(&std::fs::read(&path).unwrap());
    let mut mutator = Mutator(random());
    for parts in [Parts::of(&saved_network()), checkpoint] {
        let (errors, _) = tally(1500, || {
            let mut header = Value::Object(parts.header.clone());
            mutator.changes(&mut header);
            let header = serde_json::to_vec(&header).unwrap();
            let bytes = [&(header.len() as u64).to_le_bytes()[..], &header, &parts.data].concat();
            std::fs::write(&path, bytes).unwrap();
            read_all(&path)
        });
        assert!(errors > 1000, "{errors} errors");
    }
}

/// Loads a file as whatever it may be; whether a model comes of it.
fn read_all(path: &Path) -> bool {
    let mut model = Network::small();
    let checkpoint = StateDict::open(path).is_ok_and(|state_dict| {
        state_dict.iter().for_each(|(_, tensor)| drop(tensor));
        model.load_state_dict(&state_dict).is_ok()
    });
    checkpoint || Converted::<Network>::load(path).is_ok()
}

fn calibrated(observed: bool) -> Prepared<Network> {
    let mut prepared = Network::small().prepare(&QConfigMapping::for_backend(Backend::Fbgemm)).unwrap();
    if observed {
        prepared.observe(noise(&[1, 3, 8, 8], 0)).unwrap();
    }
    prepared
}

#[test]
fn calibrations() {
    let (_folder, path) = scratch("calibration.json");
    calibrated(true).calibration_state().unwrap().save(&path).unwrap();
    let contents: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let fresh = calibrated(false);
    let before = format!("{fresh:?}");
    let mut mutator = Mutator(random());
    let (errors, _) = tally(100, || {
        let mut other = contents.clone();
        mutator.changes(&mut other);
        std::fs::write(&path, other.to_string()).unwrap();
        let Ok(state) = CalibrationState::open(&path) else { return false };
        let mut prepared = fresh.clone();
        if prepared.load_calibration_state(&state).is_err() {
            assert_eq!(format!("{prepared:?}"), before, "a load that failed leaves all as it was");
            return false;
        }
        let _ = prepared.convert();
        true
    });
    assert!(errors > 30, "{errors} errors");
}
