//! Tensors with a border: of one value, or of their own values.

use crate::elements::Element;
use crate::error::{Error, Result};
use crate::length;
use crate::threads::{elementwise_chunk, for_each_chunk};

/// What a border consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PadMode {
    /// One value.
    Constant,
    /// The values on the other side of the edge, without the edge: `2 1 | 0 1 2 | 1 0`.
    Reflect,
    /// The value at the edge: `0 0 | 0 1 2 | 2 2`.
    Replicate,
    /// The values from the other end: `1 2 | 0 1 2 | 0 1`.
    Circular,
}

/// An axis and how many values it gets at its beginning and at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PadAxis {
    /// Values of the input.
    pub extent: usize,
    /// Values before them.
    pub before: usize,
    /// Values behind them.
    pub after: usize,
}

impl PadAxis {
    /// The values of the output; `usize::MAX` if there are more.
    pub fn output(self) -> usize {
        self.extent.saturating_add(self.before).saturating_add(self.after)
    }

    /// Where the value at `position` of the output is in the input; `None` in a constant border.
    #[inline(always)]
    fn source(self, position: usize, mode: PadMode) -> Option<usize> {
        let Self { extent, before, .. } = self;
        let place = position.wrapping_sub(before);
        if place < extent {
            return Some(place);
        }
        let is_before = position < before;
        match mode {
            PadMode::Constant => None,
            PadMode::Replicate => Some(if is_before { 0 } else { extent - 1 }),
            PadMode::Reflect if is_before => Some(before - position),
            PadMode::Reflect => Some(2 * (extent - 1) - place),
            PadMode::Circular if is_before => Some(extent + position - before),
            PadMode::Circular => Some(place - extent),
        }
    }
}

/// A border around arrays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pad {
    mode: PadMode,
    /// The outermost first; the last one is that of rows.
    outer: Vec<PadAxis>,
    row: PadAxis,
    /// Elements of a value of a row.
    inner: usize,
    lengths: [usize; 2],
}

impl Pad {
    /// For arrays with the axes `axes`, in the order in which they lie in memory.
    ///
    /// # Errors
    /// If an array is too large to be addressed, or a border needs more values than the axis has: reflection as many as the
    /// border and one, a circular border as many, replication one.
    pub fn new(mode: PadMode, axes: &[PadAxis]) -> Result<Self> {
        for axis in axes.iter().filter(|axis| axis.before > 0 || axis.after > 0) {
            let border = axis.before.max(axis.after);
            let (is_enough, at_least) = match mode {
                PadMode::Constant => (true, 0),
                PadMode::Replicate => (axis.extent > 0, 1),
                PadMode::Reflect => (border < axis.extent, border.saturating_add(1)),
                PadMode::Circular => (border <= axis.extent, border),
            };
            if !is_enough {
                let message =
                    format!("a border of {border} needs an extent of {at_least}, not {}", axis.extent);
                return Err(Error::geometry(message));
            }
        }
        let extents = |of: fn(&PadAxis) -> usize| axes.iter().map(of).collect::<Vec<_>>();
        let input = length::product("input", &extents(|axis| axis.extent))?;
        let output = length::product("output", &extents(|axis| axis.output()))?;
        let is_padded = |axis: &PadAxis| axis.before > 0 || axis.after > 0;
        // Axes behind the last one with a border are moved as one.
        let rows = axes.iter().rposition(is_padded).unwrap_or(0);
        let inner = length::product("input", &extents(|axis| axis.extent)[axes.len().min(rows + 1)..])?;
        let row = axes.get(rows).copied().unwrap_or(PadAxis { extent: 1, before: 0, after: 0 });
        let outer = axes[..rows.min(axes.len())].to_vec();
        Ok(Self { mode, outer, row, inner, lengths: [input, output] })
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.lengths[1]
    }

    /// Copies the input, and makes the border; `constant` is what a constant one consists of.
    ///
    /// PyTorch: `torch.nn.functional.pad`.
    ///
    /// # Errors
    /// If a length does not match.
    pub fn run<T: Element>(&self, constant: T, input: &[T], output: &mut [T]) -> Result<()> {
        length::check("input", input, self.lengths[0])?;
        length::check("output", output, self.lengths[1])?;
        if output.is_empty() {
            return Ok(());
        }
        let row_len = self.row.output() * self.inner;
        let chunk_len = elementwise_chunk(output.len(), row_len);
        let work = output.len();
        for_each_chunk(
            output,
            chunk_len,
            work,
            #[inline(always)]
            |chunk, output| {
                for (index, output) in output.chunks_exact_mut(row_len).enumerate() {
                    match self.source_row(chunk * (chunk_len / row_len) + index) {
                        Some(row) => {
                            let row_len = self.row.extent * self.inner;
                            self.fill_row(constant, &input[row * row_len..][..row_len], output);
                        }
                        None => output.fill(constant),
                    }
                }
            },
        );
        Ok(())
    }

    /// Where each element of the output is in the input; `None` in a constant border.
    pub fn sources(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        let row_len = self.row.output() * self.inner;
        (0..self.output_len()).map(move |index| {
            let (row, place) = (index / row_len, index % row_len);
            let value = self.row.source(place / self.inner, self.mode)?;
            Some((self.source_row(row)? * self.row.extent + value) * self.inner + place % self.inner)
        })
    }

    /// The row of the input that a row of the output is made from; `None` in a constant border.
    #[inline(always)]
    fn source_row(&self, mut row: usize) -> Option<usize> {
        let (mut source, mut stride) = (0, 1);
        for axis in self.outer.iter().rev() {
            source += stride * axis.source(row % axis.output(), self.mode)?;
            row /= axis.output();
            stride *= axis.extent;
        }
        Some(source)
    }

    #[inline(always)]
    fn fill_row<T: Element>(&self, constant: T, input: &[T], output: &mut [T]) {
        let inner = self.inner;
        let (before, rest) = output.split_at_mut(self.row.before * inner);
        let (middle, after) = rest.split_at_mut(self.row.extent * inner);
        middle.copy_from_slice(input);
        let behind = self.row.before + self.row.extent;
        for (first, border) in [(0, before), (behind, after)] {
            for (position, border) in (first..).zip(border.chunks_exact_mut(inner)) {
                match self.row.source(position, self.mode) {
                    Some(place) => border.copy_from_slice(&input[place * inner..][..inner]),
                    None => border.fill(constant),
                }
            }
        }
    }
}
