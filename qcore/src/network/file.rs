//! The file of a converted network: one safetensors file.
//!
//! `__metadata__` has `"format": "qcore"` and the version of the format. Two of its tensors are about the others:
//! `__graph__` is the network as JSON, and `__checksums__` has the [`checksum`] of the header (with its length in
//! front), then those of all other tensors in the order in which they lie. No bit of the file is without one.
//!
//! The tensors of a node are its path and a name: `fc.weight`, `fc.weight_scale`, `fc.bias`. Weights that the kernels
//! use where they are in memory are stored as the kernels read them, as 64-bit words; they come first, so that each
//! begins at a multiple of 64 bytes.

mod checksum;
mod records;
mod tensors;

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use qkernels::file_bytes::{FileBytes, SharedBytes};
use safetensors::Dtype;

use self::checksum::checksum;
use self::records::{
    MAX_NODES, MemberRecord, NodeRecord, ReadGraph, ValueRecord, WrittenGraph, for_each_node, limited,
};
use self::tensors::FileTensor;
use super::node::{Call, Node, NodeMember, lower};
use super::{Loaders, Network, NetworkValue, ValueId, verify};
use crate::file::{LoadOptions, TensorEntry, TensorFile, replace_with, write_header};
use crate::model::{EdgeSummary, ModelSummary};
use crate::observer::MinMaxObserver;
use crate::ops::{Format, Lowering, Precision};
use crate::program::Programs;
use crate::{Error, Result};

pub use self::tensors::{StoredTensors, TensorWriter};

/// The format of these files, in `__metadata__`.
pub(crate) const FORMAT: &str = "qcore";
/// Of the files that are written and read.
const VERSION: &str = "1";
/// The network as JSON.
const GRAPH: &str = "__graph__";
/// The checksums of the header and of all other tensors.
const CHECKSUMS: &str = "__checksums__";
/// Where the tensors begin, and with them the packed weights: a cache line, and a vector of any instruction set.
const ALIGNMENT: usize = 64;

/// A file whose header, and whose tensors when they are read, are compared with their checksums.
#[derive(Debug)]
struct CheckedFile {
    file: TensorFile,
    /// All of it, or tensors are read one by one.
    bytes: Option<Arc<FileBytes>>,
    /// Of each tensor.
    checksums: Vec<u64>,
    /// Whether it was read, of each tensor.
    read: RefCell<Vec<bool>>,
}

impl CheckedFile {
    /// # Errors
    /// When the file is not there, is not that of a converted model, is of another version, or its header is damaged.
    fn open(path: &Path, header_limit: usize) -> Result<Self> {
        let mut found = 0;
        let file = TensorFile::open(path, header_limit, |header| found = checksum(header))?;
        let fail = |message: String| Err(Error::file(path, message));
        let header = file.header();
        if header.format.as_deref() != Some(FORMAT) {
            return fail("holds no converted model (a checkpoint is read by `StateDict::open`)".into());
        }
        match header.version.as_deref() {
            Some(VERSION) => {}
            Some(other) => {
                return fail(format!("is of format version {other}, this library reads version {VERSION}"));
            }
            None => return fail("has no format version".into()),
        }
        let tensors = header.tensors();
        let mut order: Vec<usize> = (0..tensors.len()).collect();
        order.sort_unstable_by_key(|&index| (tensors[index].begin, tensors[index].end));
        let Some(own) = header.find(CHECKSUMS) else { return fail(format!("has no tensor `{CHECKSUMS}`")) };
        let bytes = file.read(&tensors[own])?;
        let (words, _) = bytes.as_chunks::<{ size_of::<u64>() }>();
        if bytes.len() != size_of::<u64>() * tensors.len() || words.is_empty() {
            return fail(format!("has {} checksums of {} tensors", words.len(), tensors.len()));
        }
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        if words.next() != Some(found) {
            return fail("is damaged: another checksum than it was written with has the header".into());
        }
        let mut checksums = vec![0; tensors.len()];
        for (index, checksum) in order.into_iter().filter(|&index| index != own).zip(words) {
            checksums[index] = checksum;
        }
        let mut read = vec![false; tensors.len()];
        read[own] = true;
        Ok(Self { file, bytes: None, checksums, read: RefCell::new(read) })
    }

    /// With all of it in memory, or mapped.
    fn with_bytes(mut self, mapped: bool) -> Result<Self> {
        self.bytes = Some(Arc::new(self.file.file().bytes(mapped)?));
        Ok(self)
    }

    fn has(&self, name: &str) -> bool {
        self.file.header().find(name).is_some()
    }

    fn dtype(&self, name: &str) -> Option<Dtype> {
        self.file.header().find(name).map(|index| self.file.header().tensors()[index].dtype)
    }

    /// The shape and the bytes of a tensor, which may begin at any address.
    fn view(&self, name: &str, dtype: Dtype) -> Result<(&[usize], Cow<'_, [u8]>)> {
        let Some(index) = self.file.header().find(name) else {
            return Err(self.error(&format!("has no tensor `{name}`")));
        };
        let info = &self.file.header().tensors()[index];
        if info.dtype != dtype {
            return Err(self.error(&format!("tensor `{name}` is {:?}, expected {dtype:?}", info.dtype)));
        }
        let bytes = match &self.bytes {
            Some(bytes) => {
                let range = self.file.range(info);
                Cow::Borrowed(bytes.get(range.start as usize..range.end as usize).unwrap_or_default())
            }
            None => Cow::Owned(self.file.read(info)?),
        };
        if self.checksums[index] != checksum(&bytes) {
            let message =
                format!("is damaged: another checksum than it was written with has the tensor `{name}`");
            return Err(self.error(&message));
        }
        self.read.borrow_mut()[index] = true;
        Ok((&info.shape, bytes))
    }

    /// The bytes of a tensor, where they are in memory.
    fn shared(&self, name: &str) -> Result<SharedBytes> {
        let info = self.file.header().find(name).map(|index| &self.file.header().tensors()[index]);
        let shared = info.zip(self.bytes.as_ref()).and_then(|(info, bytes)| {
            let range = self.file.range(info);
            SharedBytes::new(Arc::clone(bytes), range.start as usize..range.end as usize)
        });
        shared.ok_or_else(|| self.error(&format!("has no tensor `{name}`")))
    }

    fn refuse_unread(&self) -> Result<()> {
        let read = self.read.borrow();
        match self.file.header().tensors().iter().zip(&*read).find(|(_, read)| !**read) {
            None => Ok(()),
            Some((info, _)) => Err(self.error(&format!("no operation has the tensor `{}`", info.name))),
        }
    }

    /// The same error, said to be about the file.
    fn named(&self, error: Error, node: &str) -> Error {
        match error {
            named @ (Error::File { .. } | Error::Io { .. }) => named,
            other if node.is_empty() => self.error(&other.to_string()),
            other => self.error(&format!("node `{node}`: {other}")),
        }
    }

    fn broken(&self, error: &serde_json::Error) -> Error {
        self.error(&format!("its description of the network is broken: {error}"))
    }

    fn error(&self, message: &str) -> Error {
        Error::file(self.file.path(), message)
    }
}

/// The description of the network as text.
fn graph_text(file: &CheckedFile, limit: usize) -> Result<Cow<'_, [u8]>> {
    let (_, text) = file.view(GRAPH, Dtype::U8)?;
    match text.len() {
        len if len > limit => {
            let message =
                format!("describes its network in {len} bytes, at most {limit} are read (`header_limit`)");
            Err(file.error(&message))
        }
        _ => Ok(text),
    }
}

/// Visits the nodes one by one, each checked against those before it, with its path, the value that its first output
/// is, and scale and zero point of each output.
fn visit_nodes(
    graph: &ReadGraph<'_>,
    file: &CheckedFile,
    visit: &mut dyn FnMut(NodeRecord, ValueId, Vec<Option<crate::QParams>>) -> Result<()>,
) -> Result<Vec<ValueId>> {
    let mut verified = verify::Graph::default();
    let mut visit = |record: NodeRecord| {
        let path = record.path().to_owned();
        let visit = || {
            let first =
                verified.node(&path, !record.members.is_empty(), &record.inputs, record.outputs.len())?;
            let qparams =
                record.outputs.iter().map(|output| output.as_ref().map(ValueRecord::qparams).transpose());
            let qparams = qparams.collect::<Result<Vec<_>>>()?;
            visit(record, first, qparams)
        };
        visit().map_err(|error| file.named(error, &path))
    };
    for_each_node(graph.nodes, &mut visit).map_err(|error| file.broken(&error))??;
    let outputs: Vec<ValueId> = limited(graph.outputs).map_err(|error| file.broken(&error))?;
    verified.outputs(&outputs).map_err(|error| file.named(error, ""))?;
    Ok(outputs)
}

/// The summary of a model in a file.
///
/// # Errors
/// When the file is not there, damaged, not that of a converted model, or of another version.
pub(crate) fn summary(path: &Path, header_limit: usize) -> Result<ModelSummary> {
    let file = CheckedFile::open(path, header_limit)?;
    let text = graph_text(&file, header_limit)?;
    let graph: ReadGraph<'_> = serde_json::from_slice(&text).map_err(|error| file.broken(&error))?;
    let mut edges = Vec::new();
    visit_nodes(&graph, &file, &mut |record, _, qparams| {
        let precision = record.precision()?.name();
        edges.extend(qparams.into_iter().map(|qparams| EdgeSummary {
            path: record.path().to_owned(),
            operation: record.operation().to_owned(),
            precision: precision.to_owned(),
            qparams,
        }));
        Ok(())
    })?;
    Ok(ModelSummary::new(&graph.model, graph.backend, graph.metadata, edges))
}

/// Reads a network.
pub(super) fn load(path: &Path, loaders: &Loaders, options: LoadOptions) -> Result<Network> {
    let file = CheckedFile::open(path, options.header_limit)?.with_bytes(options.mapped)?;
    let text = graph_text(&file, options.header_limit)?;
    let graph: ReadGraph<'_> = serde_json::from_slice(&text).map_err(|error| file.broken(&error))?;
    let (mut nodes, mut values) = (Vec::new(), Vec::new());
    let outputs = visit_nodes(&graph, &file, &mut |record, first, qparams| {
        let index = nodes.len();
        let made =
            qparams.into_iter().map(|qparams| NetworkValue { node: index, qparams: qparams.map(Arc::new) });
        values.extend(made);
        let outputs = (first..values.len()).collect();
        let path = record.path().to_owned();
        let mut node = Node { path, inputs: record.inputs.clone(), outputs, call: None };
        if !record.members.is_empty() {
            node.call = Some(load_call(&record, &node, &values, graph.backend, loaders, &file)?);
        }
        nodes.push(node);
        Ok(())
    })?;
    file.refuse_unread()?;
    let (model, signature, backend) = (graph.model.into_owned(), graph.signature.into_owned(), graph.backend);
    let metadata = graph.metadata;
    drop(text);
    Ok(Network {
        model,
        signature,
        backend,
        metadata,
        nodes,
        values,
        outputs,
        mapped: options.mapped.then(|| Arc::new(file.file.into_file())),
        non_finite: Default::default(),
        programs: Programs::default(),
    })
}

fn load_call(
    record: &NodeRecord,
    node: &Node,
    values: &[NetworkValue],
    backend: crate::Backend,
    loaders: &Loaders,
    file: &CheckedFile,
) -> Result<Call> {
    let members = record.members.iter().map(|member| {
        let op = loaders.load(&member.op, &member.config)?;
        Ok(NodeMember { path: member.path.clone(), op })
    });
    let members: Vec<NodeMember> = members.collect::<Result<_>>()?;
    let precision = record.precision()?;
    verify::call(&members, precision, node, values)?;
    let stored = StoredTensors::new(&node.path, &record.records, file);
    let formats = |ids: &[ValueId]| formats(ids, values, &members, precision);
    let (inputs, outputs) = (formats(node.data_inputs_of(&members)), formats(&node.outputs));
    let observer = Box::new(MinMaxObserver::new());
    let lowering = Lowering::new(precision, backend, &inputs, &outputs, observer).with_stored(&stored);
    let executable = lower(&members, lowering)?;
    stored.refuse_unread()?;
    Ok(Call { members, precision, executable })
}

/// Writes a network.
pub(super) fn save(network: &Network, path: &Path) -> Result<()> {
    let broken = |error: serde_json::Error| Error::file(path, error.to_string());
    if network.nodes.len() > MAX_NODES {
        let message = format!("a network of {} nodes; a file holds {MAX_NODES}", network.nodes.len());
        return Err(Error::Unsupported(message));
    }
    let mut tensors = Vec::new();
    let nodes = network.nodes.iter().map(|node| record(node, &network.values, &mut tensors));
    let graph = WrittenGraph {
        model: Cow::Borrowed(&network.model),
        backend: network.backend,
        signature: Cow::Borrowed(&network.signature),
        metadata: network.metadata.clone(),
        nodes: nodes.collect::<Result<_>>()?,
        outputs: &network.outputs,
    };
    let text = serde_json::to_vec(&graph).map_err(broken)?;
    tensors.push(FileTensor { name: GRAPH.into(), dtype: Dtype::U8, shape: vec![text.len()], bytes: text });
    let shape = vec![tensors.len() + 1];
    tensors.push(FileTensor { name: CHECKSUMS.into(), dtype: Dtype::U64, shape, bytes: Vec::new() });
    // Packed weights first, each whole cache lines; then the widest, so that every number lies aligned.
    tensors.sort_by(|left, right| {
        let key = |tensor: &FileTensor| (std::cmp::Reverse(tensor.dtype.bitsize()), tensor.name == CHECKSUMS);
        key(left).cmp(&key(right)).then_with(|| left.name.cmp(&right.name))
    });
    if let Some(pair) = tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(Error::Unsupported(format!("two tensors of the name `{}`", pair[0].name)));
    }
    let entries: Vec<TensorEntry<'_>> = tensors
        .iter()
        .map(|FileTensor { name, dtype, shape, .. }| TensorEntry { name, dtype: *dtype, shape })
        .collect();
    let header =
        write_header(&[("format", FORMAT), ("version", VERSION)], &entries, ALIGNMENT).map_err(broken)?;
    let others = tensors.iter().filter(|tensor| tensor.name != CHECKSUMS);
    let checksums = std::iter::once(checksum(&header)).chain(others.map(|tensor| checksum(&tensor.bytes)));
    let checksums: Vec<u8> = checksums.flat_map(u64::to_le_bytes).collect();
    replace_with(path, |file| {
        let mut write = |bytes: &[u8]| file.write_all(bytes).map_err(|error| Error::io(path, error));
        write(&header)?;
        for tensor in &tensors {
            write(if tensor.name == CHECKSUMS { &checksums } else { &tensor.bytes })?;
        }
        Ok(())
    })
}

fn record(node: &Node, values: &[NetworkValue], tensors: &mut Vec<FileTensor>) -> Result<NodeRecord> {
    let outputs = node
        .outputs
        .iter()
        .map(|&output| values[output].qparams.as_deref().map(ValueRecord::new).transpose());
    let outputs = outputs.collect::<Result<_>>()?;
    let (path, inputs) = (&node.path, node.inputs.clone());
    let Some(call) = &node.call else {
        return Ok(NodeRecord::new(path, inputs, outputs, Precision::Float, Vec::new(), Default::default()));
    };
    let members = call.members.iter().map(|member| {
        let op = member.op.name().to_owned();
        Ok(MemberRecord { path: member.path.clone(), op, config: member.op.config()? })
    });
    let members = members.collect::<Result<_>>()?;
    let mut writer = TensorWriter::new(path, tensors);
    call.executable.save(&mut writer).map_err(|error| error.in_layer(path))?;
    Ok(NodeRecord::new(path, inputs, outputs, call.precision, members, writer.into_records()))
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
