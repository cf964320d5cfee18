//! The file of a converted model: one safetensors file, whose metadata holds a versioned record of every
//! operation and whose tensors are the weights.
//!
//! Weights that the kernels use where they are, in a map of the file, are stored as the kernels read them: as 64-bit
//! words, because safetensors puts the widest type first, and the header is filled up so that the first one, and
//! with it each, begins at a multiple of 64 bytes. Version 1 had all weights in PyTorch's order, as version 2
//! still has those of depthwise convolutions.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::path::Path;

use qkernels::mapped_file::MappedBytes;
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::file::{TensorFile, write_atomically};
use crate::parameters::join;
use crate::{DType, Error, QParams, QTensor, Result, Tensor};

/// Of the files that are written.
const VERSION: u32 = 2;
/// Of those that can be read.
const READABLE: RangeInclusive<u32> = 1..=VERSION;
/// The metadata key of the header.
const HEADER: &str = "qcore";
/// The metadata key of the spaces that fill up the header.
const FILLING: &str = "filling";
/// Where packed weights begin: at a cache line, and a vector of any instruction set.
const ALIGNMENT: usize = 64;

/// What can be written to and read from the file of a converted model.
pub trait Record: Sized {
    /// Writes `self` under `path`.
    ///
    /// # Errors
    /// When a value cannot be represented.
    fn save(&self, archive: &mut ArchiveWriter, path: &str) -> Result<()>;

    /// Reads what was written under `path`.
    ///
    /// # Errors
    /// When it is not there or makes no sense. Nothing in a file is trusted.
    fn load(archive: &Archive, path: &str) -> Result<Self>;
}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    records: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug)]
struct StoredTensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Collects the records and tensors of a converted model.
#[derive(Debug, Default)]
pub struct ArchiveWriter {
    records: BTreeMap<String, serde_json::Value>,
    tensors: Vec<StoredTensor>,
}

impl ArchiveWriter {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Writes a record.
    ///
    /// # Errors
    /// When `value` has no JSON form.
    pub fn put(&mut self, path: &str, value: &impl Serialize) -> Result<()> {
        let value = serde_json::to_value(value)
            .map_err(|error| Error::Unsupported(format!("the record `{path}` cannot be written: {error}")))?;
        self.records.insert(path.to_owned(), value);
        Ok(())
    }

    /// Writes which arm of a branch the model takes.
    ///
    /// # Errors
    /// Never at present.
    pub fn put_arm(&mut self, path: &str, arm: &'static str) -> Result<()> {
        self.put(path, &arm)
    }

    /// Writes a float tensor.
    pub fn put_tensor(&mut self, path: &str, tensor: &Tensor) {
        self.tensors.push(StoredTensor {
            name: path.to_owned(),
            dtype: Dtype::F32,
            shape: tensor.shape().to_vec(),
            bytes: tensor.view().iter().flat_map(|value| value.to_le_bytes()).collect(),
        });
    }

    /// Writes the integers of a quantized tensor, and a record of its scales and zero points.
    ///
    /// # Errors
    /// Never at present.
    pub fn put_qtensor(&mut self, path: &str, tensor: &QTensor) -> Result<()> {
        let (dtype, bytes) = tensor.to_le_bytes();
        let dtype = match dtype {
            DType::QInt8 => Dtype::I8,
            DType::QInt32 => Dtype::I32,
            _ => Dtype::U8,
        };
        self.put(&join(path, "qparams"), tensor.qparams())?;
        self.tensors.push(StoredTensor {
            name: path.to_owned(),
            dtype,
            shape: tensor.shape().to_vec(),
            bytes,
        });
        Ok(())
    }

    /// Writes the bytes of a packed weight, whole quads of 64.
    pub(crate) fn put_packed<'a>(&mut self, path: &str, pieces: impl Iterator<Item = &'a [u8]>) {
        let bytes: Vec<u8> = pieces.flatten().copied().collect();
        let shape = vec![bytes.len() / size_of::<u64>()];
        self.tensors.push(StoredTensor { name: path.to_owned(), dtype: Dtype::U64, shape, bytes });
    }

    pub(crate) fn write(self, path: &Path) -> Result<()> {
        let failed = |message: String| Error::file(path, message);
        let header = serde_json::to_string(&Header { version: VERSION, records: self.records })
            .map_err(|error| failed(error.to_string()))?;
        let views = self
            .tensors
            .iter()
            .map(|tensor| {
                Ok((&tensor.name, TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes)?))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|error| failed(error.to_string()))?;
        let serialized = |filling: usize| {
            let entries = [(HEADER.to_owned(), header.clone()), (FILLING.to_owned(), " ".repeat(filling))];
            let views = views.iter().map(|(name, view)| (name, view));
            serialize(views, Some(HashMap::from(entries))).map_err(|error| failed(error.to_string()))
        };
        let bytes = serialized(0)?;
        // The length of the header, a multiple of 8, comes first.
        let data_start = bytes.first_chunk().map_or(0, |len| 8 + u64::from_le_bytes(*len) as usize);
        match data_start.next_multiple_of(ALIGNMENT) - data_start {
            0 => write_atomically(path, &bytes),
            filling => write_atomically(path, &serialized(filling)?),
        }
    }
}

/// An opened file of a converted model.
#[derive(Debug)]
pub struct Archive {
    file: TensorFile,
    records: BTreeMap<String, serde_json::Value>,
}

impl Archive {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = TensorFile::open(path)?;
        let header = file.metadata().metadata().as_ref().and_then(|metadata| metadata.get(HEADER));
        let Some(header) = header else {
            return Err(Error::file(
                path,
                "holds no converted model (a checkpoint is read by `StateDict::open`)",
            ));
        };
        // The version first: the rest may look different in another one.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let broken = |error: serde_json::Error| Error::file(path, format!("its header is broken: {error}"));
        let Version { version } = serde_json::from_str(header).map_err(broken)?;
        if !READABLE.contains(&version) {
            return Err(Error::file(
                path,
                format!("is of format version {version}, this library reads {READABLE:?}"),
            ));
        }
        let Header { records, .. } = serde_json::from_str(header).map_err(broken)?;
        Ok(Self { file, records })
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it is not there or of another form.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let record = self.records.get(path).ok_or_else(|| self.error(format!("has no record `{path}`")))?;
        T::deserialize(record).map_err(|error| self.error(format!("record `{path}`: {error}")))
    }

    /// Which arm of a branch the model takes.
    ///
    /// # Errors
    /// When there is no such record.
    pub fn arm(&self, path: &str) -> Result<&str> {
        match self.records.get(path).and_then(serde_json::Value::as_str) {
            Some(arm) => Ok(arm),
            None => Err(self.error(format!("has no record `{path}`"))),
        }
    }

    /// The error for an arm that the model does not have.
    pub fn unknown_arm(&self, path: &str, arm: &str) -> Error {
        self.error(format!("record `{path}`: the model has no arm `{arm}` there"))
    }

    /// Reads a float tensor.
    ///
    /// # Errors
    /// When it is not there or of another type.
    pub fn tensor(&self, path: &str) -> Result<Tensor> {
        let view = self.view(path, Dtype::F32)?;
        let values = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Tensor::from_vec(view.shape(), values)
    }

    /// Reads a quantized tensor.
    ///
    /// # Errors
    /// When it is not there, or its scales do not fit it.
    pub fn qtensor(&self, path: &str) -> Result<QTensor> {
        let qparams: QParams = self.get(&join(path, "qparams"))?;
        qparams.validate().map_err(|error| self.error(format!("tensor `{path}`: {error}")))?;
        let dtype = match qparams.dtype {
            DType::QInt8 => Dtype::I8,
            DType::QInt32 => Dtype::I32,
            _ => Dtype::U8,
        };
        let view = self.view(path, dtype)?;
        QTensor::from_le_bytes(view.data(), view.shape(), qparams)
            .map_err(|error| self.error(format!("tensor `{path}`: {error}")))
    }

    /// The bytes of a packed weight, where they are in the file; `None` if it is stored in another form.
    pub(crate) fn packed(&self, path: &str) -> Result<Option<MappedBytes>> {
        self.file.mapped(path, Dtype::U64)
    }

    fn view(&self, path: &str, dtype: Dtype) -> Result<TensorView<'_>> {
        let view = self.file.tensor(path)?.ok_or_else(|| self.error(format!("has no tensor `{path}`")))?;
        if view.dtype() != dtype {
            return Err(self.error(format!("tensor `{path}` is {:?}, expected {dtype:?}", view.dtype())));
        }
        Ok(view)
    }

    /// An error about this file.
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::file(self.file.path(), message)
    }
}

impl<T: Record> Record for Vec<T> {
    fn save(&self, archive: &mut ArchiveWriter, path: &str) -> Result<()> {
        archive.put(path, &self.len())?;
        self.iter()
            .enumerate()
            .try_for_each(|(index, item)| item.save(archive, &join(path, &index.to_string())))
    }

    fn load(archive: &Archive, path: &str) -> Result<Self> {
        let length: usize = archive.get(path)?;
        // Every item has a record of its own, so a file cannot claim more items than it has records.
        if length > archive.records.len() {
            return Err(archive.error(format!("record `{path}` claims {length} items")));
        }
        (0..length).map(|index| T::load(archive, &join(path, &index.to_string()))).collect()
    }
}
