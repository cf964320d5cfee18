//! The description of a network in a file, as JSON. What has its default value is left out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::network::ValueId;
use crate::ops::Precision;
use crate::{Backend, DType, Error, QParams, Result};

/// The most nodes of a network in a file.
pub(super) const MAX_NODES: usize = 1 << 14;
/// The most bytes of the description of one node, or of the outputs.
const MAX_RECORD: usize = 1 << 16;
/// The most entries of the user's metadata.
const MAX_METADATA: usize = 1 << 12;

/// A network. Its nodes are read one by one, so that reading takes no more memory than the text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GraphRecord<'a, Nodes, Outputs> {
    #[serde(borrow)]
    pub(super) model: Cow<'a, str>,
    pub(super) backend: Backend,
    #[serde(borrow)]
    pub(super) signature: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "metadata")]
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) nodes: Nodes,
    pub(super) outputs: Outputs,
}

/// A network as it is written.
pub(super) type WrittenGraph<'a> = GraphRecord<'a, Vec<NodeRecord>, &'a [ValueId]>;
/// A network whose nodes are to be read.
pub(super) type ReadGraph<'a> = GraphRecord<'a, &'a RawValue, &'a RawValue>;

/// A parameter of `forward`, or a call of an operation.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeRecord {
    /// That of the first member if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) inputs: Vec<ValueId>,
    /// How each output becomes integers; one that does not, if not given. They are the next values of the network.
    #[serde(default = "one_float", skip_serializing_if = "is_one_float")]
    pub(super) outputs: Vec<Option<ValueRecord>>,
    /// `static` if not given.
    #[serde(default = "default_precision", skip_serializing_if = "is_default_precision")]
    precision: String,
    /// The operation and those fused behind it; none for a parameter of `forward`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) members: Vec<MemberRecord>,
    /// The records of the weights, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) records: BTreeMap<String, Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberRecord {
    /// The layer's state-dict path; a function has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<String>,
    pub(super) op: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(super) config: Value,
}

/// Scale and zero point of a value.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ValueRecord {
    scale: f32,
    #[serde(default, skip_serializing_if = "is_default")]
    zero_point: i32,
    #[serde(default = "default_dtype", skip_serializing_if = "is_default_dtype")]
    dtype: DType,
    /// That of the type if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quant_min: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quant_max: Option<i32>,
}

/// Of a quantized tensor, whose scales and zero points are tensors too, what is not as usual.
#[derive(Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QuantizedRecord {
    /// Of the channels; 0 if not given.
    #[serde(default, skip_serializing_if = "is_default")]
    axis: usize,
    /// That of a type smaller than the integers in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dtype: Option<DType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quant_min: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quant_max: Option<i32>,
}

fn one_float() -> Vec<Option<ValueRecord>> {
    vec![None]
}

fn is_one_float(outputs: &[Option<ValueRecord>]) -> bool {
    matches!(outputs, [None])
}

fn default_precision() -> String {
    Precision::Static.name().to_owned()
}

fn is_default_precision(precision: &str) -> bool {
    precision == Precision::Static.name()
}

fn default_dtype() -> DType {
    DType::QUInt8
}

fn is_default_dtype(dtype: &DType) -> bool {
    *dtype == default_dtype()
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl NodeRecord {
    pub(super) fn new(
        path: &str,
        inputs: Vec<ValueId>,
        outputs: Vec<Option<ValueRecord>>,
        precision: Precision,
        members: Vec<MemberRecord>,
        records: BTreeMap<String, Value>,
    ) -> Self {
        let is_members = members.first().is_some_and(|member| member.path.as_deref() == Some(path));
        let path = (!is_members).then(|| path.to_owned());
        // A parameter of `forward` has no precision.
        let precision = if members.is_empty() { Precision::Static } else { precision };
        Self { path, inputs, outputs, precision: precision.name().to_owned(), members, records }
    }

    /// Unique in the network.
    pub(super) fn path(&self) -> &str {
        let of_member = || self.members.first()?.path.as_deref();
        self.path.as_deref().or_else(of_member).unwrap_or_default()
    }

    /// How the node computes; in float, if it is a parameter of `forward`.
    pub(super) fn precision(&self) -> Result<Precision> {
        if self.members.is_empty() {
            return Ok(Precision::Float);
        }
        Precision::of_name(&self.precision)
            .ok_or_else(|| Error::Unsupported(format!("the precision `{}`", self.precision)))
    }

    /// PyTorch's name of the operation; `input` for a parameter of `forward`.
    pub(super) fn operation(&self) -> &str {
        let Some((first, followers)) = self.members.split_first() else { return "input" };
        let row = |name: &str| qcatalogue::operation(name);
        let is_activation = |member: &MemberRecord| {
            row(&member.op).is_some_and(|row| matches!(row.role, qcatalogue::Role::Activation(_)))
        };
        let fused = followers.iter().any(is_activation).then(|| row(&first.op)?.with_relu).flatten();
        fused.unwrap_or(&first.op)
    }
}

impl ValueRecord {
    /// # Errors
    /// When there is a scale for each channel.
    pub(super) fn new(qparams: &QParams) -> Result<Self> {
        if qparams.is_per_channel() {
            return Err(Error::Unsupported("a value with a scale for each channel".into()));
        }
        let (quant_min, quant_max) = narrower(qparams);
        let (scale, zero_point) = (qparams.tensor_scale(), qparams.tensor_zero_point());
        Ok(Self { scale, zero_point, dtype: qparams.dtype, quant_min, quant_max })
    }

    /// # Errors
    /// When they are out of range.
    pub(super) fn qparams(&self) -> Result<QParams> {
        let qparams = QParams::per_tensor(self.scale, self.zero_point, self.dtype)?;
        in_range(qparams, self.quant_min, self.quant_max)
    }
}

impl QuantizedRecord {
    /// Of a tensor whose integers are stored as those of `stored`.
    pub(super) fn new(qparams: &QParams, stored: DType) -> Self {
        let (quant_min, quant_max) = narrower(qparams);
        let dtype = Some(qparams.dtype).filter(|&dtype| dtype != stored);
        Self { axis: qparams.axis.unwrap_or(0), dtype, quant_min, quant_max }
    }

    /// # Errors
    /// When they do not fit together.
    pub(super) fn qparams(
        &self,
        scale: Vec<f32>,
        zero_point: Vec<i32>,
        is_per_channel: bool,
        stored: DType,
    ) -> Result<QParams> {
        let dtype = self.dtype.unwrap_or(stored);
        let (quant_min, quant_max) = dtype.range().unwrap_or_default();
        let axis = is_per_channel.then_some(self.axis);
        let qparams = QParams { scale, zero_point, axis, dtype, quant_min, quant_max };
        qparams.validate()?;
        in_range(qparams, self.quant_min, self.quant_max)
    }
}

/// The range of integers, if it is not that of their type.
fn narrower(qparams: &QParams) -> (Option<i32>, Option<i32>) {
    let range = (qparams.quant_min, qparams.quant_max);
    match qparams.dtype.range() == Some(range) {
        true => (None, None),
        false => (Some(range.0), Some(range.1)),
    }
}

fn in_range(qparams: QParams, quant_min: Option<i32>, quant_max: Option<i32>) -> Result<QParams> {
    let (low, high) = (quant_min.unwrap_or(qparams.quant_min), quant_max.unwrap_or(qparams.quant_max));
    qparams.with_range(low, high)
}

/// The nodes one by one; the error is that of the JSON, or the first that `visit` gives.
pub(super) fn for_each_node(
    nodes: &RawValue,
    visit: &mut dyn FnMut(NodeRecord) -> Result<()>,
) -> Result<Result<()>, serde_json::Error> {
    let mut failed = None;
    let mut deserializer = serde_json::Deserializer::from_str(nodes.get());
    let read = deserializer.deserialize_seq(Nodes { visit, failed: &mut failed });
    match failed {
        Some(error) => Ok(Err(error)),
        None => read.map(Ok),
    }
}

struct Nodes<'a> {
    visit: &'a mut dyn FnMut(NodeRecord) -> Result<()>,
    failed: &'a mut Option<Error>,
}

impl<'de> Visitor<'de> for Nodes<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX_NODES} nodes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut count = 0;
        while let Some(text) = seq.next_element::<&RawValue>()? {
            count += 1;
            if count > MAX_NODES {
                return Err(A::Error::invalid_length(count, &self));
            }
            if let Err(error) = (self.visit)(limited(text).map_err(A::Error::custom)?) {
                *self.failed = Some(error);
                return Err(A::Error::custom("a node"));
            }
        }
        Ok(())
    }
}

/// Reads what takes more memory than its text, which therefore must be short.
pub(super) fn limited<T: for<'de> Deserialize<'de>>(text: &RawValue) -> serde_json::Result<T> {
    match text.get() {
        text if text.len() > MAX_RECORD => Err(serde_json::Error::custom(format_args!(
            "a record of {} bytes, at most {MAX_RECORD} are read",
            text.len()
        ))),
        text => serde_json::from_str(text),
    }
}

fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct Metadata;

    impl<'de> Visitor<'de> for Metadata {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX_METADATA} strings by name")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = BTreeMap::new();
            while let Some((key, value)) = map.next_entry()? {
                if found.len() == MAX_METADATA {
                    return Err(A::Error::invalid_length(MAX_METADATA + 1, &self));
                }
                if found.insert(key, value).is_some() {
                    return Err(A::Error::custom("a name is there twice"));
                }
            }
            Ok(found)
        }
    }

    deserializer.deserialize_map(Metadata)
}
