//! The operations that a `forward` body may use: `qcore::functional` as data.

/// One function: how it is called, what it becomes, how its output gets a scale.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// As the user calls it, `max_pool2d`.
    pub name: &'static str,
    /// The operation's type in `qcore::functional`'s runtime, `MaxPool2d`; also its name for mappings.
    pub op_type: &'static str,
    /// How many tensors come first.
    pub tensors: Tensors,
    /// The arguments after the tensors. A call gives the first few: see [`Function::required`].
    pub parameters: &'static [Parameter],
    /// How many of the parameters must be given; the rest have PyTorch's defaults.
    pub required: usize,
    /// What the plan does with its output.
    pub output: OutputRule,
    /// How many tensors it makes.
    pub results: Results,
}

/// An argument that is not a tensor.
#[derive(Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: &'static str,
    pub kind: ParameterKind,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    Integer,
    Float,
    Bool,
    /// `3` or `(3, 3)`.
    IntegerOrPair,
    /// One or several integers: `1`, `(0, 2, 3, 1)`, `[2, 3]`; always handed on as an array.
    Integers,
    /// The extents of `reshape`, in which `x.size(0)` may stand.
    Extents,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tensors {
    Exactly(usize),
    /// An array or tuple of tensors: `cat([a, b], 1)`.
    List,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Results {
    One,
    /// `let (a, b) = x.chunk(2, 1);`: lowered to one node each, told apart by `Argument::Piece`.
    Pieces,
}

/// Where the scale of an operation's output comes from (NUMERICS section 16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputRule {
    /// Its own observer: `add`, `mul`, weighted layers.
    Observed,
    /// The input's scale: pools, `relu`, `clamp`, `mean`, `cat` (whose inputs all share one).
    SameAsInput,
    /// As [`OutputRule::SameAsInput`], and the values do not change at all: `flatten`, `reshape`, `permute`.
    ShapeOnly,
    /// Computed from the input's: `add_scalar`, `mul_scalar`.
    Derived,
    /// A forced boundary: `quant`, `dequant`.
    Boundary,
}

/// The function that the user calls by this name.
pub fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Every function, in the order in which messages list them.
pub static FUNCTIONS: &[Function] = &[
    unary("relu", "ReLU", OutputRule::SameAsInput),
    unary("relu6", "ReLU6", OutputRule::SameAsInput),
    binary("add", "Add"),
    binary("sub", "Sub"),
    binary("mul", "Mul"),
    Function { parameters: &[SCALAR], required: 1, ..unary("add_scalar", "AddScalar", OutputRule::Derived) },
    Function { parameters: &[SCALAR], required: 1, ..unary("mul_scalar", "MulScalar", OutputRule::Derived) },
    Function {
        tensors: Tensors::List,
        parameters: &[DIM],
        required: 0,
        ..unary("cat", "Cat", OutputRule::SameAsInput)
    },
    Function {
        parameters: &[KERNEL_SIZE, STRIDE, PADDING, pair("dilation"), flag("ceil_mode")],
        required: 1,
        ..unary("max_pool2d", "MaxPool2d", OutputRule::SameAsInput)
    },
    Function {
        parameters: &[KERNEL_SIZE, STRIDE, PADDING, flag("ceil_mode"), flag("count_include_pad")],
        required: 1,
        ..unary("avg_pool2d", "AvgPool2d", OutputRule::SameAsInput)
    },
    Function {
        parameters: &[pair("output_size")],
        required: 1,
        ..unary("adaptive_avg_pool2d", "AdaptiveAvgPool2d", OutputRule::SameAsInput)
    },
    Function {
        parameters: &[integer("start_dim"), integer("end_dim")],
        ..unary("flatten", "Flatten", OutputRule::ShapeOnly)
    },
    reshape("reshape"),
    reshape("view"),
    Function {
        parameters: &[Parameter { name: "dims", kind: ParameterKind::Integers }],
        required: 1,
        ..unary("permute", "Permute", OutputRule::ShapeOnly)
    },
    Function {
        parameters: &[integer("dim0"), integer("dim1")],
        required: 2,
        ..unary("transpose", "Transpose", OutputRule::ShapeOnly)
    },
    Function {
        parameters: &[integer("chunks"), DIM],
        required: 1,
        results: Results::Pieces,
        ..unary("chunk", "Chunk", OutputRule::ShapeOnly)
    },
    Function {
        parameters: &[integer("split_size"), DIM],
        required: 1,
        results: Results::Pieces,
        ..unary("split", "Split", OutputRule::ShapeOnly)
    },
    Function {
        parameters: &[Parameter { name: "dims", kind: ParameterKind::Integers }, flag("keepdim")],
        required: 1,
        ..unary("mean", "Mean", OutputRule::SameAsInput)
    },
    Function {
        parameters: &[float("min"), float("max")],
        required: 2,
        ..unary("clamp", "Clamp", OutputRule::SameAsInput)
    },
    Function { parameters: &[float("p")], ..unary("dropout", "Dropout", OutputRule::SameAsInput) },
    unary("quant", "Quant", OutputRule::Boundary),
    unary("dequant", "Dequant", OutputRule::Boundary),
];

const SCALAR: Parameter = float("scalar");
const DIM: Parameter = integer("dim");
const KERNEL_SIZE: Parameter = pair("kernel_size");
const STRIDE: Parameter = pair("stride");
const PADDING: Parameter = pair("padding");

const fn unary(name: &'static str, op_type: &'static str, output: OutputRule) -> Function {
    Function {
        name,
        op_type,
        tensors: Tensors::Exactly(1),
        parameters: &[],
        required: 0,
        output,
        results: Results::One,
    }
}

const fn binary(name: &'static str, op_type: &'static str) -> Function {
    Function { tensors: Tensors::Exactly(2), ..unary(name, op_type, OutputRule::Observed) }
}

const fn reshape(name: &'static str) -> Function {
    Function {
        parameters: &[Parameter { name: "shape", kind: ParameterKind::Extents }],
        required: 1,
        ..unary(name, "Reshape", OutputRule::ShapeOnly)
    }
}

const fn integer(name: &'static str) -> Parameter {
    Parameter { name, kind: ParameterKind::Integer }
}

const fn float(name: &'static str) -> Parameter {
    Parameter { name, kind: ParameterKind::Float }
}

const fn flag(name: &'static str) -> Parameter {
    Parameter { name, kind: ParameterKind::Bool }
}

const fn pair(name: &'static str) -> Parameter {
    Parameter { name, kind: ParameterKind::IntegerOrPair }
}
