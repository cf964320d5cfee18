//! Linear layers whose weights alone are integers, of 8 or 4 bits, with a scale for each group of a row.
//!
//! The weights stay packed in memory and are widened in registers, so that a layer with few rows takes the time of reading
//! them. Activations are floats; a block of them, 128 at most, is counted in steps of its largest magnitude over 32767, so
//! that products add up exactly in any order:
//!
//! ```text
//! x'[k]   = rne(x[k] / d),  d = max of |x| in the block / 32767
//! y[r][o] = bias[o] + sum over blocks of scale[o][group] * d * sum over k of x'[k] * w[o][k]
//! ```
//!
//! The outer sum is in `f32`, block after block, each term by a fused multiply-add: the same bits on every instruction set
//! and with any number of threads.

use crate::error::{Error, Result};
use crate::file_bytes::SharedBytes;
use crate::isa::{Isa, isa};
use crate::kernels::weight_only::{Activations, Block, Panel, multiply_panel};
use crate::length;
use crate::memory;
use crate::panel::PANEL;
use crate::rounding::round_clamped;
use crate::threads::{for_each_chunk, threads_for};

/// How many bits a weight has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightBits {
    /// From -8 to 7, two in a byte.
    Four,
    /// From -128 to 127.
    Eight,
}

impl WeightBits {
    /// What makes a weight unsigned.
    pub(crate) fn offset(self) -> i32 {
        match self {
            Self::Four => 8,
            Self::Eight => 128,
        }
    }

    /// Weights of a 32-bit word.
    pub(crate) fn of_word(self) -> usize {
        match self {
            Self::Four => 8,
            Self::Eight => 4,
        }
    }

    /// Where the weight `k` of a word begins, in bits: pairs of neighbours lie 16 bits apart, so that a mask makes a pair of
    /// 16-bit integers of them.
    fn shift(self, k: usize) -> usize {
        k % 2 * 16 + k / 2 * 32 / self.of_word()
    }
}

/// Activations of a block, at most: their products with bytes add up in 32 bits.
const MAX_BLOCK: usize = 128;

/// Activations in a block are filled up to a multiple of this: of the weights of a word.
const BLOCK_ALIGNMENT: usize = 8;

/// The steps of the largest activation of a block.
const STEPS: f32 = 32767.0;

/// The weight of a linear layer, packed once.
#[derive(Clone, Debug)]
pub struct WeightOnlyLinear {
    bits: WeightBits,
    out_features: usize,
    in_features: usize,
    group_size: usize,
    blocks: Vec<Block>,
    /// `[panels][words of a row][PANEL]` words of weights.
    bytes: Bytes,
    /// `[panels][blocks]`.
    scales: Vec<[f32; PANEL]>,
}

#[derive(Clone, Debug)]
enum Bytes {
    Owned(Vec<u8>),
    File(SharedBytes),
}

impl WeightOnlyLinear {
    /// Packs `weight` `[out_features, in_features]`, of which each `group_size` neighbours in a row have one of `scales`
    /// `[out_features, in_features / group_size]`.
    ///
    /// # Errors
    /// If a length does not match, a size is zero or no divisor, or an integer has more bits.
    pub fn new(
        bits: WeightBits,
        weight: &[i8],
        scales: &[f32],
        [out_features, in_features]: [usize; 2],
        group_size: usize,
    ) -> Result<Self> {
        let layer =
            Self::empty(bits, scales, [out_features, in_features], group_size, Bytes::Owned(Vec::new()))?;
        length::check("weight", weight, length::product("weight", &[out_features, in_features])?)?;
        let offset = bits.offset();
        if weight.iter().any(|&w| !(-offset..offset).contains(&i32::from(w))) {
            return Err(Error::parameter(format!("a weight is outside {}..{offset}", -offset)));
        }
        let mut bytes: Vec<u8> = memory::zeroed("a packed weight", layer.byte_len())?;
        let (words, _) = bytes.as_chunks_mut::<4>();
        let words_of_row = layer.words_of_row();
        for (panel, words) in words.chunks_exact_mut(words_of_row * PANEL).enumerate() {
            for (lane, o) in (panel * PANEL..out_features.min((panel + 1) * PANEL)).enumerate() {
                let row = &weight[o * in_features..][..in_features];
                for block in &layer.blocks {
                    for (i, &w) in row[block.inputs.clone()].iter().enumerate() {
                        let word = (block.start + i) / bits.of_word();
                        let value = (i32::from(w) + offset).cast_unsigned() << bits.shift(i % bits.of_word());
                        let word = &mut words[word * PANEL + lane];
                        *word = (u32::from_le_bytes(*word) | value).to_le_bytes();
                    }
                }
            }
        }
        Ok(Self { bytes: Bytes::Owned(bytes), ..layer })
    }

    /// A weight of [`as_bytes`](Self::as_bytes), used where it is.
    ///
    /// # Errors
    /// As for [`new`](Self::new), and if there are too many or too few bytes.
    pub fn from_packed(
        bits: WeightBits,
        bytes: SharedBytes,
        scales: &[f32],
        features: [usize; 2],
        group_size: usize,
    ) -> Result<Self> {
        let layer = Self::empty(bits, scales, features, group_size, Bytes::Owned(Vec::new()))?;
        length::check("packed weight", &bytes, layer.byte_len())?;
        Ok(Self { bytes: Bytes::File(bytes), ..layer })
    }

    /// Without weights.
    fn empty(
        bits: WeightBits,
        scales: &[f32],
        [out_features, in_features]: [usize; 2],
        group_size: usize,
        bytes: Bytes,
    ) -> Result<Self> {
        if out_features == 0 || in_features == 0 {
            return Err(Error::geometry("a linear layer has no features"));
        }
        if group_size == 0 || !in_features.is_multiple_of(group_size) {
            let message = format!("groups of {group_size} weights do not divide {in_features} in features");
            return Err(Error::parameter(message));
        }
        let groups = in_features / group_size;
        length::check("scales", scales, length::product("scales", &[out_features, groups])?)?;
        let mut blocks = Vec::new();
        let (mut start, len) = (0, group_size.div_ceil(group_size.div_ceil(MAX_BLOCK)));
        for group in (0..in_features).step_by(group_size) {
            for first in (group..group + group_size).step_by(len) {
                let inputs = first..(first + len).min(group + group_size);
                let end = start + inputs.len().next_multiple_of(BLOCK_ALIGNMENT);
                blocks.push(Block { inputs, start, end });
                start = end;
            }
        }
        let panels = out_features.div_ceil(PANEL);
        length::product("packed weight", &[panels, start, PANEL])?;
        let of =
            |panel: usize, block: &Block| {
                let scale = |o: usize| scales.get(o * groups + block.inputs.start / group_size).copied();
                let lanes = out_features.min((panel + 1) * PANEL) - panel * PANEL;
                std::array::from_fn(|lane| {
                    if lane < lanes { scale(panel * PANEL + lane).unwrap_or(0.0) } else { 0.0 }
                })
            };
        let scales = (0..panels).flat_map(|panel| blocks.iter().map(move |block| of(panel, block))).collect();
        Ok(Self { bits, out_features, in_features, group_size, blocks, bytes, scales })
    }

    /// The weight in the order in which the kernels read it, the same on every machine.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Owned(bytes) => bytes,
            Bytes::File(bytes) => bytes,
        }
    }

    /// How many bits a weight has.
    pub fn bits(&self) -> WeightBits {
        self.bits
    }

    /// Weights of a row with one scale.
    pub fn group_size(&self) -> usize {
        self.group_size
    }

    /// Length of an input row.
    pub fn in_features(&self) -> usize {
        self.in_features
    }

    /// Length of an output row.
    pub fn out_features(&self) -> usize {
        self.out_features
    }

    /// Bytes that the weight takes.
    fn byte_len(&self) -> usize {
        self.out_features.div_ceil(PANEL) * self.words_of_row() * PANEL * size_of::<u32>()
    }

    /// Activations of a row with those that fill blocks up.
    fn padded(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.end)
    }

    fn words_of_row(&self) -> usize {
        self.padded() / self.bits.of_word()
    }

    /// Bytes of scratch memory for so many rows, aligned for `i32`.
    pub fn scratch(&self, rows: usize) -> usize {
        let of_blocks = self.blocks.len() * (size_of::<f32>() + size_of::<i32>());
        rows.saturating_mul(of_blocks + self.padded() * size_of::<i16>())
    }

    /// `input` `[rows, in_features]` to `output` `[rows, out_features]`, each `clamp(.., low, high)`; NaN stays, and a block
    /// with a value that is not finite gives NaN.
    ///
    /// # Errors
    /// If a length does not match.
    pub fn run(
        &self,
        rows: usize,
        input: &[f32],
        bias: Option<&[f32]>,
        [low, high]: [f32; 2],
        scratch: &mut [u8],
        output: &mut [f32],
    ) -> Result<()> {
        length::check("input", input, length::product("input", &[rows, self.in_features])?)?;
        length::check("output", output, length::product("output", &[rows, self.out_features])?)?;
        length::check("scratch", scratch, self.scratch(rows))?;
        if let Some(bias) = bias {
            length::check("bias", bias, self.out_features)?;
        }
        let isa = isa();
        let blocks = rows * self.blocks.len();
        let (scales, rest) = scratch.split_at_mut(blocks * size_of::<f32>());
        let (sums, values) = rest.split_at_mut(blocks * size_of::<i32>());
        let scales = crate::elements::view_mut::<f32>(scales)?;
        let sums = crate::elements::view_mut::<i32>(sums)?;
        let values = crate::elements::view_mut::<i16>(values)?;
        let stride = values.len().checked_div(rows).unwrap_or(0);
        for row in 0..rows {
            let of_blocks = row * self.blocks.len()..(row + 1) * self.blocks.len();
            self.count(
                isa,
                &input[row * self.in_features..][..self.in_features],
                &mut values[row * stride..][..stride],
                &mut scales[of_blocks.clone()],
                &mut sums[of_blocks],
            );
        }
        let (values, scales, sums) = (&*values, &*scales, &*sums);
        let panel_bytes = self.words_of_row() * PANEL * size_of::<u32>();
        let work = rows.saturating_mul(self.out_features).saturating_mul(self.padded());
        let finish = |row: usize, panel: usize, output: &mut [f32]| {
            let of_blocks = row * self.blocks.len()..(row + 1) * self.blocks.len();
            let activations = Activations {
                values: &values[row * stride..][..self.padded()],
                scales: &scales[of_blocks.clone()],
                sums: &sums[of_blocks],
            };
            let weights = Panel {
                bits: self.bits,
                blocks: &self.blocks,
                bytes: &self.as_bytes()[panel * panel_bytes..][..panel_bytes],
                scales: &self.scales[panel * self.blocks.len()..][..self.blocks.len()],
            };
            let sums = multiply_panel(isa, &weights, &activations);
            for (lane, (y, sum)) in output.iter_mut().zip(sums).enumerate() {
                let sum = sum + bias.map_or(-0.0, |bias| bias[panel * PANEL + lane]);
                let sum = if sum < low { low } else { sum };
                *y = if sum > high { high } else { sum };
            }
        };
        if rows == 1 {
            let panels = self.out_features.div_ceil(PANEL).div_ceil(threads_for(work)).min(MAX_PANELS);
            for_each_chunk(output, panels * PANEL, work, |index, output| {
                for (panel, output) in output.chunks_mut(PANEL).enumerate() {
                    finish(0, index * panels + panel, output);
                }
            });
        } else {
            for_each_chunk(output, self.out_features, work, |row, output| {
                for (panel, output) in output.chunks_mut(PANEL).enumerate() {
                    finish(row, panel, output);
                }
            });
        }
        Ok(())
    }

    /// Counts a row's activations in steps: the steps, and of each block how large one is and their sum.
    fn count(&self, isa: Isa, input: &[f32], values: &mut [i16], scales: &mut [f32], sums: &mut [i32]) {
        isa.run(
            #[inline(always)]
            || {
                for ((block, scale), sum) in self.blocks.iter().zip(scales).zip(sums) {
                    let input = &input[block.inputs.clone()];
                    let values = &mut values[block.start..block.end];
                    let magnitude = input.iter().fold(0.0_f32, |largest, x| {
                        if x.abs() > largest || x.is_nan() { x.abs() } else { largest }
                    });
                    let steps = STEPS / magnitude;
                    values.fill(0);
                    (*scale, *sum) = (0.0, 0);
                    if !magnitude.is_finite() {
                        *scale = f32::NAN;
                    } else if steps.is_finite() {
                        *scale = magnitude / STEPS;
                        for (value, x) in values.iter_mut().zip(input) {
                            *value = round_clamped(x * steps, -32767, 32767) as i16;
                        }
                        *sum = values.iter().map(|&value| i32::from(value)).sum();
                    }
                }
            },
        );
    }
}

/// Panels of a task, at most.
const MAX_PANELS: usize = 16;
