//! `QConfigMapping`: which qconfig each operation of a model gets, by name, pattern, type or position.

use std::fmt;

use regex_lite::Regex;

use crate::observer::{
    default_fixed_qparams_range_0to1_observer, default_fixed_qparams_range_neg1to1_observer,
    default_placeholder_observer, default_weight_observer,
};
use crate::{Backend, DType, Error, QConfig, Result};

/// A type of layer that a [`QConfigMapping`] can speak of.
pub trait ObjectType {
    /// The type's name, as PyTorch spells it, e.g. `Conv2d`.
    const NAME: &'static str;
}

/// How many observers are placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// As PyTorch's FX graph mode.
    #[default]
    Graph,
    /// As PyTorch's eager mode: operations that keep their input's scale are not observed themselves.
    Eager,
}

/// Assigns a [`QConfig`] to every operation; `None` leaves an operation in float.
///
/// When several entries match an operation, the most particular one wins (as in PyTorch's FX mode): module name
/// with type and position, module name, pattern, type, global. An entry for a module also holds for all that is
/// inside, unless a nearer one is named. A fused group goes by its first member.
///
/// An entry that decides for no operation of the model is an error of `prepare`.
///
/// ```
/// use qcore::{Backend, QConfig, QConfigMapping};
///
/// let mapping = QConfigMapping::for_backend(Backend::Native)
///     .module("layers.0.conv1", None)
///     .module_name_regex(r"layers\.\d+\.downsample", None)?
///     .object_type("Linear", QConfig::dynamic());
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct QConfigMapping {
    backend: Backend,
    mode: Mode,
    global: Option<QConfig>,
    /// Of [`QConfigMapping::for_backend`], for types that a model may have or not.
    exceptions: Entries<String>,
    object_types: Entries<String>,
    regexes: Entries<Pattern>,
    modules: Entries<String>,
    orders: Entries<Position>,
}

/// Entries of one kind in the order of their coming.
type Entries<K> = Vec<(K, Option<QConfig>)>;

/// A regular expression; patterns are equal when their text is.
#[derive(Clone, Debug)]
struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// The `index`-th call of a type inside a module.
#[derive(Clone, Debug, PartialEq)]
struct Position {
    module: String,
    object_type: String,
    index: usize,
}

/// An operation of a model, as a mapping sees it.
#[derive(Clone, Copy, Debug)]
pub struct NodeKey<'a> {
    /// The path of a layer; for a function the path of the module that calls it, empty for the model itself.
    pub module_path: &'a str,
    /// `Conv2d`, `relu`, `add`: of a fused group, that of the first member. Types of layers begin with a capital
    /// letter, functions with a small one.
    pub object_type: &'a str,
    /// How many calls of the same type came before in the same module. For a layer that module is the one
    /// around it, as in PyTorch.
    pub index: usize,
}

impl<'a> NodeKey<'a> {
    /// The module within which calls are counted.
    pub fn scope(&self) -> &'a str {
        let is_layer = self.object_type.starts_with(|first: char| first.is_uppercase());
        if is_layer { parent(self.module_path) } else { self.module_path }
    }
}

impl QConfigMapping {
    /// A mapping that leaves everything in float.
    pub fn new() -> Self {
        Self::default()
    }

    /// PyTorch's `get_default_qconfig_mapping`: the backend's default qconfig for everything, with exceptions.
    ///
    /// `reshape` shares its input's observer; transposed convolutions have per-tensor weights (no engine runs
    /// per-channel ones; PyTorch leaves them per channel for onednn and then computes wrongly); the weight
    /// of a layer norm stays in float; `PReLU` has `quint8` weights; sigmoid, hardsigmoid, softmax and tanh
    /// have fixed qparams.
    pub fn for_backend(backend: Backend) -> Self {
        let default = QConfig::get_default_qconfig(backend);
        let transposed = default.with_weight(default_weight_observer());
        let layer_norm = default.with_weight(default_placeholder_observer());
        let zero_to_one =
            QConfig::new(default_fixed_qparams_range_0to1_observer(), default_weight_observer());
        let minus_one_to_one =
            QConfig::new(default_fixed_qparams_range_neg1to1_observer(), default_weight_observer());
        let exceptions: [(&[&str], QConfig); 6] = [
            (&["reshape"], QConfig::default_reuse_input_qconfig()),
            (
                &[
                    "ConvTranspose1d",
                    "ConvTranspose2d",
                    "ConvTranspose3d",
                    "conv_transpose1d",
                    "conv_transpose2d",
                    "conv_transpose3d",
                ],
                transposed,
            ),
            (&["LayerNorm", "layer_norm"], layer_norm),
            (&["PReLU"], QConfig::default_quint8_weight_qconfig()),
            (&["Hardsigmoid", "hardsigmoid", "Sigmoid", "sigmoid", "Softmax", "softmax"], zero_to_one),
            (&["Tanh", "tanh"], minus_one_to_one),
        ];
        let exceptions = exceptions
            .iter()
            .flat_map(|(names, qconfig)| names.iter().map(|&name| (name.to_owned(), Some(qconfig.clone()))));
        Self { exceptions: exceptions.collect(), ..Self::new() }.with_backend(backend).global(default)
    }

    /// The same with another default for these types, which a model may have or not.
    pub(crate) fn with_exceptions(mut self, names: &[&str], qconfig: &QConfig) -> Self {
        for &name in names {
            set(&mut self.exceptions, name.to_owned(), Some(qconfig.clone()));
        }
        self
    }

    /// What PyTorch's eager `quantize_dynamic` does by default for weights of a dtype.
    ///
    /// | dtype | layers | qconfig |
    /// |---|---|---|
    /// | `qint8` | `Linear`, `LSTM`, `GRU`, `LSTMCell`, `GRUCell`, `RNNCell` | [`QConfig::default_dynamic_qconfig`] |
    /// | `float16` | the same | [`QConfig::float16_dynamic_qconfig`] |
    /// | `quint8` | `Embedding`, `EmbeddingBag` | [`QConfig::float_qparams_weight_only_qconfig`] |
    /// | `quint4x2` | `EmbeddingBag` | [`QConfig::float_qparams_weight_only_qconfig_4bit`] |
    ///
    /// # Errors
    /// For every other dtype.
    pub fn for_dynamic(dtype: DType) -> Result<Self> {
        const MULTIPLYING: &[&str] = &["Linear", "LSTM", "GRU", "LSTMCell", "GRUCell", "RNNCell"];
        let (types, qconfig) = match dtype {
            DType::QInt8 => (MULTIPLYING, QConfig::default_dynamic_qconfig()),
            DType::Float16 => (MULTIPLYING, QConfig::float16_dynamic_qconfig()),
            DType::QUInt8 => {
                (&["Embedding", "EmbeddingBag"][..], QConfig::float_qparams_weight_only_qconfig())
            }
            DType::QUInt4x2 => (&["EmbeddingBag"][..], QConfig::float_qparams_weight_only_qconfig_4bit()),
            other => {
                let message =
                    format!("no weights of {}; choose qint8, float16, quint8 or quint4x2", other.name());
                return Err(Error::parameter("QConfigMapping::for_dynamic", message));
            }
        };
        let exceptions = types.iter().map(|&name| (name.to_owned(), Some(qconfig.clone())));
        Ok(Self { exceptions: exceptions.collect(), ..Self::new() })
    }

    /// Sets whose requantization formula converted models follow; [`Backend::Native`] by default.
    #[must_use]
    pub fn with_backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// Sets how many observers are placed; [`Mode::Graph`] by default.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets the qconfig of everything that no other entry matches.
    #[must_use]
    pub fn global(mut self, qconfig: impl Into<Option<QConfig>>) -> Self {
        self.global = qconfig.into();
        self
    }

    /// Sets the qconfig of a type of layer.
    #[must_use]
    pub fn module_type<T: ObjectType>(self, qconfig: impl Into<Option<QConfig>>) -> Self {
        self.object_type(T::NAME, qconfig)
    }

    /// Sets the qconfig of a type of layer or a function by its name: `Conv2d`, `Linear`, `add`, `relu`, `cat`.
    #[must_use]
    pub fn object_type(mut self, name: &str, qconfig: impl Into<Option<QConfig>>) -> Self {
        set(&mut self.object_types, name.to_owned(), qconfig.into());
        self
    }

    /// Sets the qconfig of every layer whose path the pattern matches from its start (Python's `re.match`), and
    /// of the functions that such a module calls. Of several patterns the first one counts.
    ///
    /// # Errors
    /// When the pattern is not a regular expression.
    pub fn module_name_regex(mut self, pattern: &str, qconfig: impl Into<Option<QConfig>>) -> Result<Self> {
        let regex = Regex::new(pattern).map_err(|error| {
            Error::parameter("QConfigMapping", format!("`{pattern}` is not a regular expression: {error}"))
        })?;
        set(&mut self.regexes, Pattern(regex), qconfig.into());
        Ok(self)
    }

    /// Sets the qconfig of a module by its path, e.g. `layers.0.conv1`, and of all inside it.
    #[must_use]
    pub fn module(mut self, name: &str, qconfig: impl Into<Option<QConfig>>) -> Self {
        set(&mut self.modules, name.to_owned(), qconfig.into());
        self
    }

    /// Sets the qconfig of the `index`-th call of a type inside a module, whose path is empty for the model
    /// itself: `("layers.0", "add", 1, …)` is the second addition in `layers.0`.
    #[must_use]
    pub fn module_name_object_type_order(
        mut self,
        module_name: &str,
        object_type: &str,
        index: usize,
        qconfig: impl Into<Option<QConfig>>,
    ) -> Self {
        let position =
            Position { module: module_name.to_owned(), object_type: object_type.to_owned(), index };
        set(&mut self.orders, position, qconfig.into());
        self
    }

    /// Whose requantization formula converted models follow.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// How many observers are placed.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The qconfig of an operation; `None` if it stays in float.
    pub fn resolve(&self, key: &NodeKey<'_>) -> Option<QConfig> {
        match self.deciding(key) {
            Some(entry) => self.qconfig(entry).clone(),
            None => self.otherwise(key).clone(),
        }
    }

    /// The entry that decides for an operation; `None` where what holds for all of its type, or all, does.
    pub(crate) fn deciding(&self, key: &NodeKey<'_>) -> Option<EntryId> {
        self.naming(key)
            .or_else(|| self.by_regex(key.module_path))
            .or_else(|| find(&self.object_types, EntryId::ObjectType, |name| name == key.object_type))
    }

    /// The qconfig where no entry decides.
    pub(crate) fn otherwise(&self, key: &NodeKey<'_>) -> &Option<QConfig> {
        let exception = self.exceptions.iter().find(|(name, _)| name == key.object_type);
        exception.map_or(&self.global, |(_, qconfig)| qconfig)
    }

    /// The entry that names exactly this call: `layers.0.y_plus_identity`, `fc#1`.
    pub(crate) fn of_call(&self, path: &str) -> Option<EntryId> {
        find(&self.modules, EntryId::Module, |name| name == path)
    }

    /// The entry that names the operation: by position, by its own path or by that of a module around it.
    pub(crate) fn naming(&self, key: &NodeKey<'_>) -> Option<EntryId> {
        self.by_position(key).or_else(|| self.by_name(key.module_path))
    }

    /// The qconfig of an entry.
    pub(crate) fn qconfig(&self, entry: EntryId) -> &Option<QConfig> {
        let found = match entry {
            EntryId::Position(index) => self.orders.get(index).map(|(_, qconfig)| qconfig),
            EntryId::Module(index) => self.modules.get(index).map(|(_, qconfig)| qconfig),
            EntryId::Regex(index) => self.regexes.get(index).map(|(_, qconfig)| qconfig),
            EntryId::ObjectType(index) => self.object_types.get(index).map(|(_, qconfig)| qconfig),
        };
        found.unwrap_or(&self.global)
    }

    /// Every entry that was made by a call of one of the methods above.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (EntryId, Entry<'_>)> {
        let orders = self.orders.iter().enumerate().map(|(index, (position, _))| {
            let Position { module, object_type, index: order } = position;
            (EntryId::Position(index), Entry::Position(module, object_type, *order))
        });
        let modules = self.modules.iter().enumerate();
        let modules = modules.map(|(index, (name, _))| (EntryId::Module(index), Entry::Module(name)));
        let regexes = self.regexes.iter().enumerate();
        let regexes = regexes.map(|(index, (pattern, _))| (EntryId::Regex(index), Entry::Regex(&pattern.0)));
        let types = self.object_types.iter().enumerate();
        let types = types.map(|(index, (name, _))| (EntryId::ObjectType(index), Entry::ObjectType(name)));
        modules.chain(orders).chain(regexes).chain(types)
    }

    fn by_position(&self, key: &NodeKey<'_>) -> Option<EntryId> {
        find(&self.orders, EntryId::Position, |position| {
            position.module == key.scope()
                && position.object_type == key.object_type
                && position.index == key.index
        })
    }

    /// The entry of the module or of the nearest one around it.
    fn by_name(&self, path: &str) -> Option<EntryId> {
        if path.is_empty() {
            return None;
        }
        find(&self.modules, EntryId::Module, |name| name == path).or_else(|| self.by_name(parent(path)))
    }

    fn by_regex(&self, path: &str) -> Option<EntryId> {
        find(&self.regexes, EntryId::Regex, |pattern| matches_start(&pattern.0, path))
    }
}

/// An entry, as an index into those of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EntryId {
    Position(usize),
    Module(usize),
    Regex(usize),
    ObjectType(usize),
}

/// What an entry speaks of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry<'a> {
    /// Module, type, and how many calls of the type come before.
    Position(&'a str, &'a str, usize),
    Module(&'a str),
    Regex(&'a Regex),
    ObjectType(&'a str),
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Position("", object_type, index) => write!(f, "{object_type} {index}"),
            Self::Position(module, object_type, index) => write!(f, "{object_type} {index} in {module}"),
            Self::Module(name) | Self::ObjectType(name) => f.write_str(name),
            Self::Regex(pattern) => f.write_str(pattern.as_str()),
        }
    }
}

/// Python's `re.match`.
pub(crate) fn matches_start(pattern: &Regex, path: &str) -> bool {
    // The leftmost match begins at the start if any does.
    pattern.find(path).is_some_and(|found| found.start() == 0)
}

/// The path without its last name; empty for a name at the top.
fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// Replaces the entry with that key, or appends one.
fn set<K: PartialEq>(entries: &mut Entries<K>, key: K, qconfig: Option<QConfig>) {
    match entries.iter_mut().find(|(existing, _)| *existing == key) {
        Some((_, value)) => *value = qconfig,
        None => entries.push((key, qconfig)),
    }
}

/// The first entry whose key matches.
fn find<K>(
    entries: &Entries<K>,
    id: impl Fn(usize) -> EntryId,
    matches: impl Fn(&K) -> bool,
) -> Option<EntryId> {
    entries.iter().position(|(key, _)| matches(key)).map(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observer::MinMaxObserver;

    /// A qconfig that the tests below tell from others by the eps of its weights.
    fn marked(mark: u8) -> QConfig {
        QConfig::new(MinMaxObserver::new(), MinMaxObserver::new().eps(f32::from(mark)))
    }

    fn resolved(mapping: &QConfigMapping, module_path: &str, object_type: &str, index: usize) -> Option<u8> {
        let qconfig = mapping.resolve(&NodeKey { module_path, object_type, index })?;
        let weight = qconfig.weight_observer();
        weight.as_any().downcast_ref::<MinMaxObserver>().map(|observer| observer.settings().eps as u8)
    }

    #[test]
    fn the_most_particular_entry_wins() {
        let mut mapping = QConfigMapping::new();
        assert_eq!(resolved(&mapping, "block.fc", "Linear", 0), None);
        mapping = mapping.global(marked(1));
        assert_eq!(resolved(&mapping, "block.fc", "Linear", 0), Some(1));
        mapping = mapping.object_type("Linear", marked(2));
        assert_eq!(resolved(&mapping, "block.fc", "Linear", 0), Some(2));
        mapping = mapping.module_name_regex("block.*", marked(3)).unwrap();
        assert_eq!(resolved(&mapping, "block.fc", "Linear", 0), Some(3));
        mapping = mapping.module("block.fc", marked(4));
        assert_eq!(resolved(&mapping, "block.fc", "Linear", 0), Some(4));
        mapping = mapping.module_name_object_type_order("block", "Linear", 0, marked(5));
        assert_eq!(resolved(&mapping, "block.fc", "Linear", 0), Some(5));
        assert_eq!(resolved(&mapping, "block.fc", "Linear", 1), Some(4));
        assert_eq!(resolved(&mapping, "other", "Conv2d", 0), Some(1));
    }

    #[test]
    fn a_match_of_none_is_not_the_same_as_no_match() {
        let mapping = QConfigMapping::new().global(marked(1)).module("fc", None).object_type("add", None);
        assert_eq!(resolved(&mapping, "fc", "Linear", 0), None);
        assert_eq!(resolved(&mapping, "", "add", 0), None);
        assert_eq!(resolved(&mapping, "fc2", "Linear", 0), Some(1));
    }

    #[test]
    fn a_module_passes_its_entry_on_and_the_nearest_wins() {
        let mapping = QConfigMapping::new().module("layers", marked(1)).module("layers.0", marked(2));
        assert_eq!(resolved(&mapping, "layers.0.conv1", "Conv2d", 0), Some(2));
        assert_eq!(resolved(&mapping, "layers.1.conv1", "Conv2d", 0), Some(1));
        assert_eq!(resolved(&mapping, "layers.0", "add", 0), Some(2));
        assert_eq!(resolved(&mapping, "layers2", "Conv2d", 0), None);
    }

    #[test]
    fn patterns_match_from_the_start_and_the_first_counts() {
        let mapping = QConfigMapping::new()
            .module_name_regex("conv|fc", marked(1))
            .and_then(|mapping| mapping.module_name_regex("b", marked(2)))
            .and_then(|mapping| mapping.module_name_regex(".*conv", marked(3)))
            .unwrap();
        assert_eq!(resolved(&mapping, "conv1", "Conv2d", 0), Some(1));
        assert_eq!(resolved(&mapping, "b.conv1", "Conv2d", 0), Some(2));
        assert_eq!(resolved(&mapping, "a.conv1", "Conv2d", 0), Some(3));
        assert_eq!(resolved(&mapping, "a.fc", "Linear", 0), None);
        assert!(QConfigMapping::new().module_name_regex("(", None).is_err());
    }

    #[test]
    fn functions_are_counted_in_the_module_that_calls_them() {
        let mapping = QConfigMapping::new()
            .module_name_object_type_order("block", "add", 1, marked(1))
            .module_name_object_type_order("", "Linear", 0, marked(2));
        assert_eq!(resolved(&mapping, "block", "add", 0), None);
        assert_eq!(resolved(&mapping, "block", "add", 1), Some(1));
        assert_eq!(resolved(&mapping, "fc", "Linear", 0), Some(2));
    }

    #[test]
    fn a_later_entry_replaces_an_equal_one() {
        let mapping = QConfigMapping::new().module("fc", marked(1)).module("fc", marked(2));
        assert_eq!(resolved(&mapping, "fc", "Linear", 0), Some(2));
    }

    #[test]
    fn backends_have_their_exceptions() {
        let mapping = QConfigMapping::for_backend(Backend::Fbgemm);
        assert_eq!(mapping.backend(), Backend::Fbgemm);
        let observers = |object_type| {
            let key = NodeKey { module_path: "x", object_type, index: 0 };
            let qconfig = mapping.resolve(&key).unwrap();
            (qconfig.activation_observer().name(), qconfig.weight_observer().name())
        };
        assert_eq!(observers("Conv2d"), ("HistogramObserver", "PerChannelMinMaxObserver"));
        assert_eq!(observers("ConvTranspose2d"), ("HistogramObserver", "MinMaxObserver"));
        assert_eq!(observers("LayerNorm"), ("HistogramObserver", "PlaceholderObserver"));
        assert_eq!(observers("reshape"), ("ReuseInputObserver", "NoopObserver"));
        assert_eq!(observers("Sigmoid"), ("FixedQParamsObserver", "MinMaxObserver"));
    }
}
