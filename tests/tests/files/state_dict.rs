//! Checkpoints of float models.

use std::collections::BTreeMap;
use std::path::Path;

use qcore::prelude::*;
use qcore::{Error, LoadStateDictOptions, StateDict, StateTensor};
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize_to_file};
use tests::networks::{Network, TwoWays};
use tests::tensors::noise;

use crate::parts::Parts;
use crate::scratch;

fn values(model: &impl Module) -> BTreeMap<String, Tensor> {
    let state_dict = model.state_dict();
    let keys = state_dict.shapes().into_keys();
    keys.map(|key| (key.clone(), state_dict.get(&key).unwrap().unwrap())).collect()
}

/// Other weights than those that a model begins with.
fn trained() -> Network {
    let mut model = Network::small();
    model.conv1 = Conv2d::new(3, 8, 3).bias(false).with_weight(noise(&[8, 3, 3, 3], 1)).unwrap();
    let statistics = (noise(&[8], 2), noise(&[8], 3).map(f32::abs));
    model.layers[0].bn1 = BatchNorm2d::new(8).with_statistics(statistics.0, statistics.1).unwrap();
    model.fc = Linear::new(16, 5).with_bias(noise(&[5], 4)).unwrap();
    model
}

fn write(path: &Path, tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) {
    let views = tensors
        .iter()
        .map(|(key, dtype, shape, bytes)| (*key, TensorView::new(*dtype, shape.to_vec(), bytes).unwrap()));
    serialize_to_file(views, None, path).unwrap();
}

/// Writes `tensors` in f32, and `extra` integers.
fn write_f32(path: &Path, tensors: &BTreeMap<String, Tensor>, extra: &[(&str, i64)]) {
    let mut list: Vec<(&str, Dtype, &[usize], Vec<u8>)> = tensors
        .iter()
        .map(|(key, tensor)| {
            let bytes = tensor.view().iter().flat_map(|value| value.to_le_bytes()).collect();
            (key.as_str(), Dtype::F32, tensor.shape(), bytes)
        })
        .collect();
    list.extend(extra.iter().map(|(key, value)| (*key, Dtype::I64, &[][..], value.to_le_bytes().to_vec())));
    write(path, &list);
}

#[test]
fn a_state_dict_comes_back_from_its_file() {
    let (_folder, path) = scratch("model.safetensors");
    let model = trained();
    model.state_dict().save(&path).unwrap();
    let mut other = Network::small();
    assert_ne!(values(&other), values(&model));
    other.load_state_dict(&StateDict::open(&path).unwrap()).unwrap();
    assert_eq!(values(&other), values(&model));
    let x = noise(&[1, 3, 8, 8], 9);
    assert_eq!(other.forward(&x).unwrap(), model.forward(&x).unwrap());
    // A state dict in memory loads too, and saving what was opened writes the same.
    let mut third = Network::small();
    third.load_state_dict(&model.state_dict()).unwrap();
    assert_eq!(values(&third), values(&model));
    let again = path.with_file_name("again.safetensors");
    StateDict::open(&path).unwrap().save(&again).unwrap();
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&path).unwrap());
}

#[test]
fn every_key_that_does_not_fit_is_in_one_error_and_the_model_stays() {
    let (_folder, path) = scratch("model.safetensors");
    let mut tensors = values(&trained());
    tensors.remove("fc.bias");
    tensors.remove("layers.1.downsample.0.weight");
    tensors.insert("layers.2.conv1.weight".into(), noise(&[8, 8, 3, 3], 0));
    tensors.insert("fc.scale".into(), noise(&[1], 0));
    tensors.insert("conv1.weight".into(), noise(&[8, 3, 3], 0));
    tensors.insert("fc.weight".into(), noise(&[16, 5], 0));
    write_f32(&path, &tensors, &[]);
    let mut model = Network::small();
    let before = values(&model);
    let error = model.load_state_dict(&StateDict::open(&path).unwrap()).unwrap_err();
    let text = error.to_string();
    let Error::StateDict(mismatch) = error else { panic!("{error}") };
    assert_eq!(mismatch.missing, ["layers.1.downsample.0.weight", "fc.bias"]);
    assert_eq!(mismatch.unexpected, ["fc.scale", "layers.2.conv1.weight"]);
    assert_eq!(
        mismatch.misshapen,
        [
            ("conv1.weight".to_owned(), vec![8, 3, 3, 3], vec![8, 3, 3]),
            ("fc.weight".to_owned(), vec![5, 16], vec![16, 5])
        ]
    );
    for part in
        ["2 missing: layers.1", "fc.bias", "fc.scale", "fc.weight: expected shape [5, 16], found [16, 5]"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(values(&model), before);
}

#[test]
fn pytorchs_counter_of_batches_is_accepted_and_ignored() {
    let (_folder, path) = scratch("model.safetensors");
    let tensors = values(&trained());
    write_f32(&path, &tensors, &[("bn1.num_batches_tracked", 100), ("layers.0.bn1.num_batches_tracked", 1)]);
    let mut model = Network::small();
    model.load_state_dict(&StateDict::open(&path).unwrap()).unwrap();
    assert_eq!(values(&model), tensors);
}

#[quantizable]
struct One {
    fc: Linear,
}

#[quantizable]
impl One {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x)
    }
}

fn weights(
    dtype: Dtype,
    encode: impl Fn(usize) -> Vec<u8>,
) -> Vec<(&'static str, Dtype, &'static [usize], Vec<u8>)> {
    vec![("fc.weight", dtype, &[1, 2], [encode(0), encode(1)].concat()), ("fc.bias", dtype, &[1], encode(2))]
}

#[test]
fn checkpoints_of_every_float_type_load_exactly() {
    // 0.5, -1.5 and 2.0.
    let half = [0x3800_u16, 0xBE00, 0x4000];
    let bfloat = [0x3F00_u16, 0xBFC0, 0x4000];
    let plain = [0.5_f64, -1.5, 2.0];
    let files = [
        weights(Dtype::F16, |index| half[index].to_le_bytes().to_vec()),
        weights(Dtype::BF16, |index| bfloat[index].to_le_bytes().to_vec()),
        weights(Dtype::F64, |index| plain[index].to_le_bytes().to_vec()),
        weights(Dtype::F32, |index| (plain[index] as f32).to_le_bytes().to_vec()),
    ];
    for file in files {
        let (_folder, path) = scratch("model.safetensors");
        write(&path, &file);
        let mut model = One { fc: Linear::new(2, 1) };
        model.load_state_dict(&StateDict::open(&path).unwrap()).unwrap();
        assert_eq!(model.fc.weight().as_slice(), Some(&[0.5, -1.5][..]), "{:?}", file[0].1);
        assert_eq!(model.fc.bias_tensor().unwrap().as_slice(), Some(&[2.0][..]));
    }
}

#[test]
fn a_tensor_of_integers_is_refused_by_name_and_the_model_stays() {
    for (dtype, size) in [(Dtype::I64, 8), (Dtype::I32, 4), (Dtype::U8, 1), (Dtype::I8, 1), (Dtype::BOOL, 1)]
    {
        let (_folder, path) = scratch("model.safetensors");
        let float = |value: f32| value.to_le_bytes().to_vec();
        write(
            &path,
            &[
                ("fc.weight", Dtype::F32, &[1, 2], [float(7.0), float(8.0)].concat()),
                ("fc.bias", dtype, &[1], vec![0; size]),
            ],
        );
        let mut model = One { fc: Linear::new(2, 1) };
        let before = values(&model);
        let text = model.load_state_dict(&StateDict::open(&path).unwrap()).unwrap_err().to_string();
        assert!(text.contains("`fc.bias`") && text.contains("not a float type"), "{text}");
        assert!(text.contains(&format!("{dtype:?}")) && text.contains("model.safetensors"), "{text}");
        assert_eq!(values(&model), before);
    }
}

#[test]
fn tensors_may_begin_at_any_address() {
    let (_folder, path) = scratch("model.safetensors");
    trained().state_dict().save(&path).unwrap();
    let parts = Parts::of(&std::fs::read(&path).unwrap());
    for spaces in 0..4 {
        let mut header = serde_json::to_vec(&parts.header).unwrap();
        header.resize(header.len() + spaces, b' ');
        let length = (header.len() as u64).to_le_bytes();
        std::fs::write(&path, [&length[..], &header, &parts.data].concat()).unwrap();
        let mut model = Network::small();
        model.load_state_dict(&StateDict::open(&path).unwrap()).unwrap();
        assert_eq!(values(&model), values(&trained()));
    }
}

#[test]
fn a_file_that_is_no_checkpoint_is_an_error_with_its_name() {
    let (_folder, path) = scratch("model.safetensors");
    let text = StateDict::open(&path).unwrap_err().to_string();
    assert!(text.contains("model.safetensors"), "{text}");
    for bytes in [&b""[..], b"1234567", b"PK\x03\x04 a pickle of torch.save", &[0xFF; 64]] {
        std::fs::write(&path, bytes).unwrap();
        let text = StateDict::open(&path).unwrap_err().to_string();
        assert!(text.contains("model.safetensors") && text.contains("safetensors file"), "{text}");
    }
}

#[test]
fn a_checkpoint_of_another_model_is_refused() {
    let mut model = TwoWays::new(true);
    let before = values(&model);
    let error = model.load_state_dict(&trained().state_dict()).unwrap_err();
    assert!(matches!(&error, Error::StateDict(mismatch) if !mismatch.missing.is_empty()), "{error}");
    assert_eq!(values(&model), before);
}

/// `tensors` with `prefix` before each key.
fn prefixed(tensors: &BTreeMap<String, Tensor>, prefix: &str) -> StateDict {
    tensors.iter().map(|(key, tensor)| (format!("{prefix}{key}"), tensor.clone())).collect()
}

#[test]
fn a_prefix_before_every_key_is_said_in_one_line_and_stripped() {
    let (_folder, path) = scratch("model.safetensors");
    let tensors = values(&trained());
    for prefix in ["module.", "model.", "_orig_mod.", "module._orig_mod."] {
        prefixed(&tensors, prefix).save(&path).unwrap();
        let state_dict = StateDict::open(&path).unwrap();
        let mut model = Network::small();
        let text = model.load_state_dict(&state_dict).unwrap_err().to_string();
        let write = format!("`state_dict.strip_prefix({prefix:?})?`");
        assert!(text.contains(&write) && !text.contains('\n') && text.len() < 250, "{text}");
        model.load_state_dict(&state_dict.strip_prefix(prefix).unwrap()).unwrap();
        assert_eq!(values(&model), tensors);
    }
    // The other way round, and back.
    let inner = prefixed(&tensors, "").map_keys(|key| format!("backbone.{key}")).unwrap();
    assert!(inner.keys().all(|key| key.starts_with("backbone.")));
    let mut model = Network::small();
    model.load_state_dict(&inner.map_keys(|key| key.replacen("backbone.", "", 1)).unwrap()).unwrap();
    assert_eq!(values(&model), tensors);
}

#[test]
fn two_keys_that_become_one_are_refused() {
    let tensors = [("a.b", Tensor::zeros(&[1])), ("b", Tensor::zeros(&[2]))];
    let text = StateDict::from_iter(tensors).strip_prefix("a.").unwrap_err().to_string();
    assert!(text.contains("`b`"), "{text}");
    let mut first = StateDict::from_iter([("a", Tensor::zeros(&[1]))]);
    let mut second = StateDict::from_iter([("a", Tensor::zeros(&[2])), ("b", Tensor::zeros(&[2]))]);
    assert!(first.append(second.clone()).unwrap_err().to_string().contains("`a`"));
    assert_eq!(first.len(), 1);
    assert!(second.remove("a") && !second.remove("a"));
    first.append(second).unwrap();
    assert_eq!(first.shapes(), BTreeMap::from([("a".to_owned(), vec![1]), ("b".to_owned(), vec![2])]));
}

#[test]
fn without_strict_what_was_missing_and_unexpected_comes_back() {
    let tensors = values(&trained());
    let mut state_dict = prefixed(&tensors, "");
    state_dict.remove("fc.bias");
    state_dict.insert("head.weight", noise(&[1], 0));
    state_dict.insert("bn1.num_batches_tracked", 7);
    let mut model = Network::small();
    let bias = values(&model).remove("fc.bias");
    assert!(model.load_state_dict(&state_dict).is_err());
    let lenient = LoadStateDictOptions { strict: false };
    let keys = model.load_state_dict_with(&state_dict, lenient).unwrap();
    assert_eq!(
        (&keys.missing[..], &keys.unexpected[..]),
        (&["fc.bias".to_owned()][..], &["head.weight".to_owned()][..])
    );
    let loaded = values(&model);
    assert_eq!(loaded.get("fc.bias"), bias.as_ref());
    assert_eq!(loaded["fc.weight"], tensors["fc.weight"]);
    // A shape that does not fit stays an error, as in PyTorch, and changes nothing.
    state_dict.insert("conv1.weight", noise(&[1], 0));
    state_dict.insert("fc.weight", noise(&[5, 16], 99));
    let error = model.load_state_dict_with(&state_dict, lenient).unwrap_err();
    assert!(matches!(&error, Error::StateDict(mismatch) if mismatch.misshapen.len() == 1), "{error}");
    assert_eq!(values(&model), loaded);
}

#[test]
fn integers_and_other_types_stay_what_they_are() {
    let (_folder, path) = scratch("model.safetensors");
    let half = [0x3800_u16, 0xBE00].map(u16::to_le_bytes).concat();
    write(
        &path,
        &[
            ("fc.weight", Dtype::F16, &[1, 2], half),
            ("steps", Dtype::I64, &[], (1_i64 << 40).to_le_bytes().to_vec()),
            ("ids", Dtype::I32, &[2], [(-3_i32).to_le_bytes(), 5_i32.to_le_bytes()].concat()),
            ("mask", Dtype::BOOL, &[3], vec![1, 0, 1]),
        ],
    );
    let again = path.with_file_name("again.safetensors");
    StateDict::open(&path).unwrap().save(&again).unwrap();
    for path in [&path, &again] {
        let state_dict = StateDict::open(path).unwrap();
        let found: BTreeMap<String, StateTensor> =
            state_dict.iter().map(|(key, tensor)| (key.to_owned(), tensor.unwrap())).collect();
        let integers = |shape: &[usize], values: Vec<i64>| {
            StateTensor::Integer(ndarray::ArrayD::from_shape_vec(shape, values).unwrap())
        };
        assert_eq!(found["steps"], StateTensor::from(1 << 40));
        assert_eq!(found["ids"], integers(&[2], vec![-3, 5]));
        assert_eq!(found["mask"], integers(&[3], vec![1, 0, 1]));
        assert_eq!(found["fc.weight"], Tensor::from_vec(&[1, 2], vec![0.5, -1.5]).unwrap().into());
        assert_eq!(state_dict.tensor("ids").unwrap().as_ref(), Some(&found["ids"]));
        assert!(state_dict.tensor("nothing").unwrap().is_none());
        assert!(state_dict.get("steps").unwrap_err().to_string().contains("not a float type"));
    }
    // In the types that they had.
    let header = Parts::of(&std::fs::read(&again).unwrap()).header;
    let types = ["fc.weight", "steps", "ids", "mask"].map(|key| header[key]["dtype"].clone());
    assert_eq!(types, ["F16", "I64", "I32", "BOOL"]);
    assert_eq!(header["__metadata__"]["format"], "pt");
}
