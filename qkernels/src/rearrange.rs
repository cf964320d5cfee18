//! Arrays in another order: what permuting, cutting and repeating their axes comes to in memory.

use crate::elements::Element;
use crate::error::{Error, Result};
use crate::isa::{Isa, isa};
use crate::kernels::{Matrix, transpose};
use crate::length;
use crate::threads::{elementwise_chunk, for_each_chunk};

/// A copy of elements, which may lie anywhere, into an array that is dense in the order of its axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StridedCopy {
    /// Where the first element of the output is in the input.
    start: usize,
    /// Elements of the input up to the last one that is read.
    input_len: usize,
    /// Elements of the output.
    len: usize,
    /// Elements of a row of the output.
    row: usize,
    /// For rows that lie one after the other.
    dense: Nest,
    /// For rows with room between them; `None` if an axis goes on from one row to the next.
    strided: Option<Nest>,
}

impl StridedCopy {
    /// `output[i, j, ..] = input[start + i * strides[0] + j * strides[1] + ..]` with indices below `extents`; a
    /// stride of 0 repeats. The output is in rows of `row` elements, which may have room between them.
    ///
    /// # Errors
    /// If there is not one stride for each extent, the rows do not make up the output, or an array is too large to
    /// be addressed.
    pub fn new(extents: &[usize], strides: &[usize], start: usize, row: usize) -> Result<Self> {
        let len = length::product("output", extents)?;
        if extents.len() != strides.len() || len.checked_rem(row).unwrap_or(len) != 0 {
            let message = format!("{} strides, and rows of {row}, for an array {extents:?}", strides.len());
            return Err(Error::geometry(message));
        }
        let row = row.max(1);
        let mut axes_with_values = extents.iter().zip(strides).filter(|_| len > 0);
        let reach = axes_with_values.try_fold(start, |reach, (&extent, &stride)| {
            reach.checked_add(extent.saturating_sub(1).checked_mul(stride)?)
        });
        let input_len = reach
            .and_then(|reach| reach.checked_add(1))
            .ok_or_else(|| Error::geometry("an input that is too large to address"))?;
        let mut axes = Vec::with_capacity(extents.len());
        let mut to = len;
        for (&extent, &from) in extents.iter().zip(strides).filter(|&(&extent, _)| extent > 1 && len > 0) {
            to /= extent;
            axes.push(Axis { extent, from, to: Step::new(to, row) });
        }
        let strided = split_at_rows(&axes, row).map(|axes| Nest::new(&axes, |outer| outer.to != ROW));
        Ok(Self { start, input_len, len, row, dense: Nest::new(&axes, |_| true), strided })
    }

    /// Whether the output may have room between its rows.
    pub fn takes_row_stride(&self) -> bool {
        self.strided.is_some()
    }

    /// Writes the output, whose rows begin `row_stride` elements apart.
    ///
    /// # Errors
    /// If the input or the output is too short, or `row_stride` is less than a row or, where
    /// [`takes_row_stride`](Self::takes_row_stride) says no, more.
    pub fn run<T: Element>(&self, input: &[T], output: &mut [T], row_stride: usize) -> Result<()> {
        let nest = match &self.strided {
            Some(nest) if row_stride > self.row => nest,
            None if row_stride > self.row => {
                return Err(Error::parameter(format!("rows of {} elements, {row_stride} apart", self.row)));
            }
            _ => &self.dense,
        };
        if self.len == 0 {
            return Ok(());
        }
        let output = length::strided("output", output, self.len / self.row, self.row, row_stride)?;
        let Some(input) = input.get(..self.input_len) else {
            return Err(Error::Length { what: "input", expected: self.input_len, actual: input.len() });
        };
        nest.run(self.len, row_stride, &input[self.start..], output);
        Ok(())
    }
}

/// A distance in the output: whole rows, and elements of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    rows: usize,
    elements: usize,
}

/// From one row to the next.
const ROW: Step = Step { rows: 1, elements: 0 };

impl Step {
    fn new(distance: usize, row: usize) -> Self {
        Self { rows: distance / row, elements: distance % row }
    }

    #[inline(always)]
    fn at(self, row_stride: usize) -> usize {
        self.rows * row_stride + self.elements
    }
}

/// How often, and how far apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Axis {
    extent: usize,
    /// Elements of the input.
    from: usize,
    to: Step,
}

/// The same axes, none of which goes on from one row to the next, if they can be cut so.
fn split_at_rows(axes: &[Axis], row: usize) -> Option<Vec<Axis>> {
    let mut split = Vec::with_capacity(axes.len() + 1);
    for &axis in axes {
        let is_within = axis.to.rows == 0 && axis.to.elements * axis.extent <= row;
        if is_within || axis.to.elements == 0 {
            split.push(axis);
            continue;
        }
        let in_row = row / axis.to.elements;
        if axis.to.rows > 0 || !row.is_multiple_of(axis.to.elements) || !axis.extent.is_multiple_of(in_row) {
            return None;
        }
        split.push(Axis { extent: axis.extent / in_row, from: axis.from.saturating_mul(in_row), to: ROW });
        split.push(Axis { extent: in_row, ..axis });
    }
    if split.last().is_none_or(|last| last.to.rows > 0) {
        // A row is a single element.
        split.push(Axis { extent: 1, from: 1, to: Step { rows: 0, elements: 1 } });
    }
    Some(split)
}

/// Loops around the copy of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Nest {
    /// Outermost in the output first.
    axes: Vec<Axis>,
    block: Block,
    /// Whether the first of `axes` is outside of the block in the output too.
    is_outermost: bool,
}

/// What is copied at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// Neighbours stay neighbours.
    Run { len: usize },
    /// One element, many times.
    Repeated { len: usize },
    /// What lies next to each other in the input lies `to` apart in the output, and what lies `from` apart in the
    /// input, next to each other.
    Transposed { rows: usize, from: usize, columns: usize, to: Step },
    /// Neighbours from places `from` apart.
    Gathered { len: usize, from: usize },
}

impl Nest {
    /// `axes` make up the output from the outermost to the innermost; two are joined where the input goes on from the
    /// one to the other and `may_join` says yes to the outer one.
    fn new(axes: &[Axis], may_join: impl Fn(&Axis) -> bool) -> Self {
        let mut joined: Vec<Axis> = Vec::with_capacity(axes.len());
        for &axis in axes {
            match joined.last_mut() {
                // Strides of a tensor without elements may be of any size.
                Some(outer) if may_join(outer) && axis.from.checked_mul(axis.extent) == Some(outer.from) => {
                    *outer = Axis { extent: outer.extent * axis.extent, ..axis };
                }
                _ => joined.push(axis),
            }
        }
        let Some(last) = joined.pop() else {
            return Self { axes: joined, block: Block::Run { len: 1 }, is_outermost: true };
        };
        let columns = joined.iter().position(|axis| axis.from == 1);
        let block = match (last.from, columns) {
            (1, _) => Block::Run { len: last.extent },
            (0, _) => Block::Repeated { len: last.extent },
            (from, Some(index)) => {
                let Axis { extent: columns, to, .. } = joined.remove(index);
                Block::Transposed { rows: last.extent, from, columns, to }
            }
            (from, None) => Block::Gathered { len: last.extent, from },
        };
        let is_outermost = !matches!(block, Block::Transposed { .. }) || columns != Some(0);
        Self { axes: joined, block, is_outermost }
    }

    fn run<T: Element>(&self, len: usize, row_stride: usize, input: &[T], output: &mut [T]) {
        let isa = isa();
        let Some((first, rest)) = self.axes.split_first().filter(|_| self.is_outermost) else {
            return self.block.copy_all(isa, &self.axes, row_stride, input, output);
        };
        let step = first.to.at(row_stride);
        let chunk_len = elementwise_chunk(output.len(), step);
        // Copying costs less than a multiply-add.
        for_each_chunk(output, chunk_len, len * size_of::<T>() / 4, |index, output| {
            for (turn, output) in output.chunks_mut(step).enumerate() {
                let input = &input[(index * (chunk_len / step) + turn) * first.from..];
                self.block.copy_all(isa, rest, row_stride, input, output);
            }
        });
    }
}

impl Block {
    /// Once for each index of `axes`.
    fn copy_all<T: Element>(self, isa: Isa, axes: &[Axis], row_stride: usize, input: &[T], output: &mut [T]) {
        let Some((first, rest)) = axes.split_first() else {
            return self.copy(isa, row_stride, input, output);
        };
        for index in 0..first.extent {
            let (input, output) =
                (&input[index * first.from..], &mut output[index * first.to.at(row_stride)..]);
            self.copy_all(isa, rest, row_stride, input, output);
        }
    }

    #[inline(always)]
    fn copy<T: Element>(self, isa: Isa, row_stride: usize, input: &[T], output: &mut [T]) {
        match self {
            Self::Run { len } => output[..len].copy_from_slice(&input[..len]),
            Self::Repeated { len } => output[..len].fill(input[0]),
            Self::Transposed { rows, from, columns, to } => {
                let input = Matrix { values: input, row_stride: from };
                transpose(
                    isa,
                    [rows, columns],
                    input,
                    Matrix { values: output, row_stride: to.at(row_stride) },
                );
            }
            Self::Gathered { len, from } => {
                for (output, input) in output[..len].iter_mut().zip(input.iter().step_by(from)) {
                    *output = *input;
                }
            }
        }
    }
}
