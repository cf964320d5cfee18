//! `Summary`: the layers of a model with their shapes, parameters and multiply-accumulates.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::model::{IntoInput, Module, Prepared, Values};
use crate::network::{Node, NodeMember};
use crate::program::Walk;
use crate::{QConfigMapping, Result, Tensor};

/// The operations of a model for inputs of one shape. Printing it gives a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// In the order in which they run; first the parameters of `forward`.
    pub rows: Vec<SummaryRow>,
}

/// One operation, with those that are fused with it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SummaryRow {
    /// `layers.0.conv2`; of a parameter of `forward` its name.
    pub path: String,
    /// PyTorch's name of the operation, `ConvReLU2d`.
    pub operation: String,
    /// The shape that it makes, of several the first.
    pub output: Vec<usize>,
    /// How many numbers are trained in it; 0 at the second call of a layer.
    pub parameters: u64,
    /// How many products it adds up.
    pub multiply_accumulates: u64,
    /// The name of the [`Precision`](crate::ops::Precision) that the mapping gives it.
    pub precision: String,
}

/// The layers of a float model, for an input like `input`.
///
/// ```
/// use qcore::prelude::*;
/// use qcore::summary;
///
/// #[quantizable]
/// struct Net { conv: Conv2d, bn: BatchNorm2d, fc: Linear }
/// #[quantizable]
/// impl Net {
///     fn forward(&self, x: Tensor) -> Tensor {
///         self.fc(adaptive_avg_pool2d(relu(self.bn(self.conv(x))), 1).flatten(1))
///     }
/// }
///
/// # fn main() -> qcore::Result<()> {
/// let net = Net { conv: Conv2d::new(3, 8, 3), bn: BatchNorm2d::new(8), fc: Linear::new(8, 10) };
/// let summary = summary(&net, Tensor::zeros(&[1, 3, 6, 6]))?;
/// println!("{summary}");
/// assert_eq!(summary.parameters(), (3 * 9 + 1) * 8 + 2 * 8 + 8 * 10 + 10);
/// assert_eq!(summary.multiply_accumulates(), 4 * 4 * 8 * 3 * 9 + 8 * 10);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the input does not fit a layer, or two parameters have one key.
pub fn summary<M: Module>(model: &M, input: impl IntoInput<M::Input>) -> Result<Summary> {
    model.prepare(&QConfigMapping::new())?.summary(input)
}

impl<M: Module> Prepared<M> {
    /// The layers of the model with the precision that each gets, for an input like `input`.
    ///
    /// # Errors
    /// When the input does not fit a layer.
    pub fn summary(&self, input: impl IntoInput<M::Input>) -> Result<Summary> {
        let network = self.plan.network.as_ref();
        let inputs = M::Input::into_vec(input.into_input()?.into_tensors());
        let mut walk = Walk::new(network, &inputs)?;
        let profile = network.profile(&inputs.iter().collect::<Vec<&Tensor>>())?;
        let mut counted = BTreeSet::new();
        let mut rows = Vec::new();
        for (index, (node, decision)) in network.nodes.iter().zip(&self.plan.decisions).enumerate() {
            let outputs = walk.run(index).map_err(|error| error.in_layer(node.path()))?;
            // Of calls that run in one step the products are those of the first.
            let steps =
                profile.steps.iter().filter(|step| step.path.split(" + ").next() == Some(node.path()));
            rows.push(SummaryRow {
                path: node.path().to_owned(),
                operation: node.operation().to_owned(),
                output: outputs.first().map_or(Vec::new(), |output| output.shape().to_vec()),
                parameters: parameters(node, &mut counted),
                multiply_accumulates: steps.map(|step| step.cost.multiply_accumulates).sum(),
                precision: decision.precision.name().to_owned(),
            });
            walk.put(index, outputs);
        }
        Ok(Summary { rows })
    }
}

/// The parameters of the members that are not in `counted` yet.
fn parameters<'a>(node: &'a Node, counted: &mut BTreeSet<&'a str>) -> u64 {
    let members = node.call.iter().flat_map(|call| &call.members);
    let new = members.filter(|member| member.path.as_deref().is_none_or(|path| counted.insert(path)));
    new.map(trained).sum()
}

fn trained(member: &NodeMember) -> u64 {
    let mut number = 0;
    member.op.parameters("", &mut |key, tensor| {
        // Of a batch norm these are its statistics.
        if !key.starts_with("running_") {
            number += tensor.len() as u64;
        }
    });
    number
}

impl Summary {
    /// The numbers that are trained.
    pub fn parameters(&self) -> u64 {
        self.rows.iter().map(|row| row.parameters).sum()
    }

    /// The products of a run.
    pub fn multiply_accumulates(&self) -> u64 {
        self.rows.iter().map(|row| row.multiply_accumulates).sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes: Vec<String> = self.rows.iter().map(|row| format!("{:?}", row.output)).collect();
        let longest = |lengths: &mut dyn Iterator<Item = usize>, title: &str| {
            lengths.max().unwrap_or(0).max(title.len())
        };
        let path = longest(&mut self.rows.iter().map(|row| row.path.chars().count()), "layer");
        let operation = longest(&mut self.rows.iter().map(|row| row.operation.chars().count()), "operation");
        let shape = longest(&mut shapes.iter().map(String::len), "output");
        writeln!(
            f,
            "{:path$}  {:operation$}  {:shape$}  {:>12}  {:>16}  precision",
            "layer", "operation", "output", "parameters", "mult-accumulates"
        )?;
        for (row, output) in self.rows.iter().zip(&shapes) {
            let SummaryRow { path: name, operation: kind, precision, .. } = row;
            let (parameters, products) = (row.parameters, row.multiply_accumulates);
            writeln!(
                f,
                "{name:path$}  {kind:operation$}  {output:shape$}  {parameters:>12}  {products:>16}  {precision}"
            )?;
        }
        write!(
            f,
            "{} parameters, {:.3} million multiply-accumulates",
            self.parameters(),
            self.multiply_accumulates() as f64 / 1e6
        )
    }
}
