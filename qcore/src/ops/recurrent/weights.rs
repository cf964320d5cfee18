//! The tensors of recurrent layers, by PyTorch's names.

use super::super::init::{Generator, empty, fitting};
use super::super::product::Product;
use super::super::weights::Names;
use super::super::{Lowering, element_count};
use crate::model::join;
use crate::{Error, Result, Tensor};

/// The sizes of a layer or a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sizes {
    pub(super) gates: usize,
    pub(super) input_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_layers: usize,
    pub(super) bidirectional: bool,
    pub(super) bias: bool,
    /// Whether names have no suffix.
    pub(super) is_cell: bool,
}

impl Sizes {
    /// 1 or 2.
    pub(super) fn directions(self) -> usize {
        1 + usize::from(self.bidirectional)
    }

    /// Rows of a weight.
    pub(super) fn gate_values(self) -> usize {
        self.gates.saturating_mul(self.hidden_size)
    }

    /// Columns of a layer's input weight.
    pub(super) fn inputs(self, layer: usize) -> usize {
        if layer == 0 { self.input_size } else { self.directions().saturating_mul(self.hidden_size) }
    }

    /// `_l0`, `_l0_reverse`; nothing of a cell.
    fn suffix(self, layer: usize, direction: usize) -> String {
        match (self.is_cell, direction) {
            (true, _) => String::new(),
            (false, 0) => format!("_l{layer}"),
            (false, _) => format!("_l{layer}_reverse"),
        }
    }
}

/// The tensors of one layer in one direction.
#[derive(Clone, Debug, PartialEq)]
struct Direction {
    suffix: String,
    input: [usize; 2],
    hidden: [usize; 2],
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Option<Tensor>,
    bias_hh: Option<Tensor>,
}

/// Names and tensors of all layers, of each the forward direction first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Weights {
    sizes: Sizes,
    directions: Vec<Direction>,
}

/// More layers are a mistake.
const MAX_LAYERS: usize = 1 << 12;

/// The products of one layer in one direction.
#[derive(Debug)]
pub(super) struct LoweredDirection {
    suffix: String,
    pub(super) input: Product,
    pub(super) hidden: Product,
}

impl Weights {
    /// PyTorch's distribution.
    pub(super) fn new(name: &'static str, sizes: Sizes) -> Self {
        let seed = [sizes.input_size, sizes.hidden_size, sizes.num_layers, sizes.directions()];
        let mut generator = Generator::for_layer(name, &seed);
        Self::made(sizes, |shape| generator.weight_and_bias(&shape, shape[0], sizes.hidden_size))
    }

    /// Without values, of a file.
    pub(super) fn empty(sizes: Sizes) -> Self {
        Self::made(sizes, |_| (empty(), empty()))
    }

    fn made(sizes: Sizes, mut make: impl FnMut([usize; 2]) -> (Tensor, Tensor)) -> Self {
        let places = (0..sizes.num_layers.min(MAX_LAYERS))
            .flat_map(|layer| (0..sizes.directions()).map(move |direction| (layer, direction)));
        let directions = places.map(|(layer, direction)| {
            let (input, hidden) =
                ([sizes.gate_values(), sizes.inputs(layer)], [sizes.gate_values(), sizes.hidden_size]);
            let ((weight_ih, bias_ih), (weight_hh, bias_hh)) = (make(input), make(hidden));
            let (bias_ih, bias_hh) = (sizes.bias.then_some(bias_ih), sizes.bias.then_some(bias_hh));
            let suffix = sizes.suffix(layer, direction);
            Direction { suffix, input, hidden, weight_ih, weight_hh, bias_ih, bias_hh }
        });
        Self { sizes, directions: directions.collect() }
    }

    pub(super) fn set(&mut self, layer: &'static str, name: &str, value: Tensor) -> Result<()> {
        let mut found = None;
        self.parameters_mut("", &mut |known, tensor| {
            if known == name {
                found =
                    Some(fitting(layer, "tensor", value.clone(), tensor.shape()).map(|new| *tensor = new));
            }
        });
        found.unwrap_or_else(|| Err(Error::parameter(layer, format!("has no tensor `{name}`"))))
    }

    pub(super) fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        for Direction { suffix, weight_ih, weight_hh, bias_ih, bias_hh, .. } in &self.directions {
            let tensors = [
                ("weight_ih", Some(weight_ih)),
                ("weight_hh", Some(weight_hh)),
                ("bias_ih", bias_ih.as_ref()),
                ("bias_hh", bias_hh.as_ref()),
            ];
            for (name, tensor) in tensors {
                if let Some(tensor) = tensor {
                    visit(join(path, &format!("{name}{suffix}")), tensor);
                }
            }
        }
    }

    pub(super) fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        for Direction { suffix, weight_ih, weight_hh, bias_ih, bias_hh, .. } in &mut self.directions {
            let tensors = [
                ("weight_ih", Some(weight_ih)),
                ("weight_hh", Some(weight_hh)),
                ("bias_ih", bias_ih.as_mut()),
                ("bias_hh", bias_hh.as_mut()),
            ];
            for (name, tensor) in tensors {
                if let Some(tensor) = tensor {
                    visit(join(path, &format!("{name}{suffix}")), tensor);
                }
            }
        }
    }

    /// The products of all layers, in order.
    pub(super) fn lower(
        &self,
        operation: &'static str,
        lowering: &Lowering<'_>,
    ) -> Result<Vec<LoweredDirection>> {
        let Sizes { input_size, hidden_size, num_layers, .. } = self.sizes;
        if input_size == 0 || hidden_size == 0 || num_layers == 0 || num_layers > MAX_LAYERS {
            let message = format!(
                "input_size {input_size}, hidden_size {hidden_size} and num_layers {num_layers} must not be 0, layers \
                 at most {MAX_LAYERS}"
            );
            return Err(Error::parameter(operation, message));
        }
        let lower = |direction: &Direction| {
            let Direction { suffix, input, hidden, weight_ih, weight_hh, bias_ih, bias_hh } = direction;
            for shape in [input, hidden] {
                if element_count(shape).is_none() {
                    return Err(Error::shape(operation, "a weight that can be addressed", shape));
                }
            }
            let product = |part: &str, weight: &Tensor, bias: Option<&Tensor>, shape| {
                let [weight_name, bias_name] = names(part, suffix);
                let names = Names { weight: &weight_name, bias: &bias_name };
                Product::lower(names, operation, weight, bias, shape, lowering)
            };
            Ok(LoweredDirection {
                suffix: suffix.clone(),
                input: product("ih", weight_ih, bias_ih.as_ref(), *input)?,
                hidden: product("hh", weight_hh, bias_hh.as_ref(), *hidden)?,
            })
        };
        self.directions.iter().map(lower).collect()
    }
}

fn names(part: &str, suffix: &str) -> [String; 2] {
    [format!("weight_{part}{suffix}"), format!("bias_{part}{suffix}")]
}

impl LoweredDirection {
    /// Each product with the names of its tensors.
    pub(super) fn products(&self) -> [([String; 2], &Product); 2] {
        [(names("ih", &self.suffix), &self.input), (names("hh", &self.suffix), &self.hidden)]
    }
}
