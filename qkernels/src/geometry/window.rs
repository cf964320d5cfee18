//! The input ranges one output position of an averaging pool looks at, along one axis.

/// The part of an axis one output position averages over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// First input coordinate.
    pub(crate) start: usize,
    /// One past the last input coordinate.
    pub(crate) end: usize,
    /// Length including the padding that counts as zeros.
    pub(crate) padded_len: usize,
}

impl Window {
    /// Coordinates of the input in the window.
    pub(crate) fn len(self) -> usize {
        self.end - self.start
    }

    /// avg_pool: from `i * stride - padding` to `min(start + kernel, size + padding)`, clipped to
    /// the input.
    pub(crate) fn pooled(position: usize, size: usize, kernel: usize, stride: usize, padding: usize) -> Self {
        // In coordinates that start at the left padding, so that nothing is negative.
        let start = position * stride;
        let end = (start + kernel).min(size + 2 * padding);
        let clip = |coordinate: usize| coordinate.saturating_sub(padding).min(size);
        Self { start: clip(start), end: clip(end), padded_len: end - start }
    }

    /// adaptive pool: from `floor(i * size / output)` to `ceil((i + 1) * size / output)`.
    pub(crate) fn adaptive(position: usize, size: usize, output: usize) -> Self {
        let (start, end) = match (position + 1).checked_mul(size) {
            Some(end) => ((end - size) / output, end.div_ceil(output)),
            None => {
                let [start, end] = [position, position + 1].map(|position| position as u128 * size as u128);
                ((start / output as u128) as usize, end.div_ceil(output as u128) as usize)
            }
        };
        Self { start, end, padded_len: end - start }
    }
}
