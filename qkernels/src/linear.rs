//! Quantized linear layers.

use crate::deep::{DeepMatrix, is_deep};
use crate::epilogue::{Epilogue, KeepSums, Requantize};
use crate::error::{Error, Result};
use crate::few_columns::FewColumns;
use crate::file_bytes::SharedBytes;
use crate::gemm::{self, Dequantize, InputRows, PackedMatrix, Storage, check_zero_point_count};
use crate::isa::isa;
use crate::kernels;
use crate::length;
use crate::output_rows::OutputRows;
use crate::panel::Runs;
use crate::requantize::Requantization;
use crate::residual::Residual;

/// How exact sums become floats, which dynamic quantization does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dequantization<'a> {
    /// The scale of the input times that of the weight: one, or one of each output feature.
    pub multipliers: &'a [f32],
    /// Added to each output feature, if there is one.
    pub bias: Option<&'a [f32]>,
    /// Whether negative results become 0; NaN stays.
    pub relu: bool,
    /// Whether product and bias are rounded once, `fma(f32(acc), m, bias)`, as fbgemm does, or each on its own,
    /// `f32(f32(acc) * m) + bias`, as qnnpack does.
    pub fused: bool,
}

/// The weight of a linear layer, packed once.
#[derive(Clone, Debug)]
pub struct PackedLinear {
    weights: Weights,
    /// Instead of a matrix, if they are faster.
    few: Option<FewColumns>,
}

#[derive(Clone, Debug)]
enum Weights {
    Packed(PackedMatrix),
    Deep(DeepMatrix),
}

impl PackedLinear {
    /// Packs `weight` `[out_features, in_features]`; `zero_points` has 1 or `out_features` elements.
    ///
    /// # Errors
    /// If a length does not match, a size is zero, or a zero point is not an `i8`.
    pub fn new(weight: &[i8], zero_points: &[i32], out_features: usize, in_features: usize) -> Result<Self> {
        let runs = Self::runs(out_features, in_features)?;
        let len = length::product("weight", &[out_features, in_features])?;
        length::check("weight", weight, len)?;
        check_zero_point_count(zero_points, out_features)?;
        if is_deep(weight, in_features, zero_points)? {
            let matrix = DeepMatrix::new(weight.to_vec(), in_features, zero_points)?;
            return Ok(Self { weights: Weights::Deep(matrix), few: None });
        }
        let matrix = PackedMatrix::new(out_features, runs, zero_points, |o, k| weight[o * in_features + k])?;
        Ok(Self { few: FewColumns::new(&matrix), weights: Weights::Packed(matrix) })
    }

    /// The weight in the order in which the kernels read it, the same on every machine; `None` if it is so deep that its
    /// sums may leave `i32`, as it is not packed then.
    pub fn packed(&self) -> Option<&[u8]> {
        match &self.weights {
            Weights::Packed(matrix) => Some(matrix.storage().as_bytes()),
            Weights::Deep(_) => None,
        }
    }

    /// A weight of [`packed`](Self::packed), used where it is if it lies at a multiple of 64 bytes.
    ///
    /// # Errors
    /// As for [`new`](Self::new); if there are too many or too few bytes, or such as `packed` does not give; if a sum of
    /// products could leave `i32`.
    pub fn from_packed(
        bytes: SharedBytes,
        zero_points: &[i32],
        out_features: usize,
        in_features: usize,
    ) -> Result<Self> {
        check_zero_point_count(zero_points, out_features)?;
        let runs = Self::runs(out_features, in_features)?;
        let matrix = PackedMatrix::from_storage(out_features, runs, zero_points, Storage::of_file(bytes))?;
        Ok(Self { few: FewColumns::new(&matrix), weights: Weights::Packed(matrix) })
    }

    /// The weight in PyTorch's order, `[out_features, in_features]`.
    pub fn unpack(&self) -> Vec<i8> {
        match &self.weights {
            Weights::Packed(matrix) => {
                let row = |column| (0..self.in_features()).map(move |k| matrix.weight(column, k));
                (0..self.out_features()).flat_map(row).collect()
            }
            Weights::Deep(matrix) => matrix.weights().to_vec(),
        }
    }

    fn runs(out_features: usize, in_features: usize) -> Result<Runs> {
        if out_features == 0 || in_features == 0 {
            return Err(Error::geometry("a linear layer has no features"));
        }
        Ok(Runs { count: 1, len: in_features })
    }

    /// Length of an input row.
    pub fn in_features(&self) -> usize {
        match &self.weights {
            Weights::Packed(matrix) => matrix.runs().depth(),
            Weights::Deep(matrix) => matrix.depth(),
        }
    }

    /// Length of an output row.
    pub fn out_features(&self) -> usize {
        match &self.weights {
            Weights::Packed(matrix) => matrix.columns(),
            Weights::Deep(matrix) => matrix.columns(),
        }
    }

    /// Bytes of memory the packed weight takes.
    pub fn byte_len(&self) -> usize {
        let few = self.few.as_ref().map_or(0, FewColumns::byte_len);
        few + match &self.weights {
            Weights::Packed(matrix) => matrix.byte_len(),
            Weights::Deep(matrix) => matrix.weights().len(),
        }
    }

    /// The kernel that [`run`](Self::run) would use now, by name; it follows the instruction set in use.
    pub fn kernel(&self) -> String {
        match &self.weights {
            Weights::Packed(matrix) => kernels::name(isa(), std::iter::once(matrix.pair_bounds())),
            Weights::Deep(_) => format!("{}, sums of 64 bits", isa()),
        }
    }

    /// `input` `[rows, in_features]` to `output` `[rows, out_features]`.
    ///
    /// PyTorch: `quantized::linear`, and `linear_relu` with a ReLU in `requantization`.
    ///
    /// # Errors
    /// If a length does not match or the input's zero point is not a `u8`.
    pub fn run(
        &self,
        rows: usize,
        input: &[u8],
        input_zero_point: i32,
        requantization: &Requantization,
        output: &mut [u8],
    ) -> Result<()> {
        length::check("output", output, self.output_len(rows)?)?;
        self.run_into(rows, input, input_zero_point, requantization, None, output, self.out_features())
    }

    /// [`run`](Self::run) into a part of a larger output, with the addition that may follow in the same pass.
    ///
    /// `output` begins at the first row's `out_features` bytes, and those of the next row are `row_stride` bytes
    /// further; bytes between them stay as they are. The residual is `[rows, out_features]`; with it the bytes are
    /// those of `run` and [`elementwise::add`](crate::elementwise::add) one after the other.
    ///
    /// # Errors
    /// As for `run`, if `output` has less than `(rows - 1) * row_stride + out_features` elements or `row_stride` is
    /// less than `out_features`, and if the residual has another length than the output or scales that `add` refuses,
    /// or whose values are not finite.
    #[expect(clippy::too_many_arguments)]
    pub fn run_into(
        &self,
        rows: usize,
        input: &[u8],
        input_zero_point: i32,
        requantization: &Requantization,
        residual: Option<Residual<'_>>,
        output: &mut [u8],
        row_stride: usize,
    ) -> Result<()> {
        requantization.check_channels(self.out_features())?;
        let output = length::strided("output", output, rows, self.out_features(), row_stride)?;
        let epilogue = match residual {
            None => Requantize::new(requantization),
            Some(residual) => Requantize::with_residual(requantization, residual, self.output_len(rows)?)?,
        };
        self.multiply(rows, input, input_zero_point, &epilogue, output, row_stride)
    }

    /// `input` `[rows, in_features]` to floats `[rows, out_features]`: `y = acc * m[o] + bias[o]` of the exact sums `acc`,
    /// as `dequantization` says.
    ///
    /// PyTorch: the product of `quantized::linear_dynamic`, and `linear_relu_dynamic`.
    ///
    /// # Errors
    /// If a length does not match or the input's zero point is not a `u8`.
    pub fn run_float(
        &self,
        rows: usize,
        input: &[u8],
        input_zero_point: i32,
        dequantization: &Dequantization<'_>,
        output: &mut [f32],
    ) -> Result<()> {
        let Dequantization { multipliers, bias, .. } = *dequantization;
        if multipliers.len() != 1 {
            length::check("multipliers", multipliers, self.out_features())?;
        }
        if let Some(bias) = bias {
            length::check("bias", bias, self.out_features())?;
        }
        length::check("output", output, self.output_len(rows)?)?;
        let epilogue = Dequantize(*dequantization);
        self.multiply(rows, input, input_zero_point, &epilogue, output, self.out_features())
    }

    /// The exact sums `sum (xq - zx) * (wq - zw)`, `[rows, out_features]`, for callers with an
    /// epilogue of their own; one that leaves `i32` saturates.
    ///
    /// # Errors
    /// If a length does not match or the input's zero point is not a `u8`.
    pub fn accumulate(
        &self,
        rows: usize,
        input: &[u8],
        input_zero_point: i32,
        output: &mut [i32],
    ) -> Result<()> {
        length::check("output", output, self.output_len(rows)?)?;
        self.multiply(rows, input, input_zero_point, &KeepSums, output, self.out_features())
    }

    fn output_len(&self, rows: usize) -> Result<usize> {
        length::product("output", &[rows, self.out_features()])
    }

    /// The length of `output` has been checked.
    fn multiply<E: Epilogue>(
        &self,
        rows: usize,
        input: &[u8],
        input_zero_point: i32,
        epilogue: &E,
        output: &mut [E::Output],
        row_stride: usize,
    ) -> Result<()> {
        let in_features = self.in_features();
        let input_len = length::product("input", &[rows, in_features])?;
        length::check("input", input, input_len)?;
        let zero_point = gemm::input_zero_point(input_zero_point)?;
        let mut output = OutputRows::new(output, self.out_features(), row_stride);
        if let Some(few) = &self.few {
            few.multiply(input, zero_point, epilogue, output);
            return Ok(());
        }
        match &self.weights {
            Weights::Packed(matrix) => {
                let rows = InputRows { input, in_features, zero_point };
                gemm::multiply(&rows, std::slice::from_ref(matrix), epilogue, output);
            }
            Weights::Deep(matrix) => {
                for (row, input) in input.chunks_exact(in_features).enumerate() {
                    matrix.multiply(row, input, zero_point, 0, epilogue, output.row_mut(row));
                }
            }
        }
        Ok(())
    }
}
