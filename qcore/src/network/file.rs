//! The file of a converted network: one safetensors file, whose metadata holds the nodes as JSON and whose tensors are
//! the weights.
//!
//! Weights that the kernels use where they are, in a map of the file, are stored as the kernels read them: as 64-bit
//! words, because safetensors puts the widest type first, and the header is filled up so that the first one, and
//! with it each, begins at a multiple of 64 bytes. Every tensor has a checksum.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use qkernels::mapped_file::MappedBytes;
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::node::{Call, Node, NodeMember, lower};
use super::{Loaders, Network, NetworkValue, ValueId, verify};
use crate::file::{TensorFile, write_atomically};
use crate::model::join;
use crate::observer::MinMaxObserver;
use crate::ops::{Format, Lowering, Precision};
use crate::program::Programs;
use crate::{Backend, DType, Error, QParams, QTensor, Result, Tensor};

/// Of the files that are written and read.
const VERSION: u32 = 1;
/// The metadata key of the header.
const HEADER: &str = "qcore";
/// Where packed weights begin: at a cache line, and a vector of any instruction set.
const ALIGNMENT: usize = 64;

/// The header of a file: the network without its tensors.
#[derive(Serialize, Deserialize)]
pub(crate) struct Header {
    version: u32,
    pub(crate) model: String,
    pub(crate) signature: Vec<String>,
    pub(crate) backend: Backend,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) nodes: Vec<NodeRecord>,
    /// Of each value.
    pub(crate) qparams: Vec<Option<QParams>>,
    pub(crate) outputs: Vec<ValueId>,
    /// Of each tensor.
    checksums: BTreeMap<String, u64>,
    /// Spaces, so that the tensors after the header are aligned.
    #[serde(default)]
    filling: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct NodeRecord {
    pub(crate) path: String,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) outputs: Vec<ValueId>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) call: Option<CallRecord>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct CallRecord {
    pub(crate) precision: String,
    pub(crate) members: Vec<MemberRecord>,
    /// The records of the weights, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    weights: BTreeMap<String, serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct MemberRecord {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    path: Option<String>,
    pub(crate) op: String,
    #[serde(skip_serializing_if = "serde_json::Value::is_null", default)]
    config: serde_json::Value,
}

impl NodeRecord {
    /// PyTorch's name of the operation; `input` for a parameter of `forward`.
    pub(crate) fn operation(&self) -> &str {
        let Some(call) = &self.call else { return "input" };
        let Some((first, followers)) = call.members.split_first() else { return "" };
        let row = |name: &str| qcatalogue::operation(name);
        let is_activation = |member: &MemberRecord| {
            row(&member.op).is_some_and(|row| matches!(row.role, qcatalogue::Role::Activation(_)))
        };
        let fused = followers.iter().any(is_activation).then(|| row(&first.op)?.with_relu).flatten();
        fused.unwrap_or(&first.op)
    }
}

/// Guards against a disk's or a copy's flipped bits, not against intent: four chains of multiplications by an odd
/// number, so that no change of a single word can be missed.
fn checksum(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut chains = [1_u64, 2, 3, 4];
    let (blocks, rest) = bytes.as_chunks::<32>();
    for block in blocks {
        for (chain, word) in chains.iter_mut().zip(block.as_chunks::<8>().0) {
            *chain = (*chain ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
        }
    }
    let last =
        rest.iter().fold(bytes.len() as u64, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(FACTOR));
    chains.into_iter().fold(last, |sum, chain| (sum ^ chain).wrapping_mul(FACTOR).rotate_left(29))
}

struct FileTensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Takes the weights of one lowered operation for a file.
#[derive(Debug)]
pub struct TensorWriter<'a> {
    path: &'a str,
    records: BTreeMap<String, serde_json::Value>,
    tensors: &'a mut Vec<FileTensor>,
}

impl std::fmt::Debug for FileTensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {:?}", self.name, self.dtype, self.shape)
    }
}

impl TensorWriter<'_> {
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
        let bytes = tensor.view().iter().flat_map(|value| value.to_le_bytes()).collect();
        self.push(name, Dtype::F32, tensor.shape(), bytes);
    }

    /// The integers of a quantized tensor, and a record of its scales and zero points.
    ///
    /// # Errors
    /// When the scales have no JSON form.
    pub fn put_quantized(&mut self, name: &str, tensor: &QTensor) -> Result<()> {
        let (dtype, bytes) = tensor.to_le_bytes();
        self.put_record(name, tensor.qparams())?;
        self.push(name, dtype_of(dtype), tensor.shape(), bytes);
        Ok(())
    }

    /// The bytes of a packed weight, whole 64-bit words.
    pub(crate) fn put_packed<'p>(&mut self, name: &str, parts: impl Iterator<Item = &'p [u8]>) {
        let bytes: Vec<u8> = parts.flatten().copied().collect();
        let words = bytes.len() / size_of::<u64>();
        self.push(name, Dtype::U64, &[words], bytes);
    }

    fn push(&mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) {
        self.tensors.push(FileTensor { name: join(self.path, name), dtype, shape: shape.to_vec(), bytes });
    }
}

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
    records: &'a BTreeMap<String, serde_json::Value>,
    file: &'a CheckedFile,
}

impl StoredTensors<'_> {
    /// The record that [`TensorWriter::put_record`] wrote.
    ///
    /// # Errors
    /// When it is not there or of another form.
    pub fn record<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let record = self.records.get(name).ok_or_else(|| self.error(name, "has no record"))?;
        T::deserialize(record).map_err(|error| self.error(name, &error.to_string()))
    }

    /// The tensor that [`TensorWriter::put`] wrote.
    ///
    /// # Errors
    /// When it is not there or of another type.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        let view = self.file.view(&join(self.path, name), Dtype::F32)?;
        let values = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Tensor::from_vec(view.shape(), values)
    }

    /// [`StoredTensors::get`], if `is_there`.
    ///
    /// # Errors
    /// As [`StoredTensors::get`].
    pub fn get_if(&self, is_there: bool, name: &str) -> Result<Option<Tensor>> {
        is_there.then(|| self.get(name)).transpose()
    }

    /// The tensor that [`TensorWriter::put_quantized`] wrote.
    ///
    /// # Errors
    /// When it is not there, or its scales do not fit it.
    pub fn get_quantized(&self, name: &str) -> Result<QTensor> {
        let qparams: QParams = self.record(name)?;
        qparams.validate().map_err(|error| self.error(name, &error.to_string()))?;
        let view = self.file.view(&join(self.path, name), dtype_of(qparams.dtype))?;
        QTensor::from_le_bytes(view.data(), view.shape(), qparams)
            .map_err(|error| self.error(name, &error.to_string()))
    }

    /// The bytes of a packed weight, where they are in the file; `None` if it is stored in another form.
    pub(crate) fn get_packed(&self, name: &str) -> Result<Option<MappedBytes>> {
        let name = &join(self.path, name);
        let Some(bytes) = self.file.file.mapped(name, Dtype::U64)? else { return Ok(None) };
        match *self.file.view(name, Dtype::U64)?.shape() {
            [_] => Ok(Some(bytes)),
            ref shape => {
                let message = format!("tensor `{name}` is of shape {shape:?}, a packed weight has one axis");
                Err(Error::file(self.file.file.path(), message))
            }
        }
    }

    /// An error about one of the weights.
    pub(crate) fn error(&self, name: &str, message: &str) -> Error {
        Error::file(self.file.file.path(), format!("tensor `{}`: {message}", join(self.path, name)))
    }
}

/// A file whose tensors are compared with their checksums when they are read.
#[derive(Debug)]
struct CheckedFile {
    file: TensorFile,
    checksums: BTreeMap<String, u64>,
    /// The tensors that were read.
    read: RefCell<BTreeSet<String>>,
}

impl CheckedFile {
    fn view(&self, name: &str, dtype: Dtype) -> Result<TensorView<'_>> {
        let error = |message: &str| Error::file(self.file.path(), format!("{message} `{name}`"));
        let view = self.file.tensor(name)?.ok_or_else(|| error("has no tensor"))?;
        if view.dtype() != dtype {
            let message = format!("tensor `{name}` is {:?}, expected {dtype:?}", view.dtype());
            return Err(Error::file(self.file.path(), message));
        }
        if self.checksums.get(name) != Some(&checksum(view.data())) {
            return Err(error("is damaged: another checksum than it was written with has the tensor"));
        }
        self.read.borrow_mut().insert(name.to_owned());
        Ok(view)
    }

    fn refuse_unread(&self) -> Result<()> {
        let read = self.read.borrow();
        match self.file.metadata().offset_keys().into_iter().find(|name| !read.contains(name)) {
            None => Ok(()),
            Some(name) => Err(Error::file(self.file.path(), format!("no operation has the tensor `{name}`"))),
        }
    }
}

/// Writes a network.
pub(super) fn save(network: &Network, path: &Path) -> Result<()> {
    let mut tensors = Vec::new();
    let nodes = network.nodes.iter().map(|node| record(node, &mut tensors)).collect::<Result<_>>()?;
    let mut header = Header {
        version: VERSION,
        model: network.model.clone(),
        signature: network.signature.clone(),
        backend: network.backend,
        metadata: network.metadata.clone(),
        nodes,
        qparams: network.values.iter().map(|value| value.qparams.as_deref().cloned()).collect(),
        outputs: network.outputs.clone(),
        checksums: tensors.iter().map(|tensor| (tensor.name.clone(), checksum(&tensor.bytes))).collect(),
        filling: String::new(),
    };
    let failed = |message: String| Error::file(path, message);
    let views = tensors
        .iter()
        .map(|tensor| Ok((&tensor.name, TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| failed(error.to_string()))?;
    let serialized = |header: &Header| {
        let header = serde_json::to_string(header).map_err(|error| failed(error.to_string()))?;
        let views = views.iter().map(|(name, view)| (name, view));
        serialize(views, Some(HashMap::from([(HEADER.to_owned(), header)])))
            .map_err(|error| failed(error.to_string()))
    };
    let bytes = serialized(&header)?;
    // The length of safetensors' header, a multiple of 8, comes first.
    let data_start = bytes.first_chunk().map_or(0, |len| 8 + u64::from_le_bytes(*len) as usize);
    match data_start.next_multiple_of(ALIGNMENT) - data_start {
        0 => write_atomically(path, &bytes),
        missing => {
            header.filling = " ".repeat(missing);
            write_atomically(path, &serialized(&header)?)
        }
    }
}

fn record(node: &Node, tensors: &mut Vec<FileTensor>) -> Result<NodeRecord> {
    let call = node.call.as_ref().map(|call| {
        let members = call.members.iter().map(|member| {
            let op = member.op.name().to_owned();
            Ok(MemberRecord { path: member.path.clone(), op, config: member.op.config()? })
        });
        let members = members.collect::<Result<_>>()?;
        let mut writer = TensorWriter { path: &node.path, records: BTreeMap::new(), tensors };
        call.executable.save(&mut writer)?;
        Ok::<_, Error>(CallRecord {
            precision: call.precision.name().to_owned(),
            members,
            weights: writer.records,
        })
    });
    let call = call.transpose().map_err(|error| error.in_layer(&node.path))?;
    Ok(NodeRecord {
        path: node.path.clone(),
        inputs: node.inputs.clone(),
        outputs: node.outputs.clone(),
        call,
    })
}

/// The header of a file of a converted model.
///
/// # Errors
/// When the file is missing, is not that of a converted model, or is of another version.
pub(crate) fn header_of(path: &Path) -> Result<Header> {
    header(&TensorFile::open(path)?)
}

fn header(file: &TensorFile) -> Result<Header> {
    let metadata = file.metadata().metadata().as_ref();
    let Some(header) = metadata.and_then(|metadata| metadata.get(HEADER)) else {
        let message = "holds no converted model (a checkpoint is read by `StateDict::open`)";
        return Err(Error::file(file.path(), message));
    };
    // The version first: the rest may look different in another one.
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let broken =
        |error: serde_json::Error| Error::file(file.path(), format!("its header is broken: {error}"));
    let Version { version } = serde_json::from_str(header).map_err(broken)?;
    if version != VERSION {
        let message = format!("is of format version {version}, this library reads version {VERSION}");
        return Err(Error::file(file.path(), message));
    }
    let header: Header = serde_json::from_str(header).map_err(broken)?;
    verify::header(&header).map_err(|error| Error::file(file.path(), error.to_string()))?;
    Ok(header)
}

/// Reads a network.
pub(super) fn load(path: &Path, loaders: &Loaders) -> Result<Network> {
    let file = TensorFile::open(path)?;
    let header = header(&file)?;
    let file = CheckedFile { file, checksums: header.checksums, read: RefCell::default() };
    let values: Vec<NetworkValue> = header
        .nodes
        .iter()
        .enumerate()
        .flat_map(|(node, record)| record.outputs.iter().map(move |_| node))
        .zip(header.qparams)
        .map(|(node, qparams)| NetworkValue { node, qparams: qparams.map(Arc::new) })
        .collect();
    let nodes = header
        .nodes
        .into_iter()
        .map(|record| {
            let NodeRecord { path, inputs, outputs, call } = record;
            let mut node = Node { path, inputs, outputs, call: None };
            if let Some(record) = call {
                let call = load_call(&record, &node, &values, header.backend, loaders, &file);
                node.call = Some(call.map_err(|error| named(error, &file, &node.path))?);
            }
            Ok(node)
        })
        .collect::<Result<_>>()?;
    file.refuse_unread()?;
    Ok(Network {
        model: header.model,
        signature: header.signature,
        backend: header.backend,
        metadata: header.metadata,
        nodes,
        values,
        outputs: header.outputs,
        non_finite: Default::default(),
        programs: Programs::default(),
    })
}

/// The same error, said to be about the file.
fn named(error: Error, file: &CheckedFile, node: &str) -> Error {
    match error {
        named @ Error::File { .. } => named,
        other => Error::file(file.file.path(), format!("node `{node}`: {other}")),
    }
}

fn load_call(
    record: &CallRecord,
    node: &Node,
    values: &[NetworkValue],
    backend: Backend,
    loaders: &Loaders,
    file: &CheckedFile,
) -> Result<Call> {
    let members = record.members.iter().map(|member| {
        let op = loaders.load(&member.op, &member.config)?;
        Ok(NodeMember { path: member.path.clone(), op })
    });
    let members: Vec<NodeMember> = members.collect::<Result<_>>()?;
    let precision = Precision::of_name(&record.precision)
        .ok_or_else(|| Error::Unsupported(format!("the precision `{}`", record.precision)))?;
    verify::call(&members, precision, node, values)?;
    let stored = StoredTensors { path: &node.path, records: &record.weights, file };
    let formats = |ids: &[ValueId]| formats(ids, values, &members, precision);
    let (inputs, outputs) = (formats(node.data_inputs_of(&members)), formats(&node.outputs));
    let observer = Box::new(MinMaxObserver::new());
    let lowering = Lowering::new(precision, backend, &inputs, &outputs, observer).with_stored(&stored);
    let executable = lower(&members, lowering)?;
    Ok(Call { members, precision, executable })
}

/// The formats of the values that an operation reads or writes in this precision.
pub(crate) fn formats(
    ids: &[ValueId],
    values: &[NetworkValue],
    members: &[NodeMember],
    precision: Precision,
) -> Vec<Format> {
    let is_quantize =
        members.first().is_some_and(|member| member.op.output_rule() == crate::ops::OutputRule::Quantize);
    ids.iter()
        .map(|&id| match (precision, &values[id].qparams) {
            (Precision::Static, Some(qparams)) if !is_quantize => Format::Quantized(Arc::clone(qparams)),
            _ => Format::F32,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn every_flipped_bit_changes_the_checksum() {
        let bytes: Vec<u8> = (0..77).collect();
        let expected = checksum(&bytes);
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(checksum(&damaged), expected, "bit {bit}");
        }
        assert_ne!(checksum(&[]), checksum(&[0]));
    }
}
