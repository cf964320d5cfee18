//! The left side of the product: rows of bytes that are read where they lie.
//!
//! A row is a few runs of neighbouring bytes. Most of them are parts of the input and only their addresses are
//! written down; a run that crosses the border of an image, or whose end filled up to a whole quad would leave the
//! input, is copied.

use std::marker::PhantomData;
use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use super::Windows;
use crate::panel::Runs;

/// Where the rows of the left side come from.
pub(crate) trait Rows: Sync {
    /// The runs of each row: those of the packed weights, or longer ones.
    fn runs(&self) -> Runs;

    /// Writes down where the runs of `rows` are, for one group.
    fn locate(&self, rows: Range<usize>, group: usize, table: &mut RunTable<'_>);

    /// The rows as windows whose runs are rows of taps, if they are that.
    #[cfg(target_arch = "x86_64")]
    fn windows(&self) -> Option<Windows<'_>> {
        None
    }

    /// Rows that are better not torn apart are as many neighbours as this.
    fn neighbours(&self) -> usize {
        1
    }

    /// The whole input.
    fn input(&self) -> &[u8];

    /// A part of the input that contains all that `rows` read of it.
    fn span(&self, rows: Range<usize>) -> &[u8];

    /// The byte that stands for 0.
    fn zero_point(&self) -> u8;
}

/// Buffers of a [`RunTable`], kept between calls.
#[derive(Default)]
pub(crate) struct RunBuffers {
    /// `[runs][rows]`.
    starts: Vec<*const u8>,
    /// The runs that are copied, filled up; the first consists of zero points.
    copies: Vec<u8>,
    /// Which of the starts lie where in `copies`.
    copied: Vec<(usize, usize)>,
    /// How many of the rows have each run in the padding.
    padded: Vec<usize>,
    /// The runs that some row has in its input.
    used: Vec<usize>,
}

/// The addresses of the runs of some rows while they are being found.
pub(crate) struct RunTable<'a> {
    buffers: &'a mut RunBuffers,
    input: &'a [u8],
    zero_point: u8,
    runs: Runs,
    rows: usize,
}

/// The addresses of the runs of some rows.
///
/// Each points to [`Runs::padded_len`] bytes that can be read as long as `'a` lasts.
#[derive(Clone, Copy)]
pub(crate) struct LocatedRows<'a> {
    starts: &'a [*const u8],
    used: &'a [usize],
    runs: Runs,
    rows: usize,
    bytes: PhantomData<&'a [u8]>,
}

impl RunBuffers {
    /// Finds the runs of `rows`.
    pub(crate) fn locate<'a>(
        &'a mut self,
        source: &'a impl Rows,
        rows: Range<usize>,
        group: usize,
    ) -> LocatedRows<'a> {
        let runs = source.runs();
        self.starts.clear();
        self.starts.resize(runs.count * rows.len(), std::ptr::null());
        self.copies.clear();
        self.copies.resize(runs.padded_len(), source.zero_point());
        self.copied.clear();
        self.padded.clear();
        self.padded.resize(runs.count, 0);
        let count = rows.len();
        let mut table = RunTable {
            buffers: self,
            input: source.input(),
            zero_point: source.zero_point(),
            runs,
            rows: count,
        };
        source.locate(rows, group, &mut table);
        // Only now, as `copies` moves while it grows.
        for &(index, offset) in &self.copied {
            self.starts[index] = self.copies[offset..][..runs.padded_len()].as_ptr();
        }
        assert!(self.starts.iter().all(|start| !start.is_null()), "every run has been found");
        self.used.clear();
        self.used.extend((0..runs.count).filter(|&run| self.padded[run] < count));
        LocatedRows { starts: &self.starts, used: &self.used, runs, rows: count, bytes: PhantomData }
    }
}

impl RunTable<'_> {
    /// Run `run` of the `rows` begins at `first` of the input, and `step` bytes further for each row after the first.
    pub(crate) fn point(&mut self, run: usize, rows: Range<usize>, first: usize, step: usize) {
        let padded_len = self.runs.padded_len();
        let last = first + step * rows.len().saturating_sub(1);
        if last + padded_len <= self.input.len() {
            let mut start = self.input[first..].as_ptr();
            for slot in &mut self.buffers.starts[run * self.rows..][rows] {
                *slot = start;
                start = start.wrapping_add(step);
            }
            return;
        }
        for (i, row) in rows.enumerate() {
            let first = first + i * step;
            if first + padded_len <= self.input.len() {
                self.point(run, row..row + 1, first, step);
            } else {
                let run_len = self.runs.len;
                self.copy(run, row, 0, first..first + run_len);
            }
        }
    }

    /// Run `run` of the `rows` lies in the padding.
    pub(crate) fn pad(&mut self, run: usize, rows: Range<usize>) {
        let first = run * self.rows;
        self.buffers.padded[run] += rows.len();
        self.buffers.copied.extend(rows.map(|row| (first + row, 0)));
    }

    /// Run `run` of `row` is padding, but for the bytes from `position` on, which are those of `part` of the input.
    pub(crate) fn copy(&mut self, run: usize, row: usize, position: usize, part: Range<usize>) {
        let RunBuffers { copies, copied, .. } = &mut *self.buffers;
        let offset = copies.len();
        copied.push((run * self.rows + row, offset));
        copies.resize(offset + self.runs.padded_len(), self.zero_point);
        copies[offset + position..][..part.len()].copy_from_slice(&self.input[part]);
    }
}

impl<'a> LocatedRows<'a> {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn runs(&self) -> Runs {
        self.runs
    }

    /// The runs that are not padding for all rows; for the others, activations less the zero point are 0.
    pub(crate) fn used(&self) -> &'a [usize] {
        self.used
    }

    /// The runs that are [`used`](Self::used), and where they begin in `R` rows.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn used_starts<const R: usize>(
        &self,
        first_row: usize,
    ) -> impl Iterator<Item = (usize, &'a [*const u8; R])> {
        let Self { starts, used, rows, .. } = *self;
        assert!(first_row <= rows && R <= rows - first_row);
        // SAFETY: `starts` has `rows` rows for each of the runs, of which `used` are some.
        used.iter().map(move |&run| (run, unsafe { &*starts.as_ptr().add(run * rows + first_row).cast() }))
    }

    /// Where run `run` of each row begins.
    pub(crate) fn starts(&self, run: usize) -> &'a [*const u8] {
        &self.starts[run * self.rows..][..self.rows]
    }

    /// The bytes of a run, filled up to whole quads.
    pub(crate) fn bytes(&self, run: usize, row: usize) -> &'a [u8] {
        // SAFETY: every start points to `padded_len` bytes, borrowed for `'a`.
        unsafe { std::slice::from_raw_parts(self.starts(run)[row], self.runs.padded_len()) }
    }
}

#[cfg(test)]
impl<'a> LocatedRows<'a> {
    /// Rows of a single run each.
    pub(crate) fn of_single_runs(rows: &'a [&'a [u8]], starts: &'a mut Vec<*const u8>) -> Self {
        let len = rows[0].len();
        assert!(len.is_multiple_of(crate::panel::QUAD) && rows.iter().all(|row| row.len() == len));
        starts.extend(rows.iter().map(|row| row.as_ptr()));
        Self { starts, used: &[0], runs: Runs { count: 1, len }, rows: rows.len(), bytes: PhantomData }
    }
}
