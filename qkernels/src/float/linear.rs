//! Float matrix products and linear layers, by the `gemm` crate.

use gemm::Parallelism;

use crate::error::{Error, Result};
use crate::length;
use crate::threads::threads_for;

/// A matrix in a slice: element `(r, c)` is at `r * row_stride + c * column_stride`.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl Layout {
    pub(super) fn row_major(rows: usize, columns: usize) -> Self {
        Self { rows, columns, row_stride: columns, column_stride: 1 }
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// One past the last index, or 0 for a matrix without elements.
    fn end(self) -> usize {
        if self.rows == 0 || self.columns == 0 {
            return 0;
        }
        (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + 1
    }
}

/// `output += left * right`, with `output` row-major and already holding the bias.
///
/// # Panics
/// If the sizes do not fit together or a slice is too short.
pub(super) fn add_product(
    left: (&[f32], Layout),
    right: (&[f32], Layout),
    output: &mut [f32],
    threads: usize,
) {
    let (left, left_layout) = left;
    let (right, right_layout) = right;
    let output_layout = Layout::row_major(left_layout.rows, right_layout.columns);
    assert_eq!(left_layout.columns, right_layout.rows);
    assert!(left_layout.end() <= left.len());
    assert!(right_layout.end() <= right.len());
    assert!(output_layout.end() <= output.len());
    let parallelism = if threads > 1 { Parallelism::Rayon(threads) } else { Parallelism::None };
    // SAFETY: the asserts bound every element the three layouts reach within its slice, `output` is
    // borrowed mutably and so overlaps neither operand, and its layout maps distinct positions to
    // distinct elements.
    unsafe {
        gemm::gemm(
            output_layout.rows,
            output_layout.columns,
            left_layout.columns,
            output.as_mut_ptr(),
            output_layout.column_stride as isize,
            output_layout.row_stride as isize,
            true,
            left.as_ptr(),
            left_layout.column_stride as isize,
            left_layout.row_stride as isize,
            right.as_ptr(),
            right_layout.column_stride as isize,
            right_layout.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// `input` `[rows, in_features]` times the transpose of `weight` `[out_features, in_features]`, plus
/// `bias` `[out_features]`, to `output` `[rows, out_features]`.
///
/// The sizes follow from the lengths and `rows`. PyTorch: `torch.nn.functional.linear`.
///
/// # Errors
/// If the lengths do not fit together or a size is zero.
pub fn linear(
    rows: usize,
    input: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) -> Result<()> {
    if rows == 0 || input.is_empty() || output.is_empty() {
        return Err(Error::geometry("a linear layer needs rows and features"));
    }
    let (in_features, out_features) = (input.len() / rows, output.len() / rows);
    length::check("input", input, length::product("input", &[rows, in_features])?)?;
    length::check("output", output, length::product("output", &[rows, out_features])?)?;
    length::check("weight", weight, length::product("weight", &[out_features, in_features])?)?;
    match bias {
        Some(bias) => {
            length::check("bias", bias, out_features)?;
            for row in output.chunks_exact_mut(out_features) {
                row.copy_from_slice(bias);
            }
        }
        None => output.fill(0.0),
    }
    let threads = threads_for(rows.saturating_mul(weight.len()));
    add_product(
        (input, Layout::row_major(rows, in_features)),
        (weight, Layout::row_major(out_features, in_features).transposed()),
        output,
        threads,
    );
    Ok(())
}
