//! Fusion of two steps into one: post-operations of a kernel in registers, and a copy into the slice of a `cat`.

use std::sync::Arc;

use super::step::{BufferId, Buffers, Source, Step, Target};
use crate::ops::Post;

/// How often each buffer is read.
fn readers(steps: &[Step], outputs: &[Source], buffers: &Buffers) -> Vec<usize> {
    let mut readers = vec![0; buffers.len()];
    for source in steps.iter().flat_map(|step| &step.inputs).chain(outputs) {
        readers[source.buffer] += 1;
    }
    readers
}

/// Whether a buffer is read from its first byte to its last.
fn is_whole(source: &Source, buffers: &Buffers) -> bool {
    source.range == (0..buffers.bytes(source.buffer))
}

/// The last step that writes each buffer.
fn writer(steps: &[Step], buffer: BufferId) -> Option<usize> {
    steps.iter().rposition(|step| step.written().any(|written| written == buffer))
}

/// The path of the step that two steps became.
fn joined(first: &Step, second: &Step) -> Arc<str> {
    format!("{} + {}", first.path, second.path).into()
}

/// Moves each clamp and addition into the kernel that makes its input, where nobody else reads that: the clamps first,
/// as a kernel that adds takes none.
pub(super) fn fuse_posts(steps: &mut Vec<Step>, buffers: &Buffers, outputs: &[Source]) {
    for is_addition in [false, true] {
        let mut index = 0;
        while index < steps.len() {
            let fused = match steps[index].kernel.as_post() {
                Some(post @ Post::Add(_)) if is_addition => {
                    fused_addition(steps, index, post, buffers, outputs)
                }
                Some(post @ (Post::Clamp(_) | Post::ClampFloat(_))) if !is_addition => {
                    fused_clamp(steps, index, &post, buffers, outputs)
                }
                _ => None,
            };
            match fused {
                Some((producer, step)) => {
                    steps[producer] = step;
                    steps.remove(index);
                }
                None => index += 1,
            }
        }
    }
}

/// For a clamp at `index`: the step that does both, and the producer whose place that takes.
fn fused_clamp(
    steps: &[Step],
    index: usize,
    post: &Post,
    buffers: &Buffers,
    outputs: &[Source],
) -> Option<(usize, Step)> {
    let clamp = &steps[index];
    let ([input], [target]) = (clamp.inputs.as_slice(), clamp.outputs.as_slice()) else { return None };
    if readers(steps, outputs, buffers)[input.buffer] != 1 || !is_whole(input, buffers) {
        return None;
    }
    let producer = writer(steps, input.buffer)?;
    let [written] = steps[producer].outputs.as_slice() else { return None };
    // The clamp may see the same bytes in another shape.
    let target = Target { pixel_stride: written.pixel_stride, ..target.clone() };
    let kernel = steps[producer].kernel.with_post(post)?;
    Some((
        producer,
        Step {
            path: joined(&steps[producer], clamp),
            blamed: joined(&steps[producer], clamp),
            kernel,
            inputs: steps[producer].inputs.clone(),
            outputs: vec![target],
            scratch: steps[producer].scratch,
        },
    ))
}

/// For an addition at `index`: the step that does both, and the producer whose place that takes.
///
/// Of two operands' producers the later one is taken: there the other operand is ready.
fn fused_addition(
    steps: &[Step],
    index: usize,
    post: Post,
    buffers: &Buffers,
    outputs: &[Source],
) -> Option<(usize, Step)> {
    let addition = &steps[index];
    let ([a, b], [target]) = (addition.inputs.as_slice(), addition.outputs.as_slice()) else { return None };
    if a.buffer == b.buffer {
        return None;
    }
    let readers = readers(steps, outputs, buffers);
    let mut operands = [(a, b, false), (b, a, true)];
    operands.sort_by_key(|(operand, ..)| std::cmp::Reverse(writer(steps, operand.buffer)));
    operands.into_iter().find_map(|(operand, other, is_swapped)| {
        let producer = writer(steps, operand.buffer)?;
        let [dense] = steps[producer].outputs.as_slice() else { return None };
        let is_ready = writer(steps, other.buffer).is_none_or(|writer| writer < producer);
        let fits = dense.is_dense() && dense.spec.shape() == target.spec.shape();
        if readers[operand.buffer] != 1 || !is_ready || !fits || !is_whole(operand, buffers) {
            return None;
        }
        let mut post = post;
        if let (true, Post::Add(qparams)) = (is_swapped, &mut post) {
            std::mem::swap(&mut qparams.a, &mut qparams.b);
        }
        let kernel = steps[producer].kernel.with_post(&post)?;
        Some((
            producer,
            Step {
                path: joined(&steps[producer], addition),
                blamed: joined(&steps[producer], addition),
                kernel,
                inputs: steps[producer].inputs.iter().chain([other]).cloned().collect(),
                outputs: vec![target.clone()],
                scratch: steps[producer].scratch,
            },
        ))
    })
}

/// Lets whoever makes the input of a copy write where the copy would.
pub(super) fn write_parts_in_place(steps: &mut Vec<Step>, buffers: &Buffers, outputs: &[Source]) {
    let mut index = 0;
    while index < steps.len() {
        match producer_of_copy(steps, index, buffers, outputs) {
            Some(producer) => {
                let copy = steps.remove(index);
                steps[producer].outputs = copy.outputs;
            }
            None => index += 1,
        }
    }
}

fn producer_of_copy(steps: &[Step], index: usize, buffers: &Buffers, outputs: &[Source]) -> Option<usize> {
    let [input] = steps[index].inputs.as_slice() else { return None };
    let pixel = steps[index].kernel.as_copy()?;
    if readers(steps, outputs, buffers)[input.buffer] != 1 || !is_whole(input, buffers) {
        return None;
    }
    let producer = writer(steps, input.buffer)?;
    let [target] = steps[producer].outputs.as_slice() else { return None };
    let is_dense = target.is_dense() && target.pixel_stride == pixel;
    (steps[producer].kernel.takes_pixel_stride() && is_dense).then_some(producer)
}
