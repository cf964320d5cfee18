//! `Executable`: an operation lowered to one precision, and how it runs on inputs of some shape.

use std::fmt;
use std::sync::Arc;

use super::{Kernel, TensorSpec};
use crate::network::TensorWriter;
use crate::tensor::{MemoryFormat, Rearrangement};
use crate::{QTensor, Result};

/// A lowered operation, from [`Op::lower`](super::Op::lower): its weights are in the form in which kernels read them.
///
/// [`evaluate`](crate::evaluate) runs one on tensors. [`executable`] makes one without weights from a function:
///
/// ```
/// use qcore::ops::{Planned, TensorSpec, executable, unary};
/// use qcore::{Error, Tensor, evaluate};
///
/// let negate = executable("negate", |inputs: &[TensorSpec]| {
///     let [x] = inputs else { return Err(Error::Unsupported("negate takes one tensor".into())) };
///     let kernel = unary("negate", |x: &[f32], y: &mut [f32]| {
///         y.iter_mut().zip(x).for_each(|(y, x)| *y = -x);
///         Ok(())
///     });
///     Ok(Planned::kernel(kernel, x.clone()))
/// });
/// let x = Tensor::from_vec(&[2], vec![1.0, -2.0])?;
/// let y = evaluate(negate.as_ref(), &[x.into()])?.remove(0).to_float();
/// assert_eq!(y.as_slice(), Some(&[-1.0, 2.0][..]));
/// # Ok::<(), Error>(())
/// ```
pub trait Executable: fmt::Debug + Send + Sync {
    /// How it runs on inputs of these shapes and formats: the kernels, and the shapes and formats of the outputs.
    ///
    /// # Errors
    /// When there is another number of inputs than the operation takes, or a shape or format does not fit.
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned>;

    /// Writes its weights, which [`Op::lower`](super::Op::lower) finds in
    /// [`Lowering::stored`](super::Lowering::stored) again.
    ///
    /// # Errors
    /// When a tensor cannot be represented.
    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        let _ = tensors;
        Ok(())
    }

    /// The quantized weight, if it has one.
    fn weight(&self) -> Option<QTensor> {
        None
    }

    /// The quantized weights by their names, of an operation that has several.
    fn weights(&self) -> Vec<(String, QTensor)> {
        self.weight().into_iter().map(|weight| ("weight".to_owned(), weight)).collect()
    }
}

/// How an operation runs on inputs of some shape.
#[derive(Debug)]
pub enum Planned {
    /// One kernel makes the outputs.
    Kernel(PlannedKernel),
    /// One kernel for each input writes its part of the output; the parts make it up.
    Parts(Vec<Part>, TensorSpec),
    /// The output is the first input, in the same memory, with this spec.
    View(TensorSpec),
    /// The output is the first input, or a part of it, in another order: rearranged by one after the other.
    Rearranged(Vec<Rearrangement>),
    /// As `planned`, of inputs that are rearranged before; the output is rearranged after.
    Around {
        /// The rearrangements of each input, one after the other.
        inputs: Vec<Vec<Rearrangement>>,
        /// The plan for the rearranged inputs.
        planned: Box<Planned>,
        /// The rearrangements of the output, one after the other.
        output: Vec<Rearrangement>,
        /// The output after that.
        spec: TensorSpec,
    },
}

/// A kernel with the buffers that it reads and writes.
#[derive(Debug)]
pub struct PlannedKernel {
    pub(crate) kernel: Box<dyn Kernel>,
    /// The memory formats of the inputs; those not mentioned keep theirs.
    pub(crate) inputs: Vec<MemoryFormat>,
    pub(crate) outputs: Vec<TensorSpec>,
    pub(crate) scratch: usize,
}

impl PlannedKernel {
    /// A kernel that reads its inputs in whatever memory format they have.
    pub fn new(kernel: Box<dyn Kernel>, outputs: Vec<TensorSpec>) -> Self {
        Self { kernel, inputs: Vec::new(), outputs, scratch: 0 }
    }

    /// Asks for inputs in these memory formats.
    #[must_use]
    pub fn inputs(self, inputs: impl Into<Vec<MemoryFormat>>) -> Self {
        Self { inputs: inputs.into(), ..self }
    }

    /// Asks for memory while the kernel runs, in bytes.
    #[must_use]
    pub fn scratch(self, scratch: usize) -> Self {
        Self { scratch, ..self }
    }
}

impl Planned {
    /// One kernel with one output, which reads its inputs in whatever memory format they have.
    pub fn kernel(kernel: Box<dyn Kernel>, output: TensorSpec) -> Self {
        Self::Kernel(PlannedKernel::new(kernel, vec![output]))
    }
}

/// One of the parts that make up an output.
#[derive(Debug)]
pub struct Part {
    /// Writes it.
    pub kernel: Box<dyn Kernel>,
    /// The element of the output where it begins.
    pub offset: usize,
    /// Elements from one of its pixels to the next.
    pub pixel_stride: usize,
    /// The memory format of its input.
    pub input: MemoryFormat,
}

/// An executable without weights, which is a function from specs to a plan.
struct FnExecutable<F> {
    name: &'static str,
    plan: F,
}

impl<F> fmt::Debug for FnExecutable<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<F: Fn(&[TensorSpec]) -> Result<Planned> + Send + Sync> Executable for FnExecutable<F> {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        (self.plan)(inputs)
    }
}

/// An executable without weights, planned by `plan`.
pub fn executable(
    name: &'static str,
    plan: impl Fn(&[TensorSpec]) -> Result<Planned> + Send + Sync + 'static,
) -> Arc<dyn Executable> {
    Arc::new(FnExecutable { name, plan })
}
