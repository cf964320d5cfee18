//! Where the buffers of a program lie: buffers that are never needed at the same time share memory.

use super::step::{BufferId, Output, Source, Step, Target};
use super::workspace::ALIGNMENT;

/// How much memory the activations of one run take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryReport {
    /// Bytes that a run occupies.
    pub peak_bytes: usize,
    /// Bytes of the activations that are needed at the same time, at the worst moment: no placement takes less.
    pub lower_bound_bytes: usize,
}

/// The place of every buffer.
#[derive(Debug)]
pub(super) struct Placement {
    ranges: Vec<std::ops::Range<usize>>,
    len: usize,
    report: MemoryReport,
}

/// From which step on a buffer is needed, and to which.
#[derive(Clone, Copy, Debug)]
struct Lifetime {
    first: usize,
    last: usize,
}

impl Lifetime {
    fn meets(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl Placement {
    /// Largest buffers first, of equal ones the one that is needed first, each at the lowest address where nothing that
    /// lives at the same time lies.
    pub(super) fn new(steps: &[Step], outputs: &[Output], sizes: &[usize], slot_bytes: &[usize]) -> Self {
        let lifetimes = buffer_lifetimes(steps, outputs, sizes.len());
        let mut order: Vec<BufferId> = (0..sizes.len()).filter(|&id| lifetimes[id].is_some()).collect();
        let first = |id: BufferId| lifetimes[id].map(|lifetime| lifetime.first);
        order.sort_by_key(|&id| (std::cmp::Reverse(sizes[id]), first(id)));
        let mut ranges = vec![0..0; sizes.len()];
        let mut placed: Vec<BufferId> = Vec::new();
        for id in order {
            let mut taken: Vec<_> = placed
                .iter()
                .filter(|&&other| meet(lifetimes[id], lifetimes[other]))
                .map(|&other| ranges[other].clone())
                .collect();
            taken.sort_by_key(|range| range.start);
            let mut start = 0;
            for range in taken {
                if start + sizes[id] <= range.start {
                    break;
                }
                start = start.max(range.end.next_multiple_of(ALIGNMENT));
            }
            ranges[id] = start..start + sizes[id];
            placed.push(id);
        }
        let len = ranges.iter().map(|range| range.end).max().unwrap_or(0);
        let live = |step: usize| -> usize {
            let is_live =
                |lifetime: &Option<Lifetime>| lifetime.is_some_and(|l| l.first <= step && step <= l.last);
            lifetimes.iter().zip(sizes).filter(|(lifetime, _)| is_live(lifetime)).map(|(_, size)| size).sum()
        };
        let in_slots = tensor_bytes(steps, outputs, slot_bytes);
        let bound = (0..steps.len()).map(|step| live(step) + in_slots[step]).max().unwrap_or(0);
        let most_in_slots = in_slots.iter().copied().max().unwrap_or(0);
        Self {
            ranges,
            len,
            report: MemoryReport { peak_bytes: len + most_in_slots, lower_bound_bytes: bound },
        }
    }

    /// Bytes for all buffers.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn report(&self) -> MemoryReport {
        self.report
    }

    pub(super) fn slice<'a>(&self, bytes: &'a [u8], source: &Source) -> &'a [u8] {
        &bytes[self.ranges[source.buffer].clone()][source.range.clone()]
    }

    /// The part of the buffer that is written, and all other bytes.
    pub(super) fn output<'a>(&self, bytes: &'a mut [u8], target: &Target) -> (&'a mut [u8], Others<'a>) {
        let range = &self.ranges[target.buffer];
        let (before, rest) = bytes.split_at_mut(range.start);
        let (buffer, after) = rest.split_at_mut(range.len());
        let others = Others { before, after, after_start: range.end };
        (&mut buffer[target.offset.min(range.len())..], others)
    }

    pub(super) fn input<'a>(&self, others: &Others<'a>, source: &Source) -> &'a [u8] {
        let range = &self.ranges[source.buffer];
        let buffer = match range.start.checked_sub(others.after_start) {
            Some(start) => &others.after[start..start + range.len()],
            None => &others.before[range.clone()],
        };
        &buffer[source.range.clone()]
    }
}

/// All bytes but those of one buffer.
pub(super) struct Others<'a> {
    before: &'a [u8],
    after: &'a [u8],
    after_start: usize,
}

fn meet(a: Option<Lifetime>, b: Option<Lifetime>) -> bool {
    a.zip(b).is_some_and(|(a, b)| a.meets(b))
}

fn buffer_lifetimes(steps: &[Step], outputs: &[Output], buffers: usize) -> Vec<Option<Lifetime>> {
    let mut lifetimes: Vec<Option<Lifetime>> = vec![None; buffers];
    let mut touch = |buffer: BufferId, step: usize| {
        let lifetime = lifetimes[buffer].get_or_insert(Lifetime { first: step, last: step });
        lifetime.last = step;
    };
    for (index, step) in steps.iter().enumerate() {
        step.action.buffers_read().iter().for_each(|source| touch(source.buffer, index));
        if let Some(target) = step.action.target() {
            touch(target.buffer, index);
        }
    }
    for output in outputs {
        if let Output::Buffer(source) = output {
            touch(source.buffer, steps.len());
        }
    }
    lifetimes
}

/// Bytes of the tensors in slots while each step runs, without the model's inputs, which are the caller's.
fn tensor_bytes(steps: &[Step], outputs: &[Output], slot_bytes: &[usize]) -> Vec<usize> {
    use super::step::Action;
    let mut lifetimes: Vec<Option<Lifetime>> = vec![None; slot_bytes.len()];
    for (index, step) in steps.iter().enumerate() {
        for &slot in step.action.slots_read() {
            if let Some(lifetime) = &mut lifetimes[slot] {
                lifetime.last = index;
            }
        }
        if let Action::Tensors { output, .. }
        | Action::Dequantize { output, .. }
        | Action::Load { output, .. } = step.action
        {
            lifetimes[output] = Some(Lifetime { first: index, last: index });
        }
    }
    for output in outputs {
        if let Output::Slot(slot) = output
            && let Some(lifetime) = &mut lifetimes[*slot]
        {
            lifetime.last = steps.len();
        }
    }
    let live_at = |step: usize| {
        let live = lifetimes.iter().zip(slot_bytes).filter(|(lifetime, _)| {
            lifetime.is_some_and(|lifetime| lifetime.first <= step && step <= lifetime.last)
        });
        live.map(|(_, bytes)| bytes).sum()
    };
    (0..steps.len()).map(live_at).collect()
}
