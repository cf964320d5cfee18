//! The catalogue: one row for each operation, the only place for its facts.
//!
//! `qmacros` reads a `forward` body by it, `qcore` quantizes by it, and README's table is written from it. A new
//! operation is a row in `operations.rs`; the types of this file say what a row holds.
//!
//! ```
//! let pool = qcatalogue::by_layer("MaxPool2d").expect("a row");
//! assert_eq!(pool.function, Some("max_pool2d"));
//! assert_eq!(pool.output, qcatalogue::OutputRule::SameAsInput);
//! ```

mod fusions;
mod operations;
mod unsupported;

pub use fusions::{Fusion, fusion, fusions, is_float_fusion};
pub use operations::operations;
pub use unsupported::{Unsupported, unsupported, unsupported_function, unsupported_layer};

/// An operation: how it is written, what it is given, what quantization does with it.
///
/// The function and the layer that compute the same (`relu` and `ReLU`) are one operation.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its key: the function's name, or the layer's if there is only a layer.
    pub name: &'static str,
    /// Its name in the text of a graph, `conv2d`; the function's where there is one.
    pub label: &'static str,
    /// The function, free or as a method: `max_pool2d`.
    pub function: Option<&'static str>,
    /// Other names of the function: `view` for `reshape`.
    pub aliases: &'static [&'static str],
    /// PyTorch's layer: `MaxPool2d`.
    pub layer: Option<&'static str>,
    /// The Rust type in `qcore::ops`: `AddScalar`.
    pub type_name: &'static str,
    /// The tensors that it reads.
    pub tensors: Tensors,
    /// The function's arguments after the tensors. A call gives the first few: see [`Operation::required`].
    pub parameters: &'static [Parameter],
    /// How many of the parameters must be given; the rest have PyTorch's defaults.
    pub required: usize,
    /// How many of the first parameters are ways to say the same, of which a call gives one and `None` for those before.
    pub alternatives: usize,
    /// The tensors that it makes.
    pub results: Results,
    /// Where the scale of its output comes from.
    pub output: OutputRule,
    /// Its place in fusions.
    pub role: Role,
    /// How many spatial dimensions it has, where that decides what it fuses with. A linear layer counts as 1: its
    /// batch norm is `BatchNorm1d`.
    pub dimensions: Option<usize>,
    /// How it can compute.
    pub precisions: &'static [Precision],
    /// Its name with a ReLU fused behind it: `ConvReLU2d`. None if PyTorch does not fuse the two.
    pub with_relu: Option<&'static str>,
    /// The operator of ONNX that computes it.
    pub onnx: Option<&'static str>,
}

impl Operation {
    /// The names under which the function can be called, the usual one first.
    pub fn functions(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.function.into_iter().chain(self.aliases.iter().copied())
    }

    /// Whether it can compute with this precision.
    pub fn supports(&self, precision: Precision) -> bool {
        self.precisions.contains(&precision)
    }
}

/// The tensors that an operation reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tensors {
    /// This many.
    Exactly(usize),
    /// One or more, written as an array or tuple: `cat([a, b], 1)`.
    List,
}

/// An argument of a function that is not one of the tensors in front.
#[derive(Debug, PartialEq, Eq)]
pub struct Parameter {
    /// PyTorch's name.
    pub name: &'static str,
    /// What may be written.
    pub kind: ParameterKind,
}

/// What may be written for a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// `1`.
    Integer,
    /// `0.5`.
    Float,
    /// `true`.
    Bool,
    /// `3` or `(3, 3)`.
    IntegerOrPair,
    /// `3` or `(3, 3, 3)`.
    IntegerOrTriple,
    /// One or several integers: `1`, `(0, 2, 3, 1)`, `[2, 3]`; always handed on as an array.
    Integers,
    /// The extents of `reshape`, in which `x.size(0)` may stand.
    Extents,
    /// One of these words: `"bilinear"`.
    Choice(&'static [&'static str]),
    /// A further tensor or `None`. A function's constructor is told which of the inputs it is; a layer is called
    /// with such parameters alone and knows them by their order.
    Tensor,
}

/// The tensors that an operation makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Results {
    /// One.
    One,
    /// As many as the pattern of the `let` names, one node for each: `let (a, b) = x.chunk(2, 1);`.
    Pieces,
    /// This many, two or more, in one node.
    Several(usize),
    /// An output, and a state of this many tensors, two or more: `let (y, (h, c)) = self.lstm(x);`.
    WithState(usize),
}

impl Results {
    /// How many tensors one node makes.
    pub const fn count(self) -> usize {
        match self {
            Self::One | Self::Pieces => 1,
            Self::Several(number) => number,
            Self::WithState(number) => 1 + number,
        }
    }
}

/// Where the scale of an operation's output comes from (NUMERICS sections 14 and 16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputRule {
    /// Its own observer: weighted layers, `add`, `sub`, `mul`.
    Observed,
    /// The scale of its input, though the values change: pools, `relu`, `clamp`, `mean`.
    SameAsInput,
    /// The scale of its input, whose values are moved at most: `flatten`, `permute`, `Identity`.
    Moved,
    /// All inputs and the output share one observer: `cat`.
    Shared,
    /// Computed from the scale of its input: `add_scalar`, `mul_scalar`.
    Derived,
    /// The user's own `quant(x)`: from float to int8, observed.
    Quantize,
    /// The user's own `dequant(x)`: to float, and what follows stays there until `quant`.
    Dequantize,
}

/// The place of an operation in fusions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes no part.
    None,
    /// A convolution of any dimensions.
    Conv,
    /// A transposed convolution of any dimensions.
    ConvTranspose,
    /// A linear layer.
    Linear,
    /// A batch norm of any dimensions.
    BatchNorm,
    /// An activation that can run at the end of another operation's pass.
    Activation(Activation),
    /// The sum of two tensors.
    Add,
    /// The product of two tensors.
    Mul,
    /// The sum of a tensor and a number.
    AddScalar,
    /// The product of a tensor and a number.
    MulScalar,
}

/// An activation that can run at the end of another operation's pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

/// How a node computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// In f32.
    Float,
    /// On integers, with scales that calibration found.
    Static,
    /// With int8 weights, and the input's scale from each input anew.
    Dynamic,
    /// With weights of 8 or fewer bits, which become floats where they are multiplied.
    WeightOnly,
    /// With weights in half precision.
    Half,
}

impl Precision {
    /// Every precision.
    pub const ALL: [Self; 5] = [Self::Float, Self::Static, Self::Dynamic, Self::WeightOnly, Self::Half];

    /// PyTorch's word: `float`, `static`, `dynamic`, `weight_only`, `half`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Static => "static",
            Self::Dynamic => "dynamic",
            Self::WeightOnly => "weight_only",
            Self::Half => "half",
        }
    }

    /// The precision of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|precision| precision.name() == name)
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// The operation with this key, see [`Operation::name`].
pub fn operation(name: &str) -> Option<&'static Operation> {
    operations().iter().find(|operation| operation.name == name)
}

/// The operation that a function of this name computes, aliases included.
pub fn by_function(name: &str) -> Option<&'static Operation> {
    operations().iter().find(|operation| operation.functions().any(|known| known == name))
}

/// The operation of PyTorch's layer of this name.
pub fn by_layer(name: &str) -> Option<&'static Operation> {
    operations().iter().find(|operation| operation.layer == Some(name))
}

/// The functions in the order in which messages list them, aliases included.
pub fn functions() -> impl Iterator<Item = &'static str> {
    operations().iter().flat_map(Operation::functions)
}

/// The layers in the order in which messages list them.
pub fn layers() -> impl Iterator<Item = &'static str> {
    operations().iter().filter_map(|operation| operation.layer)
}
