//! Placement of the buffers of a program: buffers that are never needed at the same time share memory.

use std::ops::Range;

use super::step::{BufferId, Buffers, MAX_WRITES, Source, Step};
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
    places: Vec<Place>,
    len: usize,
    report: MemoryReport,
}

#[derive(Clone, Debug)]
enum Place {
    /// In the workspace.
    Workspace(Range<usize>),
    /// The memory of an input.
    Input(usize),
}

/// The first step in which a buffer is needed, and the last.
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
    /// Largest buffers first, of equal ones the one that is needed first, each at the lowest address that is
    /// free during its lifetime.
    pub(super) fn new(steps: &[Step], outputs: &[Source], buffers: &Buffers) -> Self {
        let lifetimes = lifetimes(steps, outputs, buffers);
        let mut order: Vec<BufferId> = (0..buffers.len()).filter(|&id| lifetimes[id].is_some()).collect();
        let first = |id: BufferId| lifetimes[id].map(|lifetime| lifetime.first);
        order.sort_by_key(|&id| (std::cmp::Reverse(buffers.bytes(id)), first(id)));
        let mut ranges = vec![0..0; buffers.len()];
        let mut placed: Vec<BufferId> = Vec::new();
        for id in order {
            let mut taken: Vec<Range<usize>> = placed
                .iter()
                .filter(|&&other| meet(lifetimes[id], lifetimes[other]))
                .map(|&other| ranges[other].clone())
                .collect();
            taken.sort_by_key(|range| range.start);
            let (mut start, len) = (0, buffers.bytes(id));
            for range in taken {
                if start + len <= range.start {
                    break;
                }
                start = start.max(range.end.next_multiple_of(ALIGNMENT));
            }
            ranges[id] = start..start + len;
            placed.push(id);
        }
        let len = ranges.iter().map(|range| range.end).max().unwrap_or(0);
        let live = |step: usize| -> usize {
            let is_live = |id: &BufferId| lifetimes[*id].is_some_and(|l| l.first <= step && step <= l.last);
            (0..buffers.len()).filter(is_live).map(|id| buffers.bytes(id)).sum()
        };
        let lower_bound_bytes = (0..steps.len()).map(live).max().unwrap_or(0);
        let places = ranges.into_iter().enumerate().map(|(id, range)| match buffers.input(id) {
            Some(input) => Place::Input(input),
            None => Place::Workspace(range),
        });
        let report = MemoryReport { peak_bytes: len, lower_bound_bytes };
        Self { places: places.collect(), len, report }
    }

    /// Bytes for all buffers.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn report(&self) -> MemoryReport {
        self.report
    }

    /// The contents of a buffer when all steps have run.
    pub(super) fn read<'a>(&self, bytes: &'a [u8], inputs: &[&'a [u8]], source: &Source) -> &'a [u8] {
        let buffer = match &self.places[source.buffer] {
            Place::Workspace(range) => &bytes[range.clone()],
            Place::Input(input) => inputs.get(*input).copied().unwrap_or_default(),
        };
        buffer.get(source.range.clone()).unwrap_or_default()
    }

    /// The buffers that `step` writes, apart from all other bytes.
    pub(super) fn split<'a>(&self, bytes: &'a mut [u8], step: &Step) -> Split<'a> {
        let mut writes: [(usize, Range<usize>); MAX_WRITES] = std::array::from_fn(|_| (0, 0..0));
        let mut count = 0;
        for (index, buffer) in step.written().take(MAX_WRITES).enumerate() {
            if let Place::Workspace(range) = &self.places[buffer] {
                writes[count] = (index, range.clone());
                count += 1;
            }
        }
        let writes = &mut writes[..count];
        writes.sort_unstable_by_key(|(_, range)| range.start);
        let mut split = Split {
            written: std::array::from_fn(|_| Default::default()),
            others: [const { (0, &[]) }; MAX_WRITES + 1],
        };
        let (mut rest, mut position) = (bytes, 0);
        for (other, (index, range)) in split.others.iter_mut().zip(writes.iter()) {
            let (before, from) = rest.split_at_mut(range.start - position);
            let (buffer, after) = from.split_at_mut(range.len());
            *other = (position, before);
            split.written[*index] = buffer;
            (rest, position) = (after, range.end);
        }
        split.others[count] = (position, rest);
        split
    }
}

/// A workspace in which some buffers are written and others read.
pub(super) struct Split<'a> {
    written: [&'a mut [u8]; MAX_WRITES],
    /// The bytes between them, with the address where they begin.
    others: [(usize, &'a [u8]); MAX_WRITES + 1],
}

impl<'a> Split<'a> {
    /// The buffer that the step writes at `index`; empty when it was taken before.
    pub(super) fn write(&mut self, index: usize) -> &'a mut [u8] {
        self.written.get_mut(index).map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn read(&self, placement: &Placement, inputs: &[&'a [u8]], source: &Source) -> &'a [u8] {
        let range = match &placement.places[source.buffer] {
            Place::Input(input) => {
                return inputs
                    .get(*input)
                    .and_then(|bytes| bytes.get(source.range.clone()))
                    .unwrap_or_default();
            }
            Place::Workspace(range) => range.start + source.range.start..range.start + source.range.end,
        };
        let within = |&(start, bytes): &(usize, &'a [u8])| {
            bytes.get(range.start.checked_sub(start)?..range.end.checked_sub(start)?)
        };
        self.others.iter().find_map(within).unwrap_or_default()
    }
}

fn meet(a: Option<Lifetime>, b: Option<Lifetime>) -> bool {
    a.zip(b).is_some_and(|(a, b)| a.meets(b))
}

/// Of each buffer of the workspace.
fn lifetimes(steps: &[Step], outputs: &[Source], buffers: &Buffers) -> Vec<Option<Lifetime>> {
    let mut lifetimes: Vec<Option<Lifetime>> = vec![None; buffers.len()];
    let mut touch = |buffer: BufferId, step: usize| {
        if buffers.input(buffer).is_none() {
            lifetimes[buffer].get_or_insert(Lifetime { first: step, last: step }).last = step;
        }
    };
    for (index, step) in steps.iter().enumerate() {
        step.inputs.iter().for_each(|source| touch(source.buffer, index));
        step.written().for_each(|buffer| touch(buffer, index));
    }
    outputs.iter().for_each(|output| touch(output.buffer, steps.len()));
    lifetimes
}
