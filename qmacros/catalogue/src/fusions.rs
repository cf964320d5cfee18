//! The chains of operations that run as one, by role. PyTorch's list, less what has no row here.

use crate::{Activation, Operation, Role};

/// A chain of operations that run as one.
#[derive(Debug, PartialEq, Eq)]
pub struct Fusion {
    /// Its name in messages.
    pub name: &'static str,
    /// The role of each member, in the order in which they run.
    pub roles: &'static [Role],
}

impl Fusion {
    /// Whether these operations, in this order, are such a chain.
    pub fn matches(&self, operations: &[&Operation]) -> bool {
        self.roles.iter().eq(operations.iter().map(|operation| &operation.role))
            && are_of_equal_dimensions(operations)
            && (self.roles.last() != Some(&RELU) || operations[0].with_relu.is_some())
    }
}

/// The fusion as which these operations run, in this order.
pub fn fusion(operations: &[&Operation]) -> Option<&'static Fusion> {
    fusions().iter().find(|fusion| fusion.matches(operations))
}

/// Every fusion; a longer one stands before the shorter ones that it contains.
pub fn fusions() -> &'static [Fusion] {
    FUSIONS
}

/// Whether float alone runs these as one: a ReLU6 behind a convolution, with its batch norm or without, costs float no
/// pass over memory. In int8 it is a clamp of its own.
pub fn is_float_fusion(operations: &[&Operation]) -> bool {
    let Some((activation, group)) = operations.split_last() else { return false };
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return false };
    activation.role == RELU6
        && first.role == Role::Conv
        && !matches!(last.role, Role::Activation(_))
        && (group.len() == 1 || fusion(group).is_some())
}

const RELU: Role = Role::Activation(Activation::Relu);
const RELU6: Role = Role::Activation(Activation::Relu6);

static FUSIONS: &[Fusion] = &[
    Fusion { name: "conv_bn_relu", roles: &[Role::Conv, Role::BatchNorm, RELU] },
    Fusion { name: "linear_bn_relu", roles: &[Role::Linear, Role::BatchNorm, RELU] },
    Fusion { name: "conv_bn", roles: &[Role::Conv, Role::BatchNorm] },
    Fusion { name: "conv_transpose_bn", roles: &[Role::ConvTranspose, Role::BatchNorm] },
    Fusion { name: "linear_bn", roles: &[Role::Linear, Role::BatchNorm] },
    Fusion { name: "conv_relu", roles: &[Role::Conv, RELU] },
    Fusion { name: "linear_relu", roles: &[Role::Linear, RELU] },
    Fusion { name: "bn_relu", roles: &[Role::BatchNorm, RELU] },
    Fusion { name: "add_relu", roles: &[Role::Add, RELU] },
    Fusion { name: "mul_relu", roles: &[Role::Mul, RELU] },
    Fusion { name: "add_scalar_relu", roles: &[Role::AddScalar, RELU] },
    Fusion { name: "mul_scalar_relu", roles: &[Role::MulScalar, RELU] },
];

fn are_of_equal_dimensions(operations: &[&Operation]) -> bool {
    let mut dimensions = operations.iter().filter_map(|operation| operation.dimensions);
    let first = dimensions.next();
    dimensions.all(|other| Some(other) == first)
}
