//! What two steps become one: a clamp or an addition behind a convolution, and a copy into the slice of a `cat`.

use std::sync::Arc;

use super::step::{Action, BufferId, Output, Source, Step, Target};

/// How often each buffer is read.
fn readers(steps: &[Step], outputs: &[Output], buffers: usize) -> Vec<usize> {
    let mut readers = vec![0; buffers];
    for source in steps.iter().flat_map(|step| step.action.buffers_read()) {
        readers[source.buffer] += 1;
    }
    for output in outputs {
        if let Output::Buffer(source) = output {
            readers[source.buffer] += 1;
        }
    }
    readers
}

/// Whether a buffer is read from its first byte to its last.
fn is_whole(source: &Source, buffers: &[usize]) -> bool {
    source.range == (0..buffers[source.buffer])
}

/// The last step that writes each buffer.
fn writer(steps: &[Step], buffer: BufferId) -> Option<usize> {
    steps.iter().rposition(|step| step.action.target().is_some_and(|target| target.buffer == buffer))
}

/// Moves each clamp into the kernel that makes its input, where nobody else reads that.
pub(super) fn fuse_clamps(steps: &mut Vec<Step>, buffers: &[usize], outputs: &[Output]) {
    let mut index = 0;
    while index < steps.len() {
        match fused_clamp(steps, index, buffers, outputs) {
            Some((producer, step)) => {
                steps[producer] = step;
                steps.remove(index);
            }
            None => index += 1,
        }
    }
}

fn fused_clamp(steps: &[Step], index: usize, buffers: &[usize], outputs: &[Output]) -> Option<(usize, Step)> {
    let Action::Kernel { kernel, inputs, target } = &steps[index].action else { return None };
    let limits = kernel.as_clamp()?;
    let [input] = inputs.as_slice() else { return None };
    if readers(steps, outputs, buffers.len())[input.buffer] != 1 || !is_whole(input, buffers) {
        return None;
    }
    let producer = writer(steps, input.buffer)?;
    let Action::Kernel { kernel, inputs, target: Target { pitch, .. } } = &steps[producer].action else {
        return None;
    };
    let kernel = kernel.with_clamp(limits)?;
    let path = joined(&steps[producer], &steps[index]);
    // The clamp may see the same bytes in another shape.
    let target = Target { pitch: *pitch, ..target.clone() };
    let action = Action::Kernel { kernel, inputs: inputs.clone(), target };
    Some((producer, Step { path, action }))
}

/// The path of a step that does what these two did.
fn joined(first: &Step, second: &Step) -> Arc<str> {
    format!("{} + {}", first.path, second.path).into()
}

/// Moves each addition into the kernel that makes one of its operands, where nobody else reads that operand.
///
/// Of two such kernels the later one is taken: there the other operand is ready.
pub(super) fn fuse_residuals(steps: &mut Vec<Step>, buffers: &[usize], outputs: &[Output]) {
    let mut index = 0;
    while index < steps.len() {
        let fused = fused_addition(steps, index, buffers, outputs);
        if let Some((producer, step)) = fused {
            steps[producer] = step;
            steps.remove(index);
        } else {
            index += 1;
        }
    }
}

/// For an addition at `index`: the step that takes its place, and the producer whose place that takes.
fn fused_addition(
    steps: &[Step],
    index: usize,
    buffers: &[usize],
    outputs: &[Output],
) -> Option<(usize, Step)> {
    let Action::Kernel { kernel, inputs, target } = &steps[index].action else { return None };
    let addition = kernel.as_addition()?;
    let [a, b] = inputs.as_slice() else { return None };
    if a.buffer == b.buffer {
        return None;
    }
    let readers = readers(steps, outputs, buffers.len());
    let mut operands = [(a, b, false), (b, a, true)];
    operands.sort_by_key(|(operand, ..)| std::cmp::Reverse(writer(steps, operand.buffer)));
    operands.into_iter().find_map(|(operand, other, is_swapped)| {
        let producer = writer(steps, operand.buffer)?;
        let Action::Kernel { kernel, inputs, target: dense } = &steps[producer].action else { return None };
        let is_ready = writer(steps, other.buffer).is_none_or(|writer| writer < producer);
        let is_dense = dense.pitch == dense.spec.pitch() && dense.spec.shape() == target.spec.shape();
        if readers[operand.buffer] != 1 || !is_ready || !is_dense || !is_whole(operand, buffers) {
            return None;
        }
        let mut addition = addition;
        if is_swapped {
            std::mem::swap(&mut addition.a, &mut addition.b);
        }
        let kernel = kernel.with_residual(addition)?;
        let inputs = inputs.iter().chain([other]).cloned().collect();
        let path = joined(&steps[producer], &steps[index]);
        Some((producer, Step { path, action: Action::Kernel { kernel, inputs, target: target.clone() } }))
    })
}

/// Lets whoever makes the input of a copy write where the copy would.
pub(super) fn write_pieces_in_place(steps: &mut Vec<Step>, buffers: &[usize], outputs: &[Output]) {
    let mut index = 0;
    while index < steps.len() {
        match producer_of_copy(steps, index, buffers, outputs) {
            Some(producer) => {
                let copy = steps.remove(index);
                if let (Action::Kernel { target, .. }, Action::Kernel { target: slice, .. }) =
                    (&mut steps[producer].action, copy.action)
                {
                    *target = slice;
                }
            }
            None => index += 1,
        }
    }
}

fn producer_of_copy(steps: &[Step], index: usize, buffers: &[usize], outputs: &[Output]) -> Option<usize> {
    let Action::Kernel { kernel, inputs, .. } = &steps[index].action else { return None };
    let [input] = inputs.as_slice() else { return None };
    let pixel = kernel.as_copy()?;
    if readers(steps, outputs, buffers.len())[input.buffer] != 1 || !is_whole(input, buffers) {
        return None;
    }
    let producer = writer(steps, input.buffer)?;
    let Action::Kernel { kernel, target, .. } = &steps[producer].action else { return None };
    let is_dense = target.offset == 0 && target.pitch == target.spec.pitch() && target.pitch == pixel;
    (kernel.takes_pitch() && is_dense).then_some(producer)
}
