//! Weights in the order the micro-kernels read them: panels of columns, four steps of depth together.
//!
//! One order serves every instruction set, so that a packed weight outlives a change of it: four
//! neighbouring bytes of one column are what the byte dot products (`vpdpbusd`, `udot`, `vpmaddubsw`)
//! consume, and the widening kernels unfold them a block at a time.

use crate::error::{Error, Result};
use crate::length;

/// Columns of a panel: two vectors of eight 32-bit sums.
pub(crate) const PANEL: usize = 16;

/// Neighbouring weights of one column.
pub(crate) const QUAD: usize = 4;

/// Depths are filled up with zeros to a multiple of this: whole vectors, no scalar remainder.
const DEPTH_UNIT: usize = 16;

/// Weights of one group: `[columns / PANEL][depth / QUAD][PANEL][QUAD]`, filled up with zeros.
#[derive(Clone, Debug)]
pub(crate) struct PackedMatrix {
    columns: usize,
    depth: usize,
    padded_depth: usize,
    weights: Vec<i8>,
    /// One per column, filled up like the weights.
    zero_points: Vec<[i16; PANEL]>,
}

/// Neighbouring columns of a [`PackedMatrix`].
#[derive(Clone, Copy)]
pub(crate) struct Panel<'a> {
    /// `[depth / QUAD]`, each `[PANEL][QUAD]`.
    pub(crate) quads: &'a [[i8; PANEL * QUAD]],
    pub(crate) zero_points: &'a [i16; PANEL],
}

impl PackedMatrix {
    /// Packs `columns` rows of weights of length `depth`; `weight(o, k)` reads one.
    ///
    /// `zero_points` has one element, or one per column.
    ///
    /// # Errors
    /// If a zero point is not an `i8`, or a sum could leave `i32`.
    pub(crate) fn new(
        columns: usize,
        depth: usize,
        zero_points: &[i32],
        weight: impl Fn(usize, usize) -> i8,
    ) -> Result<Self> {
        let padded_depth = length::product("packed weight", &[depth.div_ceil(DEPTH_UNIT), DEPTH_UNIT])?;
        let panels = columns.div_ceil(PANEL);
        let mut packed = Self {
            columns,
            depth,
            padded_depth,
            weights: vec![0; length::product("packed weight", &[panels, PANEL, padded_depth])?],
            zero_points: vec![[0; PANEL]; panels],
        };
        for column in 0..columns {
            let zero_point = weight_zero_point(zero_points, column)?;
            check_sum((0..depth).map(|k| weight(column, k)), zero_point)?;
            let (panel, lane) = (column / PANEL, column % PANEL);
            packed.zero_points[panel][lane] = zero_point;
            let panel = &mut packed.weights[panel * PANEL * padded_depth..][..PANEL * padded_depth];
            for k in 0..depth {
                panel[k / QUAD * PANEL * QUAD + lane * QUAD + k % QUAD] = weight(column, k);
            }
        }
        Ok(packed)
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The depth of the panels, a multiple of 16.
    pub(crate) fn padded_depth(&self) -> usize {
        self.padded_depth
    }

    /// Bytes of the packed weights.
    pub(crate) fn byte_len(&self) -> usize {
        self.weights.len() + size_of_val(self.zero_points.as_slice())
    }

    /// The columns from `index * PANEL` on.
    pub(crate) fn panel(&self, index: usize) -> Panel<'_> {
        let len = PANEL * self.padded_depth;
        Panel {
            quads: self.weights[index * len..][..len].as_chunks().0,
            zero_points: &self.zero_points[index],
        }
    }
}

/// The zero point of `column`, from one for all or one for each.
pub(crate) fn weight_zero_point(zero_points: &[i32], column: usize) -> Result<i16> {
    let zero_point = match zero_points {
        [zero_point] => *zero_point,
        _ => zero_points[column],
    };
    i8::try_from(zero_point)
        .map(i16::from)
        .map_err(|_| Error::parameter(format!("weight zero point {zero_point} is outside -128..=127")))
}

/// `Ok` if `sum |xq - zx| * |wq - zw|` cannot leave `i32`, whatever the activations are.
pub(crate) fn check_sum(weights: impl Iterator<Item = i8>, zero_point: i16) -> Result<()> {
    let magnitude: u64 = weights.map(|w| u64::from(i16::from(w).abs_diff(zero_point))).sum();
    if magnitude <= i32::MAX as u64 / 255 {
        Ok(())
    } else {
        Err(Error::parameter(
            "the weights of one output channel are so many that their sum could overflow 32 bits",
        ))
    }
}
