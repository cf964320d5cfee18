//! `index.json` and the tensors it names (NUMERICS section 17).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use ndarray::{ArrayD, IxDyn};
use qcore::{DType, QParams, QTensor, Tensor};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::comparison::Tolerance;

/// A set of reference data.
pub struct Golden {
    folder: PathBuf,
    index: Index,
    /// Of each file its bytes.
    files: BTreeMap<String, Vec<u8>>,
}

#[derive(Deserialize)]
struct Index {
    cases: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    topic: String,
    file: String,
    case: String,
    op: String,
    backend: String,
    params: serde_json::Map<String, serde_json::Value>,
    inputs: BTreeMap<String, Reference>,
    expected: BTreeMap<String, Reference>,
    tolerance: Tolerance,
}

/// Where a tensor is.
#[derive(Deserialize)]
#[serde(untagged)]
enum Reference {
    Plain(String),
    Quantized {
        int: String,
        scale: String,
        zero_point: String,
        dtype: DType,
        axis: Option<usize>,
        /// Of the unpacked tensor, when integers are packed.
        shape: Option<Vec<usize>>,
    },
}

impl Golden {
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("index.json");
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let index: Index = serde_json::from_slice(&text).context("index.json")?;
        let mut files = BTreeMap::new();
        for entry in &index.cases {
            if !files.contains_key(&entry.file) {
                let bytes = fs::read(folder.join(&entry.file)).with_context(|| entry.file.clone())?;
                files.insert(entry.file.clone(), bytes);
            }
        }
        Ok(Self { folder: folder.to_owned(), index, files })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every case, in the order of the index.
    pub fn cases(&self) -> Result<Vec<Case<'_>>> {
        let mut opened = BTreeMap::new();
        for (name, bytes) in &self.files {
            let tensors = SafeTensors::deserialize(bytes).with_context(|| name.clone())?;
            opened.insert(name, Rc::new(tensors));
        }
        let cases = self.index.cases.iter();
        Ok(cases.map(|entry| Case { entry, tensors: Rc::clone(&opened[&entry.file]) }).collect())
    }
}

/// One case: an operation with its inputs and PyTorch's outputs.
pub struct Case<'a> {
    entry: &'a Entry,
    tensors: Rc<SafeTensors<'a>>,
}

/// Values of one type with their shape.
#[derive(Clone, Debug)]
pub struct Stored<T> {
    pub shape: Vec<usize>,
    pub values: Vec<T>,
}

/// A quantized tensor as the file has it, whatever its type.
#[derive(Clone, Debug)]
pub struct StoredQuantized {
    pub integers: Stored<i64>,
    pub scale: Vec<f32>,
    /// Zero points are real numbers in the float-qparams scheme.
    pub zero_point: Vec<f64>,
    pub dtype: DType,
    pub axis: Option<usize>,
}

impl Case<'_> {
    pub fn topic(&self) -> &str {
        &self.entry.topic
    }

    pub fn op(&self) -> &str {
        &self.entry.op
    }

    pub fn backend(&self) -> &str {
        &self.entry.backend
    }

    pub fn tolerance(&self) -> Tolerance {
        self.entry.tolerance
    }

    /// For messages only: nothing may depend on it.
    pub fn label(&self) -> String {
        format!("{}/{}", self.entry.topic, self.entry.case)
    }

    pub fn expected_roles(&self) -> impl Iterator<Item = &str> {
        self.entry.expected.keys().map(String::as_str)
    }

    pub fn param<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        self.optional_param(name)?.with_context(|| format!("no parameter `{name}`"))
    }

    pub fn optional_param<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let value = self.entry.params.get(name).cloned();
        value.map(serde_json::from_value).transpose().with_context(|| format!("parameter `{name}`"))
    }

    pub fn has_input(&self, role: &str) -> bool {
        self.entry.inputs.contains_key(role)
    }

    pub fn tensor(&self, role: &str) -> Result<Tensor> {
        let stored = self.floats(self.input(role)?)?;
        Ok(Tensor::from_vec(&stored.shape, stored.values)?)
    }

    pub fn optional_tensor(&self, role: &str) -> Result<Option<Tensor>> {
        if self.has_input(role) { self.tensor(role).map(Some) } else { Ok(None) }
    }

    /// The integers of a plain input, such as zero points.
    pub fn input_integers(&self, role: &str) -> Result<Stored<i64>> {
        self.integers(self.input(role)?)
    }

    pub fn quantized(&self, role: &str) -> Result<QTensor> {
        self.input_quantized(role)?.to_qtensor()
    }

    /// A quantized input as the file has it, whatever its type.
    pub fn input_quantized(&self, role: &str) -> Result<StoredQuantized> {
        self.stored_quantized(self.input(role)?)
    }

    /// All float inputs whose role `keep` accepts.
    pub fn tensors(&self, keep: impl Fn(&str) -> bool) -> Result<Vec<(String, Tensor)>> {
        let roles = self.entry.inputs.keys().filter(|role| keep(role));
        roles.map(|role| Ok((role.clone(), self.tensor(role)?))).collect()
    }

    pub fn expected_floats(&self, role: &str) -> Result<Stored<f32>> {
        self.floats(self.expected(role)?)
    }

    pub fn expected_integers(&self, role: &str) -> Result<Stored<i64>> {
        self.integers(self.expected(role)?)
    }

    pub fn expected_quantized(&self, role: &str) -> Result<StoredQuantized> {
        self.stored_quantized(self.expected(role)?)
    }

    fn input(&self, role: &str) -> Result<&Reference> {
        self.entry.inputs.get(role).with_context(|| format!("no input `{role}`"))
    }

    fn expected(&self, role: &str) -> Result<&Reference> {
        self.entry.expected.get(role).with_context(|| format!("nothing expected as `{role}`"))
    }

    fn floats(&self, reference: &Reference) -> Result<Stored<f32>> {
        let Reference::Plain(key) = reference else { bail!("a quantized tensor where floats are wanted") };
        self.floats_of_key(key)
    }

    fn integers(&self, reference: &Reference) -> Result<Stored<i64>> {
        let Reference::Plain(key) = reference else { bail!("a quantized tensor where integers are wanted") };
        self.integers_of_key(key)
    }

    fn stored_quantized(&self, reference: &Reference) -> Result<StoredQuantized> {
        let Reference::Quantized { int, scale, zero_point, dtype, axis, shape } = reference else {
            bail!("a float tensor where a quantized one is wanted");
        };
        let mut integers = self.integers_of_key(int)?;
        if let Some(shape) = shape {
            integers = unpack_nibbles(&integers, shape)?;
        }
        let zero_point = match self.view(zero_point)?.dtype() {
            Dtype::F32 => self.floats_of_key(zero_point)?.values.into_iter().map(f64::from).collect(),
            _ => self.integers_of_key(zero_point)?.values.into_iter().map(|z| z as f64).collect(),
        };
        let scale = self.floats_of_key(scale)?.values;
        Ok(StoredQuantized { integers, scale, zero_point, dtype: *dtype, axis: *axis })
    }

    fn view(&self, key: &str) -> Result<TensorView<'_>> {
        self.tensors.tensor(key).with_context(|| format!("tensor `{key}`"))
    }

    fn floats_of_key(&self, key: &str) -> Result<Stored<f32>> {
        let view = self.view(key)?;
        let values = match view.dtype() {
            Dtype::F32 => read(view.data(), f32::from_le_bytes),
            Dtype::F64 => read(view.data(), |bytes| f64::from_le_bytes(bytes) as f32),
            other => bail!("tensor `{key}` is {other:?}, not float"),
        };
        Ok(Stored { shape: view.shape().to_vec(), values })
    }

    fn integers_of_key(&self, key: &str) -> Result<Stored<i64>> {
        let view = self.view(key)?;
        let values = match view.dtype() {
            Dtype::U8 => read(view.data(), |bytes| i64::from(u8::from_le_bytes(bytes))),
            Dtype::I8 => read(view.data(), |bytes| i64::from(i8::from_le_bytes(bytes))),
            Dtype::I32 => read(view.data(), |bytes| i64::from(i32::from_le_bytes(bytes))),
            Dtype::I64 => read(view.data(), i64::from_le_bytes),
            other => bail!("tensor `{key}` is {other:?}, not integer"),
        };
        Ok(Stored { shape: view.shape().to_vec(), values })
    }
}

impl StoredQuantized {
    pub fn qparams(&self) -> Result<QParams> {
        let zero_point: Vec<i32> = self.zero_point.iter().map(|&z| z as i32).collect();
        Ok(match self.axis {
            Some(axis) => QParams::per_channel(self.scale.clone(), zero_point, axis, self.dtype)?,
            None => QParams::per_tensor(self.scale[0], zero_point[0], self.dtype)?,
        })
    }

    pub fn to_qtensor(&self) -> Result<QTensor> {
        let Stored { shape, values } = &self.integers;
        Ok(match self.dtype {
            DType::QUInt8 => QTensor::from_int_repr(array(shape, values, |q| q as u8)?, self.qparams()?)?,
            DType::QInt8 => QTensor::from_int_repr(array(shape, values, |q| q as i8)?, self.qparams()?)?,
            DType::QInt32 => QTensor::from_int_repr(array(shape, values, |q| q as i32)?, self.qparams()?)?,
            other => bail!("{} has no quantized tensor", other.name()),
        })
    }
}

fn array<T>(shape: &[usize], values: &[i64], narrow: impl Fn(i64) -> T) -> Result<ArrayD<T>> {
    Ok(ArrayD::from_shape_vec(IxDyn(shape), values.iter().map(|&q| narrow(q)).collect())?)
}

fn read<const N: usize, T>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
}

/// Two values per byte along the last axis, low nibble first; the bytes' own shape does not matter.
fn unpack_nibbles(packed: &Stored<i64>, shape: &[usize]) -> Result<Stored<i64>> {
    let row = *shape.last().context("a packed tensor without axes")?;
    let rows: usize = shape[..shape.len() - 1].iter().product();
    ensure!(
        packed.values.len() == rows * row.div_ceil(2),
        "{} bytes for {shape:?} nibbles",
        packed.values.len()
    );
    let unpacked = |bytes: &[i64]| -> Vec<i64> {
        bytes.iter().flat_map(|byte| [byte & 15, byte >> 4]).take(row).collect()
    };
    let values = packed.values.chunks(row.div_ceil(2)).flat_map(unpacked).collect();
    Ok(Stored { shape: shape.to_vec(), values })
}
