//! Layer, group and instance norm: what they have in common. Each normalizes rows of some axes to mean 0 and variance 1
//! and then scales and shifts channels (NUMERICS section 8).

use std::sync::Arc;

use qkernels::rows::{self, Affine};

use super::inputs::{check_dtype, check_qparams, exactly, with_eight_bit};
use super::{Executable, Format, Lowering, Planned, PlannedKernel, Precision, TensorSpec, per_tensor, unary};
use crate::model::join;
use crate::network::TensorWriter;
use crate::tensor::MemoryFormat;
use crate::train::{Backward, Gradients};
use crate::{Error, QParams, Result, Tensor};

/// The weight and bias of a norm, and the number that is added to the variance.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NormParameters {
    pub(super) weight: Option<Tensor>,
    pub(super) bias: Option<Tensor>,
    pub(super) eps: f64,
}

/// Where a norm finds its rows and channels in a tensor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    pub(super) len: usize,
    pub(super) channels: usize,
    pub(super) inner: usize,
}

impl NormParameters {
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&'static str, &Tensor)> {
        [("weight", &self.weight), ("bias", &self.bias)]
            .into_iter()
            .filter_map(|(name, tensor)| Some((name, tensor.as_ref()?)))
    }

    pub(super) fn visit(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        self.tensors().for_each(|(name, tensor)| visit(join(path, name), tensor));
    }

    pub(super) fn visit_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        for (name, tensor) in [("weight", &mut self.weight), ("bias", &mut self.bias)] {
            if let Some(tensor) = tensor {
                visit(join(path, name), tensor);
            }
        }
    }

    /// The gradients of a norm with these rows, and the weight and bias in row-major order.
    pub(super) fn backward(
        &self,
        rows: impl Fn(&TensorSpec) -> Result<Rows>,
        pass: &Backward<'_>,
    ) -> Result<Gradients> {
        let x = pass.input(0)?;
        let Rows { len, channels, inner } =
            rows(&TensorSpec::in_format(x.shape(), MemoryFormat::Contiguous, Format::F32))?;
        let (_, mut gradient) = pass.output()?;
        let x = x.clone().contiguous();
        let gamma: Option<Vec<f32>> =
            self.weight.as_ref().map(|weight| weight.view().iter().copied().collect());
        let (mut of_weight, mut of_bias) = (vec![0.0_f64; channels], vec![0.0_f64; channels]);
        let dy = gradient.as_slice_mut().unwrap_or_default().chunks_exact_mut(len);
        for (row, (dy, x)) in dy.zip(x.as_slice().unwrap_or_default().chunks_exact(len)).enumerate() {
            let mean = x.iter().copied().map(f64::from).sum::<f64>() / len as f64;
            let squares = x.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>();
            let inverse = 1.0 / (squares / len as f64 + self.eps).sqrt();
            let normalized = |value: f32| (f64::from(value) - mean) * inverse;
            let channel = |place: usize| (row * len + place) / inner % channels;
            let scaled = |place: usize, dy: f32| {
                f64::from(dy) * gamma.as_ref().map_or(1.0, |gamma| f64::from(gamma[channel(place)]))
            };
            let (mut sum, mut product) = (0.0, 0.0);
            for (place, (&dy, &x)) in dy.iter().zip(x).enumerate() {
                of_bias[channel(place)] += f64::from(dy);
                of_weight[channel(place)] += f64::from(dy) * normalized(x);
                sum += scaled(place, dy);
                product += scaled(place, dy) * normalized(x);
            }
            for (place, (dy, &x)) in dy.iter_mut().zip(x).enumerate() {
                let of_statistics = (sum + normalized(x) * product) / len as f64;
                *dy = (inverse * (scaled(place, *dy) - of_statistics)) as f32;
            }
        }
        let sums = self.tensors().map(|(name, tensor)| {
            let sums = if name == "weight" { &of_weight } else { &of_bias };
            let sums = sums.iter().map(|&sum| sum as f32).collect();
            Ok((name, Tensor::from_vec(tensor.shape(), sums)?))
        });
        Ok(Gradients { inputs: vec![Some(gradient)], parameters: sums.collect::<Result<_>>()? })
    }

    /// Lowers a norm whose weight and bias have `shape`; `rows` finds its rows in a tensor.
    pub(super) fn lower(
        &self,
        operation: &'static str,
        shape: &[usize],
        lowering: &Lowering<'_>,
        rows: impl Fn(&TensorSpec) -> Result<Rows> + Send + Sync + 'static,
    ) -> Result<Arc<dyn Executable>> {
        let eps = self.eps as f32;
        if !(eps >= 0.0 && eps.is_finite()) {
            return Err(Error::parameter(operation, format!("eps {} is not a positive number", self.eps)));
        }
        let own = |name: &str, own: &Option<Tensor>| -> Result<Option<Tensor>> {
            let Some(own) = own else { return Ok(None) };
            let tensor = lowering.tensor(name, own)?.contiguous();
            if tensor.shape() != shape {
                return Err(Error::shape(operation, format!("a {name} of shape {shape:?}"), tensor.shape()));
            }
            if let Some((index, value)) = tensor.first_non_finite() {
                return Err(Error::NotFinite { what: format!("the {name} of {operation}"), value, index });
            }
            Ok(Some(tensor))
        };
        let affine = AffineTensors { weight: own("weight", &self.weight)?, bias: own("bias", &self.bias)? };
        let quantized = match lowering.precision {
            Precision::Float => None,
            Precision::Static => {
                let [input] = lowering.input_qparams(operation)?;
                let output = lowering.output_qparams(operation)?;
                per_tensor(operation, input)?;
                per_tensor(operation, output)?;
                Some((input.clone(), output.clone()))
            }
            _ => return Err(lowering.unsupported(operation)),
        };
        Ok(Arc::new(Norm { operation, affine, eps, quantized, rows: Box::new(rows) }))
    }
}

/// A weight and a bias in row-major order.
#[derive(Clone, Debug)]
struct AffineTensors {
    weight: Option<Tensor>,
    bias: Option<Tensor>,
}

/// A norm of tensors of one shape.
struct PlannedNorm {
    affine: AffineTensors,
    rows: Rows,
    eps: f32,
}

impl PlannedNorm {
    fn normalization(&self) -> rows::Normalization<'_> {
        let Rows { len, channels, inner } = self.rows;
        let AffineTensors { weight, bias } = &self.affine;
        let affine = Affine {
            weight: weight.as_ref().and_then(Tensor::as_slice),
            bias: bias.as_ref().and_then(Tensor::as_slice),
            inner,
        };
        rows::Normalization { len, channels, affine, eps: self.eps }
    }
}

type FindRows = Box<dyn Fn(&TensorSpec) -> Result<Rows> + Send + Sync>;

/// A norm, in float or between two scales.
struct Norm {
    operation: &'static str,
    affine: AffineTensors,
    eps: f32,
    quantized: Option<(QParams, QParams)>,
    rows: FindRows,
}

impl std::fmt::Debug for Norm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.operation)
    }
}

impl Executable for Norm {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let operation = self.operation;
        let [x] = exactly(operation, inputs)?;
        let planned = PlannedNorm { affine: self.affine.clone(), rows: (self.rows)(x)?, eps: self.eps };
        let (kernel, format) = match &self.quantized {
            None => {
                check_dtype(operation, x, None)?;
                let kernel = unary::<f32, f32>(operation, move |x, y| {
                    rows::normalize_float(&planned.normalization(), x, y)
                });
                (kernel, Format::F32)
            }
            Some((input, output)) => {
                check_qparams(operation, input, x)?;
                let (from, to) = (per_tensor(operation, input)?, per_tensor(operation, output)?);
                let kernel = with_eight_bit!(operation, output.dtype, T => {
                    Ok(unary::<T, T>(operation, move |x, y| {
                        rows::normalize(&planned.normalization(), from, to, x, y)
                    }))
                })?;
                (kernel, Format::of(Some(output)))
            }
        };
        let output = x.with_format(format).in_buffer(MemoryFormat::Contiguous);
        Ok(Planned::Kernel(PlannedKernel::new(kernel, vec![output]).inputs([MemoryFormat::Contiguous])))
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        let AffineTensors { weight, bias } = &self.affine;
        for (name, tensor) in [("weight", weight), ("bias", bias)] {
            if let Some(tensor) = tensor {
                tensors.put(name, tensor);
            }
        }
        Ok(())
    }
}
