//! `StateDict`: weights by PyTorch's key names, from and to safetensors.

mod mismatch;
mod tensor;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use safetensors::Dtype;

use super::parameters::{Parameters, shared_keys};
use crate::file::{HEADER_LIMIT, TensorEntry, TensorFile, TensorInfo, replace_with, write_header};
use crate::network::FORMAT;
use crate::tensor::check_copy;
use crate::{Error, Result, Tensor};

pub use mismatch::StateDictMismatch;
use mismatch::shared_message;
pub use tensor::StateTensor;

/// The tensors of a checkpoint, by key.
///
/// Those of a file are read when they are asked for. `load_state_dict` wants the keys of the model; a checkpoint of
/// `DataParallel`, `torch.compile` or Lightning has a prefix before each.
///
/// ```no_run
/// # fn main() -> qcore::Result<()> {
/// let state_dict = qcore::StateDict::open("resnet18.safetensors")?.strip_prefix("module.")?;
/// for (key, shape) in state_dict.shapes() {
///     println!("{key} {shape:?}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// One is made of tensors, too:
///
/// ```
/// use qcore::{StateDict, Tensor};
///
/// let mut state_dict = StateDict::from_iter([("fc.weight", Tensor::zeros(&[2, 3]))]);
/// state_dict.insert("bn.num_batches_tracked", 100);
/// assert_eq!(state_dict.keys().collect::<Vec<_>>(), ["bn.num_batches_tracked", "fc.weight"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct StateDict {
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug)]
enum Entry {
    /// The tensor of a file, by its index there.
    File(Arc<TensorFile>, u32),
    Memory(Box<StateTensor>),
    /// The last of the tensors of a model that have this key, and the message about it.
    Shared(Box<StateTensor>, String),
}

/// PyTorch's counter of training batches; of no use in inference.
const IGNORED_SUFFIX: &str = "num_batches_tracked";
/// Who writes files as these are: PyTorch's name in `__metadata__`, which its libraries look for.
const PYTORCH: &str = "pt";

impl StateDict {
    /// One without tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a safetensors file. Its tensors are read when they are asked for; the file stays open, and a read after
    /// somebody has written to it is an error.
    ///
    /// # Errors
    /// When the file cannot be read or is not a complete safetensors file of a checkpoint; the error says what else it
    /// is. When its header takes more than 16 MB.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, HEADER_LIMIT)
    }

    /// [`StateDict::open`] for a header of at most `header_limit` bytes.
    ///
    /// # Errors
    /// As [`StateDict::open`].
    pub fn open_with(path: impl AsRef<Path>, header_limit: usize) -> Result<Self> {
        let path = path.as_ref();
        let file = TensorFile::open(path, header_limit, |_| {})?;
        if file.header().format.as_deref() == Some(FORMAT) {
            let message =
                "holds a converted model, not a checkpoint: `Converted::load` or `Network::load` reads it";
            return Err(Error::file(path, message));
        }
        let file = Arc::new(file);
        let infos = file.header().tensors().iter().zip(0..);
        let entries =
            infos.map(|(info, index)| (info.name.to_string(), Entry::File(Arc::clone(&file), index)));
        Ok(Self { entries: entries.collect() })
    }

    /// The parameters of a model. A key that two tensors have is there, and an error when it is read.
    pub(crate) fn of(model: &impl Parameters) -> Self {
        let mut state_dict = Self::new();
        model.parameters("", &mut |key, tensor| state_dict.insert(key, tensor.clone()));
        for (key, owners) in shared_keys(model) {
            if let Some(entry) = state_dict.entries.remove(&key) {
                let message = shared_message(&key, &owners);
                state_dict.entries.insert(key, entry.shared(message));
            }
        }
        state_dict
    }

    /// Each key with its shape, in order of the keys.
    pub fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        self.entries.iter().map(|(key, entry)| (key.clone(), entry.shape().to_vec())).collect()
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// How many tensors there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no tensor.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The tensor of a key, as f32 (also from f16, bf16 and f64); `None` if there is no such key.
    ///
    /// # Errors
    /// When the file cannot be read or has changed, or the tensor holds integers.
    pub fn get(&self, key: &str) -> Result<Option<Tensor>> {
        let Some(entry) = self.entries.get(key) else { return Ok(None) };
        match entry.tensor()? {
            StateTensor::Float(tensor) => Ok(Some(tensor)),
            StateTensor::Integer(_) => {
                Err(entry.error(&format!("tensor `{key}`: {:?} is not a float type", entry.dtype())))
            }
        }
    }

    /// The tensor of a key, floats or integers; `None` if there is no such key.
    ///
    /// # Errors
    /// When the file cannot be read or has changed, or the tensor is of a type that this library does not know.
    pub fn tensor(&self, key: &str) -> Result<Option<StateTensor>> {
        self.entries.get(key).map(Entry::tensor).transpose()
    }

    /// Each key with its tensor, in order of the keys; those of a file are read one by one.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Result<StateTensor>)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry.tensor()))
    }

    /// Puts a tensor in, in place of the one of this key if there is one.
    pub fn insert(&mut self, key: impl Into<String>, tensor: impl Into<StateTensor>) {
        self.entries.insert(key.into(), Entry::Memory(Box::new(tensor.into())));
    }

    /// Takes a tensor out; tells whether there was one of this key.
    pub fn remove(&mut self, key: &str) -> bool {
        self.entries.remove(key).is_some()
    }

    /// Adds the tensors of another, as for a checkpoint in several files.
    ///
    /// # Errors
    /// When a key is in both; then nothing has changed.
    pub fn append(&mut self, mut other: Self) -> Result<()> {
        if let Some(key) = other.entries.keys().find(|key| self.entries.contains_key(*key)) {
            return Err(Error::parameter("StateDict::append", format!("both have the key `{key}`")));
        }
        self.entries.append(&mut other.entries);
        Ok(())
    }

    /// The same tensors under other keys.
    ///
    /// ```
    /// # use qcore::{StateDict, Tensor};
    /// let compiled = StateDict::from_iter([("block._orig_mod.fc.bias", Tensor::zeros(&[2]))]);
    /// let state_dict = compiled.map_keys(|key| key.replace("_orig_mod.", ""))?;
    /// assert!(state_dict.get("block.fc.bias")?.is_some());
    /// # Ok::<(), qcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// When two keys become the same one.
    pub fn map_keys<K: Into<String>>(self, mut key: impl FnMut(&str) -> K) -> Result<Self> {
        let mut entries = BTreeMap::new();
        for (old, entry) in self.entries {
            let new = key(&old).into();
            if entries.contains_key(&new) {
                let message = format!("`{old}` and another key both become `{new}`");
                return Err(Error::parameter("StateDict::map_keys", message));
            }
            entries.insert(new, entry);
        }
        Ok(Self { entries })
    }

    /// The same tensors without `prefix` before their keys; keys without it stay as they are.
    ///
    /// # Errors
    /// When two keys become the same one.
    pub fn strip_prefix(self, prefix: &str) -> Result<Self> {
        self.map_keys(|key| key.strip_prefix(prefix).unwrap_or(key).to_owned())
    }

    /// Writes the tensors to a safetensors file, as [`write_file`](crate::write_file) does: those of a file in the type
    /// that they have there, others as f32 and i64.
    ///
    /// # Errors
    /// When the file cannot be written, or one that tensors come from cannot be read or has changed.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let mut entries: Vec<(&String, &Entry)> = self.entries.iter().collect();
        // The widest first, so that every number lies aligned.
        entries.sort_by_key(|(_, entry)| Reverse(entry.dtype().bitsize()));
        let infos = entries.iter();
        let infos =
            infos.map(|(key, entry)| TensorEntry { name: key, dtype: entry.dtype(), shape: entry.shape() });
        let header = write_header(&[("format", PYTORCH)], &infos.collect::<Vec<_>>(), size_of::<u64>())
            .map_err(|error| Error::file(path, error.to_string()))?;
        replace_with(path, |file| {
            let mut write = |bytes: &[u8]| file.write_all(bytes).map_err(|error| Error::io(path, error));
            write(&header)?;
            entries.iter().try_for_each(|(_, entry)| write(&entry.bytes()?))
        })
    }

    /// All or nothing: after an error the model is as it was. What does not fit is an error, but what is missing and
    /// unexpected only if `strict`.
    pub(super) fn load_into(&self, model: &mut impl Parameters, strict: bool) -> Result<StateDictMismatch> {
        let mut mismatch = StateDictMismatch { shared: shared_keys(model), ..StateDictMismatch::default() };
        let mut known = BTreeSet::new();
        model.parameters("", &mut |key, tensor| {
            match self.entries.get(&key) {
                None => mismatch.missing.push(key.clone()),
                Some(entry) if entry.shape() != tensor.shape() => {
                    mismatch.misshapen.push((key.clone(), tensor.shape().to_vec(), entry.shape().to_vec()));
                }
                Some(_) => {}
            }
            known.insert(key);
        });
        let unexpected = self.keys().filter(|key| !known.contains(*key) && !key.ends_with(IGNORED_SUFFIX));
        mismatch.unexpected = unexpected.map(str::to_owned).collect();
        if (strict && !mismatch.is_empty()) || !mismatch.misshapen.is_empty() || !mismatch.shared.is_empty() {
            return Err(Error::StateDict(mismatch));
        }
        let mut others = BTreeMap::new();
        for key in known {
            if let Some(tensor) = self.get(&key)? {
                others.insert(key, tensor);
            }
        }
        exchange(model, &mut others);
        let checked = model.check("");
        if checked.is_err() {
            exchange(model, &mut others);
        }
        checked.map(|()| mismatch)
    }
}

impl<K: Into<String>, T: Into<StateTensor>> FromIterator<(K, T)> for StateDict {
    fn from_iter<I: IntoIterator<Item = (K, T)>>(tensors: I) -> Self {
        let mut state_dict = Self::new();
        state_dict.extend(tensors);
        state_dict
    }
}

impl<K: Into<String>, T: Into<StateTensor>> Extend<(K, T)> for StateDict {
    fn extend<I: IntoIterator<Item = (K, T)>>(&mut self, tensors: I) {
        tensors.into_iter().for_each(|(key, tensor)| self.insert(key, tensor));
    }
}

impl Entry {
    fn shape(&self) -> &[usize] {
        match self {
            Self::File(file, index) => &info(file, *index).shape,
            Self::Memory(tensor) | Self::Shared(tensor, _) => tensor.shape(),
        }
    }

    fn dtype(&self) -> Dtype {
        match self {
            Self::File(file, index) => info(file, *index).dtype,
            Self::Memory(tensor) | Self::Shared(tensor, _) => tensor.dtype(),
        }
    }

    /// The elements in row-major order, little-endian.
    fn bytes(&self) -> Result<Vec<u8>> {
        match self {
            Self::File(file, index) => file.read(info(file, *index)),
            Self::Memory(tensor) => Ok(tensor.to_le_bytes()),
            Self::Shared(_, message) => Err(self.error(message)),
        }
    }

    fn tensor(&self) -> Result<StateTensor> {
        match self {
            Self::Memory(tensor) => Ok((**tensor).clone()),
            Self::Shared(_, message) => Err(self.error(message)),
            Self::File(file, index) => {
                let TensorInfo { name, dtype, shape, .. } = info(file, *index);
                // Of integers; floats take half.
                check_copy::<i64>(shape)?;
                StateTensor::from_le_bytes(*dtype, shape, &self.bytes()?)
                    .map_err(|message| self.error(&format!("tensor `{name}`: {message}")))
            }
        }
    }

    fn error(&self, message: &str) -> Error {
        match self {
            Self::File(file, _) => Error::file(file.path(), message),
            Self::Memory(_) | Self::Shared(..) => Error::parameter("StateDict", message),
        }
    }

    fn shared(self, message: String) -> Self {
        match self {
            Self::Memory(tensor) => Self::Shared(tensor, message),
            other => other,
        }
    }
}

/// Exchanges the tensors of `model` with those of their keys.
fn exchange(model: &mut impl Parameters, others: &mut BTreeMap<String, Tensor>) {
    model.parameters_mut("", &mut |key, tensor| {
        if let Some(other) = others.get_mut(&key) {
            std::mem::swap(tensor, other);
        }
    });
}

fn info(file: &TensorFile, index: u32) -> &TensorInfo {
    &file.header().tensors()[index as usize]
}
