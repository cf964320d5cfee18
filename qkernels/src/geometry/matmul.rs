//! Products of pairs of matrices.

use std::ops::Range;

use crate::error::Result;
use crate::length;

/// Products of matrices `[rows, depth]` and `[depth, columns]`, each of a left and a right one of a batch.
///
/// ```
/// use qkernels::geometry::MatmulGeometry;
///
/// // Two left matrices, one after the other, and one right matrix for both.
/// let geometry = MatmulGeometry::new([3, 4, 5], vec![[0, 0], [1, 0]], false)?;
/// assert_eq!([geometry.left_len(), geometry.right_len(), geometry.output_len()], [24, 20, 30]);
/// # Ok::<(), qkernels::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatmulGeometry {
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    pub(crate) columns: usize,
    /// Of each product the left and the right matrix.
    pub(crate) pairs: Vec<[usize; 2]>,
    /// Whether right matrices lie as `[columns, depth]`.
    pub(crate) is_transposed: bool,
    lengths: [usize; 3],
}

impl MatmulGeometry {
    /// Product `i` is that of the matrices `pairs[i]`, which are counted from the beginning of each operand. The right
    /// ones lie as `[columns, depth]` if they are `transposed`.
    ///
    /// # Errors
    /// If an operand or the output is too large to be addressed.
    pub fn new([rows, depth, columns]: [usize; 3], pairs: Vec<[usize; 2]>, transposed: bool) -> Result<Self> {
        let count = |side: usize| pairs.iter().map(|pair| pair[side].saturating_add(1)).max().unwrap_or(0);
        let lengths = [
            length::product("left", &[count(0), rows, depth])?,
            length::product("right", &[count(1), depth, columns])?,
            length::product("output", &[pairs.len(), rows, columns])?,
        ];
        Ok(Self { rows, depth, columns, pairs, is_transposed: transposed, lengths })
    }

    /// Elements of the left operand, up to the last matrix that is read.
    pub fn left_len(&self) -> usize {
        self.lengths[0]
    }

    /// Elements of the right operand, up to the last matrix that is read.
    pub fn right_len(&self) -> usize {
        self.lengths[1]
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.lengths[2]
    }

    /// Products of numbers that are added up; `usize::MAX` if there are more.
    pub fn work(&self) -> usize {
        self.output_len().saturating_mul(self.depth)
    }

    /// Errors unless the operands and the output are of these sizes.
    pub(crate) fn check<A, B, O>(&self, left: &[A], right: &[B], output: &[O]) -> Result<()> {
        length::check("left", left, self.left_len())?;
        length::check("right", right, self.right_len())?;
        length::check("output", output, self.output_len())
    }

    /// The left and the right matrix of a product.
    #[inline(always)]
    pub(crate) fn operands<'a, A, B>(
        &self,
        product: usize,
        left: &'a [A],
        right: &'a [B],
    ) -> (&'a [A], &'a [B]) {
        let [left_index, right_index] = self.pairs[product];
        let [left_len, right_len] = [self.rows * self.depth, self.depth * self.columns];
        (&left[left_index * left_len..][..left_len], &right[right_index * right_len..][..right_len])
    }

    /// How products are cut into tasks, of which each has some of the `tiles` of rows and of the `panels` of columns.
    pub(crate) fn cut(&self, threads: usize, tiles: usize, panels: usize) -> MatmulTasks {
        let products = self.pairs.len();
        let [mut row_tasks, mut column_tasks] = [1, 1];
        if threads > 1 && !products.is_multiple_of(threads) && products < 4 * threads {
            // A right matrix is packed by each of the tasks that share it, unless these are of columns.
            match panels >= 2 * threads || panels >= tiles {
                true => column_tasks = panels.min(threads),
                false => row_tasks = tiles.min(threads),
            }
        }
        let [task_tiles, task_panels] =
            [tiles.div_ceil(row_tasks).max(1), panels.div_ceil(column_tasks).max(1)];
        MatmulTasks { products, tiles, panels, task_tiles, task_panels }
    }
}

/// The tasks of some products.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MatmulTasks {
    products: usize,
    tiles: usize,
    panels: usize,
    task_tiles: usize,
    task_panels: usize,
}

impl MatmulTasks {
    pub(crate) fn count(&self) -> usize {
        self.products * self.tiles.div_ceil(self.task_tiles) * self.panels.div_ceil(self.task_panels)
    }

    /// The product of a task, and the tiles and the panels that are its part.
    #[inline(always)]
    pub(crate) fn task(&self, index: usize) -> (usize, [Range<usize>; 2]) {
        let [down, across] = [self.tiles.div_ceil(self.task_tiles), self.panels.div_ceil(self.task_panels)];
        let [row, column] = [index / across % down * self.task_tiles, index % across * self.task_panels];
        let rows = row..self.tiles.min(row + self.task_tiles);
        let columns = column..self.panels.min(column + self.task_panels);
        (index / across / down, [rows, columns])
    }
}
