//! The weights of one operation on their way to a file, and back.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use qkernels::file_bytes::SharedBytes;
use safetensors::Dtype;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::CheckedFile;
use super::records::QuantizedRecord;
use crate::model::join;
use crate::tensor::check_copy;
use crate::{DType, Error, QParams, QTensor, Result, Tensor};

/// A tensor that is to be written.
pub(super) struct FileTensor {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) bytes: Vec<u8>,
}

impl std::fmt::Debug for FileTensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {:?}", self.name, self.dtype, self.shape)
    }
}

/// Takes the weights of one lowered operation for a file.
#[derive(Debug)]
pub struct TensorWriter<'a> {
    path: &'a str,
    records: BTreeMap<String, Value>,
    tensors: &'a mut Vec<FileTensor>,
}

impl<'a> TensorWriter<'a> {
    /// Of the node `path`.
    pub(super) fn new(path: &'a str, tensors: &'a mut Vec<FileTensor>) -> Self {
        Self { path, records: BTreeMap::new(), tensors }
    }

    pub(super) fn into_records(self) -> BTreeMap<String, Value> {
        self.records
    }

    /// The metadata of a weight.
    ///
    /// # Errors
    /// When `value` has no JSON form.
    pub fn put_record(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        let value = serde_json::to_value(value).map_err(|error| {
            Error::Unsupported(format!("the record `{name}` of `{}` cannot be written: {error}", self.path))
        })?;
        self.records.insert(name.to_owned(), value);
        Ok(())
    }

    /// A float tensor.
    pub fn put(&mut self, name: &str, tensor: &Tensor) {
        self.push_numbers(
            name,
            Dtype::F32,
            tensor.shape(),
            tensor.view().iter().map(|value| value.to_le_bytes()),
        );
    }

    /// The integers of a quantized tensor, and its scales and zero points: the tensors `name`, `{name}_scale`, and
    /// `{name}_zero_point` if one is not 0.
    ///
    /// # Errors
    /// When what else there is to say of them has no JSON form.
    pub fn put_quantized(&mut self, name: &str, tensor: &QTensor) -> Result<()> {
        let (dtype, bytes) = tensor.to_le_bytes();
        self.put_qparams(name, tensor.qparams(), dtype)?;
        self.push(name, dtype_of(dtype), tensor.shape(), bytes);
        Ok(())
    }

    /// Bytes in a form that only the operation knows.
    pub(crate) fn put_bytes(&mut self, name: &str, shape: &[usize], bytes: &[u8]) {
        self.push(name, Dtype::U8, shape, bytes.to_vec());
    }

    /// The bytes of a packed weight of `qint8`, whole 64-bit words, and its scales and zero points.
    pub(crate) fn put_packed<'p>(
        &mut self,
        name: &str,
        qparams: &QParams,
        parts: impl Iterator<Item = &'p [u8]>,
    ) -> Result<()> {
        self.put_qparams(name, qparams, DType::QInt8)?;
        let bytes: Vec<u8> = parts.flatten().copied().collect();
        let words = bytes.len() / size_of::<u64>();
        self.push(name, Dtype::U64, &[words], bytes);
        Ok(())
    }

    /// Those of a tensor whose integers are stored as those of `stored`.
    fn put_qparams(&mut self, name: &str, qparams: &QParams, stored: DType) -> Result<()> {
        let QParams { scale, zero_point, .. } = qparams;
        let shape: &[usize] = if qparams.is_per_channel() { &[scale.len()] } else { &[] };
        let scales = scale.iter().map(|scale| scale.to_le_bytes());
        self.push_numbers(&scale_of(name), Dtype::F32, shape, scales);
        if zero_point.iter().any(|&zero_point| zero_point != 0) {
            let zero_points = zero_point.iter().map(|zero_point| zero_point.to_le_bytes());
            self.push_numbers(&zero_point_of(name), Dtype::I32, shape, zero_points);
        }
        match QuantizedRecord::new(qparams, stored) {
            usual if usual == QuantizedRecord::default() => Ok(()),
            record => self.put_record(name, &record),
        }
    }

    fn push_numbers(
        &mut self,
        name: &str,
        dtype: Dtype,
        shape: &[usize],
        numbers: impl Iterator<Item = [u8; 4]>,
    ) {
        self.push(name, dtype, shape, numbers.flatten().collect());
    }

    fn push(&mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) {
        self.tensors.push(FileTensor { name: join(self.path, name), dtype, shape: shape.to_vec(), bytes });
    }
}

fn scale_of(name: &str) -> String {
    format!("{name}_scale")
}

fn zero_point_of(name: &str) -> String {
    format!("{name}_zero_point")
}

/// How the integers of a quantized tensor are stored.
fn dtype_of(dtype: DType) -> Dtype {
    match dtype {
        DType::QInt8 => Dtype::I8,
        DType::QInt32 => Dtype::I32,
        _ => Dtype::U8,
    }
}

/// The weights of one operation in a file.
#[derive(Debug)]
pub struct StoredTensors<'a> {
    path: &'a str,
    records: &'a BTreeMap<String, Value>,
    /// The names of the records that were read.
    read: RefCell<BTreeSet<String>>,
    file: &'a CheckedFile,
}

impl<'a> StoredTensors<'a> {
    /// Of the node `path`.
    pub(super) fn new(path: &'a str, records: &'a BTreeMap<String, Value>, file: &'a CheckedFile) -> Self {
        Self { path, records, read: RefCell::default(), file }
    }

    /// The record that [`TensorWriter::put_record`] wrote.
    ///
    /// # Errors
    /// When it is not there or of another form.
    pub fn record<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let record = self.find_record(name)?;
        record.ok_or_else(|| self.error(name, "has no record"))
    }

    /// [`StoredTensors::record`], if there is one.
    ///
    /// # Errors
    /// When it is of another form.
    pub fn find_record<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(record) = self.records.get(name) else { return Ok(None) };
        self.read.borrow_mut().insert(name.to_owned());
        T::deserialize(record).map(Some).map_err(|error| self.error(name, &error.to_string()))
    }

    /// The tensor that [`TensorWriter::put`] wrote.
    ///
    /// # Errors
    /// When it is not there or of another type.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        let (shape, values) = self.numbers(name, Dtype::F32, f32::from_le_bytes)?;
        Tensor::from_vec(&shape, values)
    }

    /// [`StoredTensors::get`], if `is_there`.
    ///
    /// # Errors
    /// As [`StoredTensors::get`].
    pub fn get_if(&self, is_there: bool, name: &str) -> Result<Option<Tensor>> {
        is_there.then(|| self.get(name)).transpose()
    }

    /// [`StoredTensors::get`], if there is such a tensor.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn find(&self, name: &str) -> Result<Option<Tensor>> {
        self.get_if(self.file.has(&join(self.path, name)), name)
    }

    /// The tensor that [`TensorWriter::put_quantized`] wrote.
    ///
    /// # Errors
    /// When it is not there, or its scales do not fit it.
    pub fn get_quantized(&self, name: &str) -> Result<QTensor> {
        let path = join(self.path, name);
        let stored = match self.file.dtype(&path) {
            Some(Dtype::I8) => DType::QInt8,
            Some(Dtype::I32) => DType::QInt32,
            _ => DType::QUInt8,
        };
        let qparams = self.qparams(name, stored)?;
        let (shape, bytes) = self.file.view(&path, dtype_of(stored))?;
        QTensor::from_le_bytes(&bytes, shape, qparams).map_err(|error| self.error(name, &error.to_string()))
    }

    /// The shape and the bytes that [`TensorWriter::put_bytes`] wrote, where they are in memory.
    pub(crate) fn get_bytes(&self, name: &str) -> Result<(&[usize], SharedBytes)> {
        let path = join(self.path, name);
        let (shape, _) = self.file.view(&path, Dtype::U8)?;
        Ok((shape, self.file.shared(&path)?))
    }

    /// The bytes of a packed weight of `qint8`, where they are in memory, and its scales and zero points; `None` if it
    /// is stored in another form.
    pub(crate) fn get_packed(&self, name: &str) -> Result<Option<(SharedBytes, QParams)>> {
        let path = join(self.path, name);
        if self.file.dtype(&path) != Some(Dtype::U64) {
            return Ok(None);
        }
        if let (shape @ ([] | [_, _, ..]), _) = self.file.view(&path, Dtype::U64)? {
            return Err(self.error(name, &format!("is of shape {shape:?}, a packed weight has one axis")));
        }
        Ok(Some((self.file.shared(&path)?, self.qparams(name, DType::QInt8)?)))
    }

    /// Those of a tensor whose integers are stored as those of `stored`.
    fn qparams(&self, name: &str, stored: DType) -> Result<QParams> {
        let (shape, scale) = self.numbers(&scale_of(name), Dtype::F32, f32::from_le_bytes)?;
        let zero_point = match self.file.has(&join(self.path, &zero_point_of(name))) {
            true => self.numbers(&zero_point_of(name), Dtype::I32, i32::from_le_bytes)?.1,
            false => vec![0; scale.len()],
        };
        if shape.len() > 1 {
            return Err(
                self.error(&scale_of(name), &format!("is of shape {shape:?}, scales have one axis or none"))
            );
        }
        let record: Option<QuantizedRecord> = self.find_record(name)?;
        record
            .unwrap_or_default()
            .qparams(scale, zero_point, !shape.is_empty(), stored)
            .map_err(|error| self.error(name, &error.to_string()))
    }

    fn numbers<T>(
        &self,
        name: &str,
        dtype: Dtype,
        number: impl Fn([u8; 4]) -> T,
    ) -> Result<(Vec<usize>, Vec<T>)> {
        let path = join(self.path, name);
        let (shape, bytes) = self.file.view(&path, dtype)?;
        check_copy::<T>(shape)?;
        Ok((shape.to_vec(), bytes.as_chunks().0.iter().map(|bytes| number(*bytes)).collect()))
    }

    /// An error if there is a record that nothing has read.
    pub(super) fn refuse_unread(&self) -> Result<()> {
        let read = self.read.borrow();
        match self.records.keys().find(|name| !read.contains(*name)) {
            None => Ok(()),
            Some(name) => Err(self.error(name, "has a record that nothing reads")),
        }
    }

    /// An error about one of the weights.
    pub(crate) fn error(&self, name: &str, message: &str) -> Error {
        self.file.error(&format!("tensor `{}`: {message}", join(self.path, name)))
    }
}
