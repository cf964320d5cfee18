//! `StateDict`: float weights by PyTorch's key names, from and to safetensors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};

use super::{Parameters, check_parameter};
use crate::file::{TensorFile, write_atomically};
use crate::{Error, Result, StateDictMismatch, Tensor};

/// The tensors of a checkpoint.
///
/// ```no_run
/// # fn main() -> qcore::Result<()> {
/// let state_dict = qcore::StateDict::open("resnet18.safetensors")?;
/// for (key, shape) in state_dict.shapes() {
///     println!("{key} {shape:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct StateDict {
    source: Source,
}

#[derive(Debug)]
enum Source {
    File(TensorFile),
    Memory(BTreeMap<String, Tensor>),
}

/// PyTorch's counter of training batches; of no use in inference.
const IGNORED_SUFFIX: &str = "num_batches_tracked";

impl StateDict {
    /// Maps a safetensors file into memory; tensors are read when they are loaded.
    ///
    /// # Errors
    /// When the file cannot be read or is not a complete safetensors file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        TensorFile::open(path.as_ref()).map(|file| Self { source: Source::File(file) })
    }

    /// The parameters of a model.
    pub(crate) fn of(model: &impl Parameters) -> Self {
        let mut tensors = BTreeMap::new();
        model.parameters("", &mut |key, tensor| {
            tensors.insert(key, tensor.clone());
        });
        Self { source: Source::Memory(tensors) }
    }

    /// Each key with its shape, in order of the keys.
    pub fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        match &self.source {
            Source::File(file) => {
                file.metadata().tensors().into_iter().map(|(key, info)| (key, info.shape.clone())).collect()
            }
            Source::Memory(tensors) => {
                tensors.iter().map(|(key, tensor)| (key.clone(), tensor.shape().to_vec())).collect()
            }
        }
    }

    /// The tensor of a key, as f32 (also from f16, bf16 and f64); `None` if there is no such key.
    ///
    /// # Errors
    /// When the file is corrupt or the tensor holds integers.
    pub fn get(&self, key: &str) -> Result<Option<Tensor>> {
        match &self.source {
            Source::Memory(tensors) => Ok(tensors.get(key).cloned()),
            Source::File(file) => file.tensor(key)?.map(|view| to_f32(file.path(), key, &view)).transpose(),
        }
    }

    /// Writes the tensors to a safetensors file, atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let mut bytes: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        for (key, shape) in self.shapes() {
            if let Some(tensor) = self.get(&key)? {
                bytes.push((
                    key,
                    shape,
                    tensor.view().iter().flat_map(|value| value.to_le_bytes()).collect(),
                ));
            }
        }
        let views = bytes
            .iter()
            .map(|(key, shape, bytes)| Ok((key, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .and_then(|views| serialize(views, None));
        let serialized = views.map_err(|error| Error::file(path, error.to_string()))?;
        write_atomically(path, &serialized)
    }

    /// All or nothing: everything is checked and read before the first tensor of the model changes.
    pub(crate) fn load_into(&self, model: &mut impl Parameters) -> Result<()> {
        let available = self.shapes();
        let mut mismatch = StateDictMismatch::default();
        let mut known = BTreeSet::new();
        model.parameters("", &mut |key, tensor| {
            match available.get(&key) {
                None => mismatch.missing.push(key.clone()),
                Some(found) if found != tensor.shape() => {
                    mismatch.misshapen.push((key.clone(), tensor.shape().to_vec(), found.clone()));
                }
                Some(_) => {}
            }
            known.insert(key);
        });
        mismatch.unexpected = available
            .into_keys()
            .filter(|key| !known.contains(key) && !key.ends_with(IGNORED_SUFFIX))
            .collect();
        if !mismatch.is_empty() {
            return Err(Error::StateDict(mismatch));
        }
        let mut loaded = BTreeMap::new();
        for key in known {
            if let Some(tensor) = self.get(&key)? {
                check_parameter(&key, &tensor)?;
                loaded.insert(key, tensor);
            }
        }
        model.parameters_mut("", &mut |key, tensor| {
            if let Some(value) = loaded.get(&key) {
                *tensor = value.clone();
            }
        });
        Ok(())
    }
}

fn to_f32(path: &Path, key: &str, view: &TensorView<'_>) -> Result<Tensor> {
    let data = view.data();
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => read(data, f32::from_le_bytes),
        Dtype::F64 => read(data, |bytes| f64::from_le_bytes(bytes) as f32),
        Dtype::F16 => read(data, |bytes| f16::from_le_bytes(bytes).to_f32()),
        Dtype::BF16 => read(data, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        other => {
            return Err(Error::file(
                PathBuf::from(path),
                format!("tensor `{key}`: {other:?} is not a float type"),
            ));
        }
    };
    Tensor::from_vec(view.shape(), values)
}

/// The values of little-endian bytes, which may begin at any address.
fn read<const N: usize, T>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
}
