//! The fusions as data: conv-bn-relu, conv-relu, linear-relu, add-relu. PyTorch's, and those that only save the float
//! variant a pass over memory.

use crate::ir::{Callee, LayerKind, Member};

/// A chain of operations that run as one.
#[derive(Debug)]
pub struct Pattern {
    /// As in the text form of a graph, for messages.
    pub name: &'static str,
    pub members: &'static [Matcher],
}

/// What may stand at one place of a chain.
#[derive(Debug)]
pub enum Matcher {
    Layer(LayerKind),
    AnyOf(&'static [LayerKind]),
    Function(&'static str),
    /// A field of type `ReLU` or a call of `relu`.
    Relu,
    /// A field of type `ReLU6` or a call of `relu6`.
    Relu6,
}

impl Matcher {
    pub fn matches(&self, member: &Member) -> bool {
        match (&member.callee, self) {
            (Callee::Layer(layer), Self::Layer(kind)) => layer.kind == *kind,
            (Callee::Layer(layer), Self::AnyOf(kinds)) => kinds.contains(&layer.kind),
            (Callee::Layer(layer), Self::Relu) => layer.kind == LayerKind::ReLU,
            (Callee::Function(call), Self::Function(name)) => call.function.name == *name,
            (Callee::Layer(layer), Self::Relu6) => layer.kind == LayerKind::ReLU6,
            (Callee::Function(call), Self::Relu) => call.function.name == "relu",
            (Callee::Function(call), Self::Relu6) => call.function.name == "relu6",
            (Callee::Layer(_), Self::Function(_))
            | (Callee::Function(_), Self::Layer(_) | Self::AnyOf(_)) => false,
        }
    }
}

use LayerKind::{
    BatchNorm1d, BatchNorm2d, BatchNorm3d, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d,
    ConvTranspose3d, Linear,
};
use Matcher::{AnyOf, Function, Layer, Relu, Relu6};

/// Every fusion of the int8 variants; a longer one stands before the shorter ones that it contains.
pub const PATTERNS: &[Pattern] = &[
    Pattern { name: "conv_bn_relu", members: &[Layer(Conv1d), Layer(BatchNorm1d), Relu] },
    Pattern { name: "conv_bn_relu", members: &[Layer(Conv2d), Layer(BatchNorm2d), Relu] },
    Pattern { name: "conv_bn_relu", members: &[Layer(Conv3d), Layer(BatchNorm3d), Relu] },
    Pattern { name: "linear_bn_relu", members: &[Layer(Linear), Layer(BatchNorm1d), Relu] },
    Pattern { name: "conv_bn", members: &[Layer(Conv1d), Layer(BatchNorm1d)] },
    Pattern { name: "conv_bn", members: &[Layer(Conv2d), Layer(BatchNorm2d)] },
    Pattern { name: "conv_bn", members: &[Layer(Conv3d), Layer(BatchNorm3d)] },
    Pattern { name: "conv_transpose_bn", members: &[Layer(ConvTranspose1d), Layer(BatchNorm1d)] },
    Pattern { name: "conv_transpose_bn", members: &[Layer(ConvTranspose2d), Layer(BatchNorm2d)] },
    Pattern { name: "conv_transpose_bn", members: &[Layer(ConvTranspose3d), Layer(BatchNorm3d)] },
    Pattern { name: "linear_bn", members: &[Layer(Linear), Layer(BatchNorm1d)] },
    Pattern { name: "conv_relu", members: &[AnyOf(&[Conv1d, Conv2d, Conv3d]), Relu] },
    Pattern { name: "linear_relu", members: &[Layer(Linear), Relu] },
    Pattern { name: "bn_relu", members: &[AnyOf(&[BatchNorm2d, BatchNorm3d]), Relu] },
    Pattern { name: "add_relu", members: &[Function("add"), Relu] },
    Pattern { name: "mul_relu", members: &[Function("mul"), Relu] },
    Pattern { name: "add_scalar_relu", members: &[Function("add_scalar"), Relu] },
    Pattern { name: "mul_scalar_relu", members: &[Function("mul_scalar"), Relu] },
];

/// Every fusion of the float variant, in the same order.
pub const FLOAT_PATTERNS: &[Pattern] = &[
    Pattern { name: "conv_bn_relu", members: &[Layer(Conv2d), Layer(BatchNorm2d), Relu] },
    Pattern { name: "conv_bn_relu6", members: &[Layer(Conv2d), Layer(BatchNorm2d), Relu6] },
    Pattern { name: "conv_bn", members: &[Layer(Conv2d), Layer(BatchNorm2d)] },
    Pattern { name: "conv_relu", members: &[Layer(Conv2d), Relu] },
    Pattern { name: "conv_relu6", members: &[Layer(Conv2d), Relu6] },
    Pattern { name: "add_relu", members: &[Function("add"), Relu] },
];
