//! `Layout`: the strides of an array in memory. Permuting, slicing and broadcasting axes change only them.

use std::ops::Range;

use ndarray::{ArrayBase, IxDyn, RawData};

use super::Rearrangement;

/// PyTorch's memory formats of a tensor without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryFormat {
    /// In row-major order of its shape.
    Contiguous,
    /// The channels of `[N, C, ..]` innermost: `[N, H, W, C]`. Tensors of one or two axes are contiguous.
    ChannelsLast,
}

impl MemoryFormat {
    /// Of an array of any rank: channels-last if its strides are, even where it is contiguous too.
    pub(crate) fn of<T, S: RawData<Elem = T>>(array: &ArrayBase<S, IxDyn>) -> Self {
        // Asked at every run, which is to allocate nothing, as views of more than four axes do.
        let (shape, mut next) = (array.shape(), 1);
        let is_dense = |axis: usize| {
            let is_next = shape[axis] == 1 || array.strides()[axis] == next;
            next *= shape[axis] as isize;
            is_next
        };
        let is_channels_last =
            is_image(shape.len()) && (shape.contains(&0) || channels_last(shape.len()).rev().all(is_dense));
        if is_channels_last { Self::ChannelsLast } else { Self::Contiguous }
    }
}

/// An array's extents, and for each axis the distance from one index to the next, in elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    shape: Vec<usize>,
    strides: Vec<usize>,
    start: usize,
}

/// Whether PyTorch has a channels-last format for tensors of so many axes: images `[N, C, H, W]` and videos
/// `[N, C, D, H, W]`.
pub(crate) fn is_image(rank: usize) -> bool {
    matches!(rank, 4 | 5)
}

/// The axes of `[N, C, ..]`, outermost first, where the channels are innermost.
fn channels_last(rank: usize) -> impl DoubleEndedIterator<Item = usize> {
    std::iter::once(0).chain(2..rank).chain(std::iter::once(1))
}

impl Layout {
    /// Without gaps; `order` has the axes from the outermost to the innermost. Strides that cannot be addressed
    /// saturate: whoever makes a buffer of them gets an error.
    fn dense(shape: &[usize], order: impl DoubleEndedIterator<Item = usize>) -> Self {
        let (mut strides, mut stride) = (vec![0; shape.len()], 1_usize);
        for axis in order.rev() {
            strides[axis] = stride;
            stride = stride.saturating_mul(shape[axis]);
        }
        Self { shape: shape.to_vec(), strides, start: 0 }
    }

    pub(crate) fn row_major(shape: &[usize]) -> Self {
        Self::dense(shape, 0..shape.len())
    }

    /// That of a tensor in one of PyTorch's memory formats.
    pub(crate) fn in_format(shape: &[usize], format: MemoryFormat) -> Self {
        match format {
            MemoryFormat::ChannelsLast if shape.len() > 2 => Self::dense(shape, channels_last(shape.len())),
            _ => Self::row_major(shape),
        }
    }

    /// The same, beginning at another element.
    pub(crate) fn starting_at(self, start: usize) -> Self {
        Self { start, ..self }
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(crate) fn strides(&self) -> &[usize] {
        &self.strides
    }

    /// From the first element in memory to the last.
    pub(crate) fn range(&self) -> Range<usize> {
        if self.shape.contains(&0) {
            return self.start..self.start;
        }
        let reach: usize =
            self.shape.iter().zip(&self.strides).map(|(extent, stride)| (extent - 1) * stride).sum();
        self.start..self.start + reach + 1
    }

    /// Whether an array of the same shape has the same strides, but for axes of extent 1.
    pub(crate) fn has_strides_of(&self, other: &Self) -> bool {
        let strides = self.strides.iter().zip(&other.strides);
        self.shape.contains(&0)
            || self.shape.iter().zip(strides).all(|(&extent, (a, b))| extent == 1 || a == b)
    }

    /// The memory format that PyTorch gives to an operation's output for an input of this layout.
    pub(crate) fn suggested_format(&self) -> MemoryFormat {
        let mut least = 0;
        let rank = self.shape.len();
        let is_like_channels_last = is_image(rank)
            && channels_last(rank).rev().filter(|&axis| self.shape[axis] > 1).all(|axis| {
                let is_outside = self.strides[axis] >= least;
                least = self.strides[axis].saturating_mul(self.shape[axis]);
                is_outside
            });
        if is_like_channels_last { MemoryFormat::ChannelsLast } else { MemoryFormat::Contiguous }
    }

    /// The axes from the outermost in memory to the innermost.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut axes: Vec<usize> = (0..self.shape.len()).collect();
        axes.sort_by_key(|&axis| std::cmp::Reverse(self.strides[axis]));
        axes
    }

    /// The rearranged layout of the same memory; `None` if the strides allow no view of the new shape.
    pub(crate) fn rearranged(&self, rearrangement: &Rearrangement) -> Option<Self> {
        let mut result = self.clone();
        match rearrangement {
            Rearrangement::Permute(order) => {
                result.shape = order.iter().map(|&axis| self.shape[axis]).collect();
                result.strides = order.iter().map(|&axis| self.strides[axis]).collect();
            }
            Rearrangement::Slice { axis, range } => {
                result.shape[*axis] = range.len();
                result.start += range.start * self.strides[*axis];
            }
            Rearrangement::Reshape(shape) => {
                result.strides = self.strides_of(shape)?;
                result.shape.clone_from(shape);
            }
            Rearrangement::Broadcast(shape) => {
                let added = shape.len() - self.shape.len();
                let stride = |(&extent, &stride): (&usize, &usize)| if extent == 1 { 0 } else { stride };
                let strides = self.shape.iter().zip(&self.strides).map(stride);
                result.strides = std::iter::repeat_n(0, added).chain(strides).collect();
                result.shape.clone_from(shape);
            }
        }
        Some(result)
    }

    /// The strides of the same values in row-major order in another shape of as many, if it has any.
    fn strides_of(&self, shape: &[usize]) -> Option<Vec<usize>> {
        let mut strides = vec![0; shape.len()];
        if shape.contains(&0) {
            return Some(strides);
        }
        // Axes that one stride can cover, as extent and stride.
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for (&extent, &stride) in self.shape.iter().zip(&self.strides).filter(|&(&extent, _)| extent > 1) {
            match runs.last_mut() {
                Some(run) if run.1 == extent * stride => *run = (run.0 * extent, stride),
                _ => runs.push((extent, stride)),
            }
        }
        let (mut left, mut stride) = (1_usize, 0);
        for axis in (0..shape.len()).rev().filter(|&axis| shape[axis] > 1) {
            if left == 1 {
                (left, stride) = runs.pop()?;
            }
            if !left.is_multiple_of(shape[axis]) {
                return None;
            }
            strides[axis] = stride;
            stride *= shape[axis];
            left /= shape[axis];
        }
        Some(strides)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(shape: &[usize]) -> Layout {
        Layout::in_format(shape, MemoryFormat::ChannelsLast)
    }

    fn reshape(layout: &Layout, shape: &[usize]) -> Option<Layout> {
        layout.rearranged(&Rearrangement::Reshape(shape.to_vec()))
    }

    #[test]
    fn a_new_shape_fits_where_axes_can_be_joined() {
        let image = self::image(&[2, 6, 3, 5]);
        assert_eq!(image.strides, [90, 1, 30, 6]);
        assert_eq!(reshape(&image, &[2, 2, 3, 15]).unwrap().strides, [90, 3, 1, 6]);
        assert_eq!(reshape(&image, &[2, 1, 6, 3, 5, 1]).unwrap().strides, [90, 0, 1, 30, 6, 0]);
        assert_eq!(reshape(&image, &[2, 90]), None);
        assert_eq!(reshape(&image, &[4, 3, 3, 5]), None);
        let rows = Layout::row_major(&[4, 6]);
        assert_eq!(reshape(&rows, &[24]).unwrap().strides, [1]);
        assert_eq!(reshape(&rows, &[3, 8]).unwrap().strides, [8, 1]);
        assert_eq!(reshape(&Layout::row_major(&[1, 1]), &[]).unwrap().range(), 0..1);
        assert_eq!(reshape(&Layout::row_major(&[0, 3]), &[3, 0]).unwrap().range(), 0..0);
    }

    #[test]
    fn parts_keep_their_distances() {
        let whole = image(&[2, 6, 3, 5]);
        let cut = |axis, range| whole.rearranged(&Rearrangement::Slice { axis, range }).unwrap();
        assert_eq!(cut(1, 2..4).range(), 2..180 - 2);
        assert_eq!(cut(0, 1..2).range(), 90..180);
        assert!(cut(0, 1..2).has_strides_of(&image(&[1, 6, 3, 5])));
        assert!(!cut(1, 2..4).has_strides_of(&image(&[2, 2, 3, 5])));
        let permuted = whole.rearranged(&Rearrangement::Permute(vec![0, 2, 3, 1])).unwrap();
        assert!(permuted.has_strides_of(&Layout::row_major(&[2, 3, 5, 6])));
    }

    #[test]
    fn formats_are_suggested_as_in_pytorch() {
        use MemoryFormat::{ChannelsLast, Contiguous};
        for format in [Contiguous, ChannelsLast] {
            let image = Layout::in_format(&[2, 6, 3, 5], format);
            assert_eq!(image.suggested_format(), format);
            let cut = Rearrangement::Slice { axis: 1, range: 0..3 };
            assert_eq!(image.rearranged(&cut).unwrap().suggested_format(), format);
        }
        let video = Layout::in_format(&[2, 6, 3, 5, 4], ChannelsLast);
        assert_eq!(video.suggested_format(), ChannelsLast);
        assert_eq!(Layout::row_major(&[2, 6, 3, 5, 4]).suggested_format(), Contiguous);
        let permuted = Layout::row_major(&[2, 3, 4]).rearranged(&Rearrangement::Permute(vec![0, 2, 1]));
        assert_eq!(permuted.unwrap().suggested_format(), Contiguous);
    }
}
