//! `LSTM`, `GRU` and the cells `LSTMCell`, `GRUCell`, `RNNCell`: in float, and with the products on integers whose
//! scale is found at every step (NUMERICS section 11).

mod kernel;
mod weights;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plain::plain_op;
use super::{Executable, Lowering, Op, Precision};
use crate::model::Parameters;
use crate::{Result, Tensor};

use kernel::{Recurrent, Sequence};
use weights::{Sizes, Weights};

/// The activation of an [`RNNCell`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nonlinearity {
    /// The hyperbolic tangent.
    #[default]
    Tanh,
    /// `max(x, 0)`.
    Relu,
}

/// The arithmetic of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Lstm,
    Gru,
    Rnn(Nonlinearity),
}

impl Cell {
    /// Products of each hidden value.
    fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
            Self::Rnn(_) => 1,
        }
    }

    /// Tensors of a state: `h`, and of an LSTM `c`.
    fn states(self) -> usize {
        if self == Self::Lstm { 2 } else { 1 }
    }
}

/// The precisions that have kernels; everything else is refused.
fn check_precision(operation: &'static str, lowering: &Lowering<'_>) -> Result<()> {
    match lowering.precision {
        Precision::Float | Precision::Dynamic | Precision::Half => Ok(()),
        _ => Err(lowering.unsupported(operation)),
    }
}

/// What all of the types below implement, from `cell`, `sizes` and `sequence` of the type.
macro_rules! recurrent_op {
    ($Type:ident, $name:literal) => {
        impl $Type {
            /// The tensors by PyTorch's names: `weight_ih_l0`, or of a cell `weight_ih`.
            ///
            /// # Errors
            /// When there is none of this name, or its shape is another.
            pub fn with_parameter(mut self, name: &str, value: impl Into<Tensor>) -> Result<Self> {
                self.weights.set($name, name, value.into())?;
                Ok(self)
            }
        }

        impl Op for $Type {
            fn name(&self) -> &'static str {
                $name
            }

            plain_op!();

            fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
                check_precision($name, lowering)?;
                let layers = self.weights.lower($name, lowering)?;
                Ok(Arc::new(Recurrent::new($name, self.cell(), self.sizes(), self.sequence(), layers)))
            }

            fn output_count(&self) -> usize {
                self.cell().states() + usize::from(self.sequence().is_some())
            }
        }

        impl crate::ObjectType for $Type {
            const NAME: &'static str = $name;
        }

        impl Parameters for $Type {
            fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
                self.weights.parameters(path, visit);
            }

            fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
                self.weights.parameters_mut(path, visit);
            }
        }
    };
}

/// The parameters of an LSTM or a GRU in a file, besides its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct LayerConfig {
    input_size: usize,
    hidden_size: usize,
    num_layers: usize,
    bias: bool,
    batch_first: bool,
    bidirectional: bool,
    packed: bool,
}

impl LayerConfig {
    fn sizes(self, cell: Cell) -> Sizes {
        let Self { input_size, hidden_size, num_layers, bias, bidirectional, .. } = self;
        Sizes {
            gates: cell.gates(),
            input_size,
            hidden_size,
            num_layers,
            bidirectional,
            bias,
            is_cell: false,
        }
    }
}

macro_rules! recurrent_layer {
    ($(#[$documentation:meta])* $Type:ident, $cell:expr, $name:literal) => {
        $(#[$documentation])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(from = "LayerConfig", into = "LayerConfig")]
        pub struct $Type {
            config: LayerConfig,
            weights: Weights,
        }

        impl From<LayerConfig> for $Type {
            fn from(config: LayerConfig) -> Self {
                Self { config, weights: Weights::empty(config.sizes($cell)) }
            }
        }

        impl From<$Type> for LayerConfig {
            fn from(layer: $Type) -> Self {
                layer.config
            }
        }

        impl $Type {
            /// One layer with biases that reads `[steps, batch, input_size]` forwards.
            pub fn new(input_size: usize, hidden_size: usize) -> Self {
                Self::of(LayerConfig {
                    input_size,
                    hidden_size,
                    num_layers: 1,
                    bias: true,
                    batch_first: false,
                    bidirectional: false,
                    packed: false,
                })
            }

            fn of(config: LayerConfig) -> Self {
                Self { config, weights: Weights::new($name, config.sizes($cell)) }
            }

            /// How many layers follow each other; 1 if not set.
            #[must_use]
            pub fn num_layers(self, num_layers: usize) -> Self {
                Self::of(LayerConfig { num_layers, ..self.config })
            }

            /// Whether there are biases; true if not set.
            #[must_use]
            pub fn bias(self, bias: bool) -> Self {
                Self::of(LayerConfig { bias, ..self.config })
            }

            /// Whether a second direction reads the steps backwards; its outputs stand behind the first one's.
            #[must_use]
            pub fn bidirectional(self, bidirectional: bool) -> Self {
                Self::of(LayerConfig { bidirectional, ..self.config })
            }

            /// Whether input and output are `[batch, steps, ..]`. States are not.
            #[must_use]
            pub fn batch_first(self, batch_first: bool) -> Self {
                Self { config: LayerConfig { batch_first, ..self.config }, ..self }
            }

            /// Whether the last tensor that the layer is called with is the lengths of the sequences, `[batch]` whole
            /// numbers: what is behind a sequence's end is not read, and 0 in the output. It computes what PyTorch does
            /// between `pack_padded_sequence` and `pad_packed_sequence`.
            #[must_use]
            pub fn packed(self, packed: bool) -> Self {
                Self { config: LayerConfig { packed, ..self.config }, ..self }
            }

            fn cell(&self) -> Cell {
                $cell
            }

            fn sizes(&self) -> Sizes {
                self.config.sizes($cell)
            }

            fn sequence(&self) -> Option<Sequence> {
                let LayerConfig { batch_first, packed, .. } = self.config;
                Some(Sequence { batch_first, is_packed: packed })
            }
        }

        recurrent_op!($Type, $name);
    };
}

recurrent_layer! {
    /// Long short-term memory: `let (y, (h, c)) = self.lstm(x);`, or from a state, `self.lstm(x, (h, c))`.
    ///
    /// `x` is `[steps, batch, input_size]` or `[steps, input_size]`, `y` as long with `directions * hidden_size` values,
    /// and each tensor of the state `[num_layers * directions, batch, hidden_size]`; a state that is not given is 0.
    ///
    /// ```
    /// use qcore::prelude::*;
    ///
    /// #[quantizable]
    /// struct Tagger {
    ///     lstm: LSTM,
    ///     fc: Linear,
    /// }
    ///
    /// #[quantizable]
    /// impl Tagger {
    ///     fn forward(&self, x: Tensor) -> Tensor {
    ///         let (y, _) = self.lstm(x);
    ///         self.fc(y)
    ///     }
    /// }
    ///
    /// # fn main() -> qcore::Result<()> {
    /// let model = Tagger { lstm: LSTM::new(8, 16).batch_first(true), fc: Linear::new(16, 4) };
    /// assert_eq!(model.forward(Tensor::zeros(&[2, 5, 8]))?.shape(), [2, 5, 4]);
    /// # Ok(())
    /// # }
    /// ```
    LSTM, Cell::Lstm, "LSTM"
}

recurrent_layer! {
    /// Gated recurrent units: `let (y, h) = self.gru(x);`, or from a state, `self.gru(x, h)`.
    ///
    /// Shapes are those of [`LSTM`].
    GRU, Cell::Gru, "GRU"
}

/// The parameters of a cell in a file, besides its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct CellConfig {
    input_size: usize,
    hidden_size: usize,
    bias: bool,
    #[serde(default, skip_serializing_if = "is_tanh")]
    nonlinearity: Nonlinearity,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_tanh(nonlinearity: &Nonlinearity) -> bool {
    *nonlinearity == Nonlinearity::Tanh
}

impl CellConfig {
    fn sizes(self, cell: Cell) -> Sizes {
        let Self { input_size, hidden_size, bias, .. } = self;
        let (num_layers, bidirectional) = (1, false);
        Sizes { gates: cell.gates(), input_size, hidden_size, num_layers, bidirectional, bias, is_cell: true }
    }
}

macro_rules! recurrent_cell {
    ($(#[$documentation:meta])* $Type:ident, $cell:expr, $name:literal) => {
        $(#[$documentation])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(from = "CellConfig", into = "CellConfig")]
        pub struct $Type {
            config: CellConfig,
            weights: Weights,
        }

        impl From<CellConfig> for $Type {
            fn from(config: CellConfig) -> Self {
                Self { config, weights: Weights::empty(config.sizes(($cell)(config))) }
            }
        }

        impl From<$Type> for CellConfig {
            fn from(cell: $Type) -> Self {
                cell.config
            }
        }

        impl $Type {
            /// A cell with biases, for rows of `input_size` values.
            pub fn new(input_size: usize, hidden_size: usize) -> Self {
                let nonlinearity = Nonlinearity::Tanh;
                Self::of(CellConfig { input_size, hidden_size, bias: true, nonlinearity })
            }

            fn of(config: CellConfig) -> Self {
                Self { config, weights: Weights::new($name, config.sizes(($cell)(config))) }
            }

            /// Whether there are biases; true if not set.
            #[must_use]
            pub fn bias(self, bias: bool) -> Self {
                Self::of(CellConfig { bias, ..self.config })
            }

            fn cell(&self) -> Cell {
                ($cell)(self.config)
            }

            fn sizes(&self) -> Sizes {
                self.config.sizes(self.cell())
            }

            fn sequence(&self) -> Option<Sequence> {
                None
            }
        }

        recurrent_op!($Type, $name);
    };
}

recurrent_cell! {
    /// One step of an [`LSTM`]: `let (h, c) = self.cell(x, (h, c));`, tensors `[batch, ..]`.
    LSTMCell, |_: CellConfig| Cell::Lstm, "LSTMCell"
}

recurrent_cell! {
    /// One step of a [`GRU`]: `let h = self.cell(x, h);`, tensors `[batch, ..]`.
    GRUCell, |_: CellConfig| Cell::Gru, "GRUCell"
}

recurrent_cell! {
    /// One step of an Elman network: `let h = self.cell(x, h);`, tensors `[batch, ..]`.
    RNNCell, |config: CellConfig| Cell::Rnn(config.nonlinearity), "RNNCell"
}

impl RNNCell {
    /// The activation; [`Nonlinearity::Tanh`] if not set.
    #[must_use]
    pub fn nonlinearity(self, nonlinearity: Nonlinearity) -> Self {
        Self { config: CellConfig { nonlinearity, ..self.config }, ..self }
    }
}
