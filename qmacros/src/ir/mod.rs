//! The graph between parsing and code generation: definitions only.
//!
//! A [`Graph`] is in single-assignment form. Control flow is structured: a [`Node`] may own [`Block`]s (the
//! body of a `for`, the arms of an `if`), which read values of the enclosing blocks freely and hand values
//! back through explicit lists. Nothing is mutated after lowering; what a pass finds out goes into a side
//! table or into a new graph.

pub mod lower;
pub mod print;
pub mod verify;

use proc_macro2::{Span, TokenStream};
use qcatalogue::Operation;
#[cfg(not(test))]
use qcatalogue::by_function;
use syn::Ident;

#[cfg(test)]
use self::lower::testing::by_function;

/// A tensor (or the many tensors that one name stood for, told apart).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub usize);

/// A loop, so that a path inside its body can speak of the current index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LoopId(pub usize);

/// The body of `forward`.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The model's name.
    pub name: Ident,
    /// The parameters of `forward`, in order; each defines a value.
    pub inputs: Vec<ValueId>,
    /// Indexed by [`ValueId`].
    pub values: Vec<Value>,
    /// The statements.
    pub body: Block,
    /// What `forward` returns.
    pub outputs: Outputs,
    /// Each function that is called, at the path by which the user named it.
    pub functions: Vec<NamedFunction>,
}

/// A path that must name the function of an operation, which only rustc can tell.
#[derive(Clone, Debug)]
pub struct NamedFunction {
    pub path: syn::Path,
    pub operation: &'static Operation,
}

/// What is known of a value whatever pass runs.
#[derive(Clone, Debug)]
pub struct Value {
    /// The name of the binding that it got, or of the operation that made it.
    pub name: String,
    /// Where it was made, for errors and for the hygiene of the binding.
    pub span: Span,
}

/// Several values, and whether the user wrote them as a tuple: `-> Tensor` or `-> (Tensor, Tensor)`.
#[derive(Clone, Debug)]
pub struct Outputs {
    pub values: Vec<ValueId>,
    pub is_tuple: bool,
    pub span: Span,
}

/// Nodes in the order in which they run.
#[derive(Clone, Debug, Default)]
pub struct Block {
    pub nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub kind: NodeKind,
    /// The narrowest piece of the user's source that stands for this node.
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum NodeKind {
    Op(OpNode),
    Model(ModelNode),
    For(ForNode),
    Branch(BranchNode),
}

/// One operation, or a fused group of them.
#[derive(Clone, Debug)]
pub struct OpNode {
    /// What runs. Before fusion exactly one; after it the members of the group in the order in which they
    /// run: the first decides the kind, a batch norm and a ReLU may follow.
    pub members: Vec<Member>,
    /// The tensors that the first member reads (fused followers have no other input), optional ones last.
    pub operands: Vec<ValueId>,
    /// Tensors of which only a shape is read, `x.size(0)` inside `reshape`; after the operands at run time.
    pub shape_operands: Vec<ValueId>,
    /// What it makes, by which it is known; of several values the first.
    pub result: ValueId,
    /// The other values. An operation that makes several is in no fused group.
    pub further_results: Vec<ValueId>,
}

#[derive(Clone, Debug)]
pub struct Member {
    /// The node's name if it stands alone, unique in its block: `conv1`, `y_plus_identity`.
    pub name: String,
    pub callee: Callee,
    /// The value of this member alone; the last member's is the node's result.
    pub result: ValueId,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Callee {
    /// A layer that lives in a field: `self.conv1`.
    Layer(LayerPlace),
    /// A function of `qcore::functional` or an operator.
    Function(FunctionCall),
}

impl OpNode {
    /// The operation that decides what the node is: the first member's.
    pub fn operation(&self) -> &'static Operation {
        self.members[0].operation()
    }

    /// Unique in its block: the first member's.
    pub fn name(&self) -> &str {
        &self.members[0].name
    }

    /// Every value that it makes.
    pub fn results(&self) -> Vec<ValueId> {
        [&[self.result], self.further_results.as_slice()].concat()
    }
}

impl Callee {
    /// As messages call it: `self.conv1`, `relu`.
    pub fn spelling(&self) -> String {
        match self {
            Self::Layer(layer) => format!("self.{}", layer.place.root_field),
            Self::Function(call) => call.function.name.to_owned(),
        }
    }

    pub fn operation(&self) -> &'static Operation {
        match self {
            Self::Layer(layer) => layer.operation,
            Self::Function(call) => call.function.operation,
        }
    }
}

impl Member {
    /// Where it lives, if it is a layer.
    pub fn place(&self) -> Option<&Place> {
        match &self.callee {
            Callee::Layer(layer) => Some(&layer.place),
            Callee::Function(_) => None,
        }
    }

    pub fn operation(&self) -> &'static Operation {
        self.callee.operation()
    }
}

/// A layer of the catalogue and where it lives; for a submodel see [`ModelNode`].
#[derive(Clone, Debug)]
pub struct LayerPlace {
    pub operation: &'static Operation,
    pub place: Place,
}

/// Where a layer or a submodel lives, and under which name.
#[derive(Clone, Debug)]
pub struct Place {
    /// `self.conv1`, `(*block)` (bound by `for` or `Some(..)`), then one `.0.i` for each level of `Sequential`:
    /// a place expression, never a reference, so that `&#float_expr` borrows the layer from the float struct.
    pub float_expr: TokenStream,
    /// The type as the user wrote it.
    pub ty: syn::Type,
    /// The state-dict path, e.g. `downsample` `0`, or `layers` `<index of loop 0>`.
    pub path: Vec<PathSegment>,
    /// The field of the user's struct in which it lives.
    pub root_field: Ident,
    /// From the attributes of that field.
    pub skip: bool,
    /// From the attributes of that field: `qconfig = path`.
    pub qconfig: Option<syn::Path>,
    /// From the model at `path` to the layer, if it lies in another model: `stem` of `self.backbone.stem(x)`.
    pub within: Vec<Inner>,
}

/// A field of another model, whose type is not seen.
#[derive(Clone, Debug)]
pub struct Inner {
    /// The other model, a place expression as `float_expr`.
    pub model: TokenStream,
    /// Its type, if that is written in this model.
    pub ty: syn::Type,
    pub field: Ident,
}

#[derive(Clone, Debug)]
pub enum PathSegment {
    Name(String),
    /// The index of a loop, and that of the loop's first element.
    Index {
        id: LoopId,
        first: usize,
    },
    /// The index of an element that is named by a number: `self.convs[i]`.
    Number(TokenStream),
}

/// A function of the catalogue under the name by which it is called: `view` is `reshape`.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    pub name: &'static str,
    pub operation: &'static Operation,
}

impl Function {
    pub fn named(name: &str) -> Option<Self> {
        let operation = by_function(name)?;
        let name = operation.functions().find(|known| *known == name)?;
        Some(Self { name, operation })
    }
}

/// A call of a function with its arguments after the tensors, as the user wrote them.
#[derive(Clone, Debug)]
pub struct FunctionCall {
    pub function: Function,
    /// Rust expressions over literals and config fields (`self.groups`), in the order of the catalogue: the
    /// first few parameters, then for `chunk` and `split` one [`Argument::Piece`]. Integer lists (`permute`,
    /// `mean`) are array expressions. The shape of `reshape` is [`Argument::Extents`].
    pub arguments: Vec<Argument>,
}

#[derive(Clone, Debug)]
pub enum Argument {
    /// Passed on as it is.
    Expr(TokenStream),
    /// The extents of `reshape`: literals and config fields, or the size of one of the shape operands.
    Extents(Vec<Extent>),
    /// Which of the operands an optional tensor is, if it is given.
    Tensor(Option<usize>),
    /// Which of several results of `chunk` and `split` this node takes (they are lowered to one node each).
    Piece(usize),
}

#[derive(Clone, Debug)]
pub enum Extent {
    Expr(TokenStream),
    /// `x.size(dim)`: index into `shape_operands`, and the axis.
    SizeOf {
        shape_operand: usize,
        dim: TokenStream,
    },
    /// Arithmetic over sizes: `x.size(1) / 2`.
    Arithmetic {
        operator: SizeOperator,
        operands: Box<[Extent; 2]>,
    },
}

/// Arithmetic that extents may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeOperator {
    Add,
    Sub,
    Mul,
    Div,
}

impl SizeOperator {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
        }
    }
}

/// A call of a nested `#[quantizable]` model.
#[derive(Clone, Debug)]
pub struct ModelNode {
    pub place: Place,
    pub operands: Vec<ValueId>,
    pub results: Vec<ValueId>,
    /// Whether the results were bound as a tuple.
    pub results_are_tuple: bool,
    /// Unique in its block.
    pub name: String,
}

/// `for binding in &self.field { … }`, a loop over numbers, or a direct call of a `Vec` field.
#[derive(Clone, Debug)]
pub struct ForNode {
    /// One for each `Vec` that the loop goes through: paths speak of the position in it.
    pub ids: Vec<LoopId>,
    /// What the loop goes through, for texts: `self.layers`.
    pub iterable: TokenStream,
    /// The iterator, `::core::iter::Iterator::enumerate(self.layers.iter())`.
    pub iterator: TokenStream,
    /// What an element is bound to, `(index_0, block)`.
    pub pattern: TokenStream,
    /// Variables that the body re-assigns.
    pub carried: Vec<Carried>,
    pub body: Block,
    /// Unique in its block: the `Vec`'s field.
    pub name: String,
}

/// A variable that lives across iterations.
#[derive(Clone, Debug)]
pub struct Carried {
    /// Its value before the loop.
    pub initial: ValueId,
    /// Its value when an iteration begins.
    pub entry: ValueId,
    /// Its value when an iteration ends.
    pub next: ValueId,
    /// Its value after the loop.
    pub result: ValueId,
}

/// `if self.flag`, `if let Some(layer) = &self.field`, `match &self.field`.
#[derive(Clone, Debug)]
pub struct BranchNode {
    pub condition: Condition,
    pub then_block: Block,
    pub else_block: Block,
    /// Values that come out of both arms.
    pub merged: Vec<Merged>,
    /// Unique in its block: the field that decides.
    pub name: String,
    /// The patterns of a whole `match`, for rustc to see that they cover everything.
    pub exhaustive: Option<TokenStream>,
}

#[derive(Clone, Debug)]
pub enum Condition {
    /// A `bool` config expression: `self.use_shortcut`, `!self.use_shortcut`.
    Flag(TokenStream),
    /// An `Option` field, a place expression, and the name that its content gets in the then-block.
    IsSome { option: TokenStream, binding: Ident },
    /// A config expression that matches a pattern; in the else-block another one, if it binds something.
    Matches { scrutinee: TokenStream, pattern: TokenStream, otherwise: Option<TokenStream> },
}

#[derive(Clone, Debug)]
pub struct Merged {
    pub then_value: ValueId,
    pub else_value: ValueId,
    pub result: ValueId,
}
