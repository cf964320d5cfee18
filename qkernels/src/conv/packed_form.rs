//! Packed weights in and out of files.

use super::{
    Filters, NarrowFilters, PackedConv2d, check_zero_point_count, columns_of_group, packed_runs,
    zero_points_of_group,
};
use crate::error::{Error, Result};
use crate::file_bytes::SharedBytes;
use crate::gemm::{PackedMatrix, Storage};
use crate::geometry::Conv2dGeometry;
use crate::length;

impl PackedConv2d {
    /// The weight in the order in which the kernels read it, one slice for each group; `None` of a depthwise
    /// convolution, which is packed for the instruction set at hand, and of one so deep that its sums may leave `i32`.
    ///
    /// The order is the same on every machine: [`from_packed`](Self::from_packed) takes the slices one after the
    /// other.
    pub fn packed(&self) -> Option<impl Iterator<Item = &[u8]>> {
        match &self.filters {
            Filters::Grouped(groups) => Some(groups.iter().map(|matrix| matrix.storage().as_bytes())),
            Filters::Depthwise(_) | Filters::Deep(_) => None,
        }
    }

    /// A weight of [`packed`](Self::packed), used where it is if it lies at a multiple of 64 bytes.
    ///
    /// # Errors
    /// As for [`new`](Self::new); if there are too many or too few bytes, or a byte between two runs is not 0; and
    /// for a depthwise convolution.
    pub fn from_packed(bytes: SharedBytes, zero_points: &[i32], geometry: &Conv2dGeometry) -> Result<Self> {
        check_zero_point_count(zero_points, geometry.out_channels)?;
        if geometry.is_depthwise() {
            return Err(Error::geometry("depthwise weights are not stored packed"));
        }
        let (columns, runs) = (columns_of_group(geometry), packed_runs(geometry));
        let group_len = PackedMatrix::packed_len(columns, runs)?;
        let len = length::product("packed weight", &[geometry.groups, group_len])?;
        length::check("packed weight", &bytes, len)?;
        let mut rest = bytes;
        let groups = (0..geometry.groups)
            .map(|group| {
                let too_few = || Error::Length { what: "packed weight", expected: len, actual: rest.len() };
                let [weights, others] = rest.split_at(group_len).ok_or_else(too_few)?;
                rest = others;
                let zero_points = zero_points_of_group(zero_points, group, columns);
                PackedMatrix::from_storage(columns, runs, zero_points, Storage::of_file(weights))
            })
            .collect::<Result<_>>()?;
        let mut packed = Self::of_filters(geometry, Filters::Grouped(groups), None);
        if NarrowFilters::are_faster(geometry)
            && let Some(weight) = packed.unpack()
        {
            packed.narrow = Some(NarrowFilters::new(&weight, zero_points, geometry)?);
        }
        Ok(packed)
    }

    /// The weight in PyTorch's order, `[O, C / groups, KH, KW]`; `None` where
    /// [`packed`](Self::packed) is.
    pub fn unpack(&self) -> Option<Vec<i8>> {
        let Filters::Grouped(groups) = &self.filters else { return None };
        let taps = self.kernel[0] * self.kernel[1];
        let channels = self.in_channels / self.groups;
        let depth = channels * taps;
        let mut weight = Vec::with_capacity(self.out_channels * depth);
        for matrix in groups {
            for column in 0..matrix.columns() {
                // From [KH * KW, C] to [C, KH * KW].
                weight.extend((0..depth).map(|i| matrix.weight(column, i % taps * channels + i / taps)));
            }
        }
        Some(weight)
    }
}
