//! Files: a good one, or one of `fuzz/seeds`, that was damaged.

use std::fs;
use std::path::PathBuf;

use qcore::observer::{HistogramObserver, MinMaxObserver};
use qcore::prelude::*;
use qcore::{
    CalibrationOptions, CalibrationState, Converted, DType, LoadOptions, Loaders, Mode, Network, Prepared,
    Result,
};
use serde_json::Value;
use tempfile::TempDir;
use tests::parts::{CHECKSUMS, Parts};
use tests::tensors::noise;

use super::models::{self, Everything, INPUT};
use super::{Cases, Outcome};
use crate::random::Random;

/// Which loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    StateDict,
    Int8,
    Calibration,
    Mapping,
}

pub(crate) struct FileCases {
    kind: Kind,
    seeds: Vec<Vec<u8>>,
    /// So many of the first seeds are good.
    made: usize,
    prepared: Prepared<Everything>,
    folder: TempDir,
}

impl FileCases {
    pub(crate) fn new(kind: Kind) -> Self {
        // In memory, where there is such a place.
        let folder =
            tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder for files");
        let mut cases =
            Self { kind, seeds: Vec::new(), made: 0, prepared: models::prepared(Backend::Native), folder };
        cases.seeds = cases.made();
        cases.made = cases.seeds.len();
        cases.seeds.extend(kept(kind));
        cases
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("file")
    }

    /// Good files.
    fn made(&self) -> Vec<Vec<u8>> {
        let path = self.path();
        let read = || fs::read(&path).expect("the file was written");
        match self.kind {
            Kind::StateDict => {
                Everything::new().state_dict().save(&path).expect("a file is written");
                vec![read()]
            }
            Kind::Int8 => {
                let backends = [Backend::Native, Backend::Fbgemm, Backend::Qnnpack, Backend::Onednn];
                let save = |backend| {
                    models::converted(backend).save(&path).expect("a file is written");
                    read()
                };
                backends.map(save).to_vec()
            }
            Kind::Calibration => {
                let state = self.prepared.calibration_state().expect("the observers have a state");
                vec![serde_json::to_vec(&state).expect("the state is JSON")]
            }
            Kind::Mapping => vec![MAPPING.as_bytes().to_vec()],
        }
    }

    /// The bytes of a case: a good file with its document or its bytes changed.
    pub(crate) fn input(&self, seed: u64, case: u64) -> Vec<u8> {
        let mut random = Random::new(seed, case);
        let index = random.below(self.seeds.len());
        let mut bytes = self.seeds[index].clone();
        if case < self.seeds.len() as u64 {
            return self.seeds[case as usize].clone();
        }
        let is_document = !random.once_in(4);
        match self.kind {
            Kind::Calibration | Kind::Mapping if is_document => {
                if let Ok(mut document) = serde_json::from_slice(&bytes) {
                    random.mutate_json(&mut document);
                    bytes = document.to_string().into_bytes();
                }
            }
            Kind::StateDict | Kind::Int8 if is_document && index < self.made => {
                bytes = changed(self.kind, &bytes, &mut random);
            }
            _ => random.mutate_bytes(&mut bytes),
        }
        bytes
    }
}

/// Files from earlier findings, and ones that were written by hand.
fn kept(kind: Kind) -> Vec<Vec<u8>> {
    let name = match kind {
        Kind::StateDict => "state_dict",
        Kind::Int8 => "int8_file",
        Kind::Calibration => "calibration",
        Kind::Mapping => "mapping",
    };
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().filter_map(|path| fs::read(path).ok()).collect()
}

/// A safetensors file with another header, other bytes of tensors or another network, with checksums that fit.
fn changed(kind: Kind, bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut parts = Parts::of(bytes);
    match (random.below(4), kind) {
        (0, _) => {
            let mut document = Value::Object(parts.header);
            random.mutate_json(&mut document);
            parts.header = document.as_object().cloned().unwrap_or_default();
        }
        (1, _) => {
            for _ in 0..=random.below(8) {
                let at = random.below(parts.data.len());
                if let Some(byte) = parts.data.get_mut(at) {
                    *byte = random.bytes(1)[0];
                }
            }
        }
        (_, Kind::Int8) => {
            let mut contents = parts.contents();
            random.mutate_json(&mut contents);
            parts = parts.with_contents(&contents);
        }
        _ => {
            let names = parts.tensors();
            let name = random.pick(&names);
            random.mutate_json(&mut parts.header[name.as_str()]);
        }
    }
    let has_range = |name: &str| {
        let offsets = serde_json::from_value::<[usize; 2]>(parts.header[name]["data_offsets"].clone());
        offsets.is_ok_and(|[begin, end]| begin <= end)
    };
    match kind {
        Kind::Int8
            if parts.header.contains_key(CHECKSUMS) && parts.tensors().iter().all(|name| has_range(name)) =>
        {
            parts.to_signed_bytes()
        }
        _ => parts.to_bytes(),
    }
}

impl Cases for FileCases {
    fn run(&mut self, seed: u64, case: u64) -> Outcome {
        let bytes = self.input(seed, case);
        match self.kind {
            Kind::StateDict => {
                fs::write(self.path(), bytes).expect("a file is written");
                self.state_dict().into()
            }
            Kind::Int8 => {
                fs::write(self.path(), bytes).expect("a file is written");
                self.int8().into()
            }
            Kind::Calibration => {
                fs::write(self.path(), bytes).expect("a file is written");
                CalibrationState::open(self.path()).and_then(|state| self.calibration(&state)).into()
            }
            Kind::Mapping => match serde_json::from_slice(&bytes) {
                Ok(document) => mapping(&document).and_then(|mapping| mapped(&mapping)).into(),
                Err(error) => Outcome::Refused(error.to_string()),
            },
        }
    }
}

impl FileCases {
    fn state_dict(&self) -> Result<()> {
        let file = StateDict::open(self.path())?;
        for key in file.shapes().keys() {
            let _ = file.get(key);
        }
        let mut model = Everything::new();
        model.load_state_dict(&file)?;
        let _ = model.forward(noise(&INPUT, 0));
        let _ = model
            .prepare(&models::mapping(Backend::Native))
            .map(|prepared| prepared.forward(noise(&INPUT, 0)));
        Ok(())
    }

    fn int8(&self) -> Result<()> {
        let _ = qcore::ModelSummary::open(self.path());
        let mapped = LoadOptions { mapped: true, ..LoadOptions::default() };
        let _ = Network::load_with(self.path(), &Loaders::new(), mapped);
        let network = Network::load(self.path())?;
        let inputs: Vec<Tensor> = (0..network.input_count()).map(|seed| noise(&INPUT, seed as u64)).collect();
        let _ = network.forward(&inputs);
        let _ = network.memory(&inputs.iter().collect::<Vec<_>>());
        network.visit_weights(&mut |_, _| ());
        let model = Converted::<Everything>::load(self.path())?;
        let _ = model.profile(&inputs[0]);
        let _ = model.forward(Tensor::zeros(&[0, 2, 1 << 30, 1 << 30]));
        let copy = self.folder.path().join("copy");
        model.save(copy)
    }

    fn calibration(&self, state: &CalibrationState) -> Result<()> {
        let mut prepared = self.prepared.clone();
        prepared.load_calibration_state(state)?;
        let _ = prepared.calibration_report().to_string();
        let _ = prepared.observe(noise(&INPUT, 2));
        let _ = prepared.merge(&self.prepared);
        prepared.convert()?.forward(noise(&INPUT, 0)).map(drop)
    }
}

/// A mapping as somebody may read it from a configuration file: entries that are added one after the other.
const MAPPING: &str = r#"{
    "backend": "fbgemm",
    "mode": "graph",
    "global": "static",
    "types": [["Linear", "dynamic"], ["add", null], ["Conv2d", "qnnpack"], ["mean", "static"]],
    "regexes": [["a.*", "static"], ["(conv|all)", "x86"]],
    "modules": [["fc", null], ["dynamic", "dynamic"]],
    "orders": [["", "mul_scalar", 0, "static"]],
    "histogram": {"bins": 2048, "quant_min": 0, "quant_max": 255, "eps": 0.0001}
}"#;

/// The mapping that a document describes.
fn mapping(document: &Value) -> Result<QConfigMapping> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_u64().unwrap_or_default() as usize;
    let histogram = &document["histogram"];
    let integer = |value: &Value| value.as_i64().unwrap_or_default() as i32;
    let observer = HistogramObserver::new()
        .bins(number(&histogram["bins"]))
        .quant_min(integer(&histogram["quant_min"]))
        .quant_max(integer(&histogram["quant_max"]))
        .eps(histogram["eps"].as_f64().unwrap_or_default() as f32);
    let qconfig = |value: &Value| match value.as_str()? {
        "dynamic" => Some(QConfig::dynamic()),
        "reuse" => Some(QConfig::default_reuse_input_qconfig()),
        "float16" => Some(QConfig::float16_static_qconfig()),
        "qnnpack" => Some(QConfig::default_symmetric_qnnpack_qconfig()),
        "static" => Some(QConfig::new(observer.clone(), MinMaxObserver::new().dtype(DType::QInt8))),
        backend => Some(QConfig::get_default_qconfig(backend.parse().ok()?)),
    };
    let entries = |name: &str| document[name].as_array().cloned().unwrap_or_default();
    let mut mapping = QConfigMapping::for_backend(text(&document["backend"]).parse()?);
    if document["mode"] == "eager" {
        mapping = mapping.with_mode(Mode::Eager);
    }
    mapping = mapping.global(qconfig(&document["global"]));
    for entry in entries("types") {
        mapping = mapping.object_type(&text(&entry[0]), qconfig(&entry[1]));
    }
    for entry in entries("regexes") {
        mapping = mapping.module_name_regex(&text(&entry[0]), qconfig(&entry[1]))?;
    }
    for entry in entries("modules") {
        mapping = mapping.module(&text(&entry[0]), qconfig(&entry[1]));
    }
    for entry in entries("orders") {
        let (module, object_type, index) = (text(&entry[0]), text(&entry[1]), number(&entry[2]));
        mapping = mapping.module_name_object_type_order(&module, &object_type, index, qconfig(&entry[3]));
    }
    Ok(mapping)
}

fn mapped(mapping: &QConfigMapping) -> Result<()> {
    let mut prepared = Everything::new().prepare(mapping)?;
    prepared.calibrate_with([noise(&INPUT, 0)], CalibrationOptions { progress: false })?;
    prepared.convert()?.forward(noise(&INPUT, 0)).map(drop)
}
