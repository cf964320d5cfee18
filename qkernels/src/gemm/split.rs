//! How a product is cut: into tasks for threads, and these into blocks that stay in cache.

use std::ops::Range;

use super::pack::PackedMatrix;
use crate::panel::PANEL;

/// Bytes that a block of rows may occupy: half of a second-level cache of 512 KiB.
const BLOCK_BYTES: usize = 256 * 1024;

/// More rows than this do not make a block better.
const MAX_ROWS: usize = 512;

/// Rows that are kept together share most of their input with those before them.
const MIN_NEIGHBOURHOODS: usize = 8;

/// Rows of a task, if there are enough: two register tiles share each load of the weights.
const MIN_ROWS: usize = 24;

/// With fewer rows for each thread, the columns are cut instead.
const MIN_ROWS_OF_THREAD: usize = 4;

/// Panels whose outputs fill a cache line, which two threads should not share.
const PANELS_OF_LINE: usize = 64 / PANEL;

/// Rows and panels of a product, cut into tasks of equal size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    rows: usize,
    panels: usize,
    task_rows: usize,
    task_panels: usize,
    /// Rows of a block, within a task.
    pub(super) block: usize,
    pub(super) threads: usize,
}

impl Split {
    /// For so many threads; so many rows of `neighbours` are kept together.
    pub(super) fn new(
        matrix: &PackedMatrix,
        groups: usize,
        rows: usize,
        neighbours: usize,
        input_len: usize,
        threads: usize,
    ) -> Self {
        let panels = matrix.panels();
        let depth = matrix.runs().padded_depth();
        let mut split = Self {
            rows,
            panels,
            task_rows: rows.max(1),
            task_panels: panels,
            block: 1,
            threads: threads.max(1),
        };
        if threads > 1 {
            split.cut(groups, input_len, panels * PANEL * depth);
            split.task_rows = split.task_rows.next_multiple_of(neighbours);
        }
        let row_bytes = input_len.div_ceil(rows.max(1)) + matrix.runs().count * size_of::<*const u8>();
        let most = (BLOCK_BYTES / row_bytes).clamp(MIN_ROWS, MAX_ROWS);
        let most = most.max(MIN_NEIGHBOURHOODS * neighbours);
        split.block =
            split.task_rows.div_ceil(split.task_rows.div_ceil(most)).max(1).next_multiple_of(neighbours);
        split
    }

    /// Threads share the larger operand: each reads all of the other one.
    fn cut(&mut self, groups: usize, input_len: usize, weight_len: usize) {
        let columns_can_be_cut = groups == 1 && self.panels >= self.threads * PANELS_OF_LINE;
        if groups == 1 && self.rows < MIN_ROWS_OF_THREAD * self.threads {
            self.task_panels = self.panels.div_ceil(self.threads);
        } else if columns_can_be_cut && weight_len > input_len {
            let even = self.panels.div_ceil(self.threads);
            let whole_lines = even.next_multiple_of(PANELS_OF_LINE);
            // A line that two threads share costs less than a thread that waits for the other.
            self.task_panels = if whole_lines - even <= even / 8 { whole_lines } else { even };
        } else {
            // A few tasks for each thread, as threads are not equally fast.
            let tasks = self.threads * (self.rows / (self.threads * MIN_ROWS)).clamp(1, 4);
            self.task_rows = self.rows.div_ceil(tasks).max(1);
        }
    }

    pub(super) fn tasks(&self) -> usize {
        self.rows.div_ceil(self.task_rows) * self.panels.div_ceil(self.task_panels)
    }

    /// Rows and panels of a task.
    pub(super) fn task(&self, index: usize) -> (Range<usize>, Range<usize>) {
        let across = self.panels.div_ceil(self.task_panels);
        let [row, panel] = [index / across * self.task_rows, index % across * self.task_panels];
        (row..self.rows.min(row + self.task_rows), panel..self.panels.min(panel + self.task_panels))
    }
}
