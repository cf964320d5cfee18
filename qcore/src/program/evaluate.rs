//! One operation on tensors: a program of one step.

use std::cell::Cell;
use std::sync::Arc;

use qkernels::{elements, memory};

use super::buffer_pool::BufferPool;
use super::record::Recorder;
use super::workspace::Workspace;
use super::{InputKey, ProgramOutput};
use crate::ops::{Executable, Format, Output, Planned, PlannedKernel, TensorSpec};
use crate::tensor::{AnyTensor, MemoryFormat, Rearrangement};
use crate::{Error, Result, Tensor};

/// The most bytes of a workspace that a thread keeps for its next operation.
const MAX_KEPT: usize = 32 << 20;

thread_local! {
    static WORKSPACE: Cell<Workspace> = Cell::default();
}

/// Runs a lowered operation on tensors, floats or integers, each in its own memory format.
///
/// # Errors
/// When an input does not fit the operation.
pub fn evaluate(executable: &dyn Executable, inputs: &[AnyTensor]) -> Result<Vec<AnyTensor>> {
    let mut recorder = Recorder::default();
    inputs.iter().try_for_each(AnyTensor::check_copy)?;
    let tensors: Vec<AnyTensor> = inputs.iter().map(|input| input.clone().without_gaps()).collect();
    let values = tensors.iter().enumerate().map(|(index, input)| match input {
        AnyTensor::Float(tensor) => recorder.input(index, tensor, None),
        AnyTensor::Quantized(tensor) => recorder.integer_input(index, tensor),
    });
    let values: Vec<usize> = values.collect();
    let is_integer = inputs.iter().any(|input| matches!(input, AnyTensor::Quantized(_)));
    let results = recorder.call(&Arc::from(""), executable, is_integer, &values, values.len())?;
    let program = recorder.finish(Vec::<InputKey>::new(), &results)?;
    let bytes: Vec<&[u8]> = tensors.iter().map(AnyTensor::bytes).collect();
    let mut outputs = Vec::with_capacity(results.len());
    let mut take = |_, output: ProgramOutput<'_>| {
        outputs.push(output.to_any()?);
        Ok(())
    };
    let mut workspace = WORKSPACE.take();
    program.run_steps(&mut workspace, &bytes, &mut take, None)?;
    if workspace.len() <= MAX_KEPT {
        WORKSPACE.set(workspace);
    }
    Ok(outputs)
}

/// Runs an operation of one output that was lowered to float, for a user: its result has memory of its own length.
pub(crate) fn evaluate_float(executable: &dyn Executable, inputs: Vec<Tensor>) -> Result<Tensor> {
    first(evaluate_floats(executable, inputs)?)
}

/// [`evaluate_float`] within a model: keeps the memory of the inputs where nobody else has it, and the result may begin
/// a longer buffer, which [`release`] must keep from users.
pub(crate) fn evaluate_within(executable: &dyn Executable, inputs: Vec<Tensor>) -> Result<Tensor> {
    first(evaluate_with(executable, inputs, BufferPool::take)?)
}

/// The output of a model, with memory of its own length.
pub(crate) fn release(tensor: Tensor) -> Tensor {
    let released = Tensor::from(tensor.view());
    recycle(tensor);
    released
}

/// Keeps the memory of a tensor that is not needed any more, if nobody shares it.
pub(crate) fn recycle(tensor: Tensor) {
    let mut pool = BufferPool::of_thread();
    pool.keep(tensor);
    pool.return_to_thread();
}

/// Runs an operation whose result, if it is one in row-major order, gets its memory from `take`.
fn evaluate_with(
    executable: &dyn Executable,
    inputs: Vec<Tensor>,
    take: fn(&mut BufferPool, usize) -> Vec<f32>,
) -> Result<Vec<Tensor>> {
    let specs: Vec<TensorSpec> = inputs
        .iter()
        .map(|input| TensorSpec::in_format(input.shape(), input.memory_format(), Format::F32))
        .collect();
    match executable.plan(&specs)? {
        Planned::Kernel(planned) if is_plain(&planned) => Ok(vec![run_kernel(planned, inputs, take)?]),
        Planned::View(_) => Ok(vec![first(inputs)?]),
        Planned::Rearranged(rearrangements) => {
            let apply = |values, each: &Rearrangement| each.apply("a rearrangement", values);
            let rearranged = rearrangements.iter().try_fold(first(inputs)?.into_shared(), apply)?;
            Ok(vec![Tensor::from(rearranged)])
        }
        _ => {
            let inputs: Vec<AnyTensor> = inputs.into_iter().map(AnyTensor::Float).collect();
            Ok(evaluate(executable, &inputs)?.iter().map(AnyTensor::to_float).collect())
        }
    }
}

/// Runs an operation of any number of outputs that was lowered to float.
pub(crate) fn evaluate_floats(executable: &dyn Executable, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
    evaluate_with(executable, inputs, BufferPool::take_exactly)
}

fn first(tensors: Vec<Tensor>) -> Result<Tensor> {
    tensors.into_iter().next().ok_or_else(|| Error::Unsupported("an operation without a result".into()))
}

/// Whether a kernel reads row-major floats, and makes one such tensor.
fn is_plain(planned: &PlannedKernel) -> bool {
    let is_row_major = |format: &MemoryFormat| *format == MemoryFormat::Contiguous;
    match planned.outputs.as_slice() {
        [output] => {
            *output.format() == Format::F32
                && is_row_major(&output.buffer())
                && planned.inputs.iter().all(is_row_major)
        }
        _ => false,
    }
}

fn run_kernel(
    planned: PlannedKernel,
    inputs: Vec<Tensor>,
    take: fn(&mut BufferPool, usize) -> Vec<f32>,
) -> Result<Tensor> {
    let Some(output) = planned.outputs.first() else {
        return Err(Error::Unsupported("a kernel without a result".into()));
    };
    let scratch = if output.is_empty() { 0 } else { planned.scratch };
    let what = format_args!("an output of shape {:?}", output.shape());
    memory::check_free(what, output.byte_len().saturating_add(scratch)).map_err(failed)?;
    inputs.iter().try_for_each(Tensor::check_copy)?;
    let inputs: Vec<Tensor> = inputs.into_iter().map(Tensor::contiguous).collect();
    let bytes: Vec<&[u8]> =
        inputs.iter().map(|input| elements::bytes(input.as_slice().unwrap_or_default())).collect();
    let mut pool = BufferPool::of_thread();
    let mut values = take(&mut pool, output.len());
    let target = Output {
        bytes: elements::bytes_mut(&mut values[..output.len()]),
        pixel_stride: output.pixel_stride(),
    };
    let result = match output.is_empty() {
        true => Ok(()),
        false => planned.kernel.run(&bytes, &mut [target], pool.scratch(scratch)),
    };
    inputs.into_iter().for_each(|input| pool.keep(input));
    pool.return_to_thread();
    result.map_err(failed)?;
    Tensor::from_buffer(output.shape(), values)
}

fn failed(error: qkernels::Error) -> Error {
    Error::kernel("a kernel", error)
}
