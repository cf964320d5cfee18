//! Functions of bytes by way of floats: operations on two tensors, and affine functions of each channel.

#[cfg(target_arch = "x86_64")]
use super::requantize::{FloatVectors, Limits};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::panel::PANEL;
use crate::qparams::EightBit;

/// Values that are rounded are smaller than this, so that they fit into integers.
pub(crate) const MAX_ROUNDED: f32 = 1_073_741_824.0;

/// An operation on two integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// `((a - za) * sa + (b - zb) * sb) * m`
    Add,
    /// `((a - za) * sa - (b - zb) * sb) * m`
    Sub,
    /// `((a - za) * (b - zb)) * m`
    Mul,
}

/// An operation on bytes, whose results stay below [`MAX_ROUNDED`].
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only vectors read it"))]
pub(crate) struct BinaryMap {
    pub(crate) operation: Operation,
    /// Of both operands.
    pub(crate) zero_points: [i32; 2],
    pub(crate) scales: [f32; 2],
    pub(crate) multiplier: f32,
    pub(crate) rounding: Rounding,
}

/// `clamp(rne((q - z) * scale[c] + offset[c]) + zero_point, low, high)`, whose values stay below [`MAX_ROUNDED`].
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only vectors read it"))]
pub(crate) struct ChannelMap<'a> {
    /// Those of the channels, and again the first ones until a panel begins at each channel.
    pub(crate) scale: &'a [f32],
    pub(crate) offset: &'a [f32],
    pub(crate) channels: usize,
    pub(crate) input_zero_point: i32,
    pub(crate) rounding: Rounding,
}

/// `clamp(rne(value) + zero_point, low, high)`, of bytes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only vectors read it"))]
pub(crate) struct Rounding {
    pub(crate) zero_point: i32,
    pub(crate) low: i32,
    pub(crate) high: i32,
    /// Added to each byte of input and output, modulo 256: what makes signed integers unsigned.
    pub(crate) shift: u8,
}

impl Rounding {
    /// To integers of type `T`.
    pub(crate) fn new<T: EightBit>(zero_point: i32, low: i32, high: i32) -> Self {
        Self { zero_point, low, high, shift: (-*T::RANGE.start()) as u8 }
    }
}

/// `output[i] = map(a[i], b[i])`, for slices of equal length; `false` if `isa` has no vectors for it.
pub(crate) fn map_pairs(isa: Isa, map: &BinaryMap, a: &[u8], b: &[u8], output: &mut [u8]) -> bool {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni(proof) | Isa::Amx(proof, _) => avx512::map_pairs(proof, map, a, b, output),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::map_pairs(proof, map, a, b, output),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::map_pairs(proof.avx2(), map, a, b, output),
        Isa::Scalar => {
            let _ = (map, a, b, output);
            return false;
        }
    }
    #[cfg(target_arch = "x86_64")]
    true
}

/// `output[i] = map(input[i])` of whole pixels, for slices of equal length; `false` if `isa` has no vectors for it.
pub(crate) fn map_channels(isa: Isa, map: &ChannelMap<'_>, input: &[u8], output: &mut [u8]) -> bool {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni(proof) | Isa::Amx(proof, _) => avx512::map_channels(proof, map, input, output),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::map_channels(proof, map, input, output),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::map_channels(proof.avx2(), map, input, output),
        Isa::Scalar => {
            let _ = (map, input, output);
            return false;
        }
    }
    #[cfg(target_arch = "x86_64")]
    true
}

/// Panels of a vector of bytes, at most.
#[cfg(target_arch = "x86_64")]
const PANELS: usize = 4;

/// Calls `map` with the panels of each input that make a vector of bytes, and the place of the first.
///
/// The last vector may overlap the one before it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn for_each_vector<S: FloatVectors, const K: usize>(
    isa: S,
    inputs: [&[u8]; K],
    output: &mut [u8],
    mut map: impl FnMut([&[[u8; PANEL]]; K], usize) -> S::Bytes,
) {
    let len = output.len();
    assert!(inputs.iter().all(|input| input.len() == len));
    let lanes = 4 * S::LANES;
    if len < lanes {
        let mut padded = [[[0; PANEL]; PANELS]; K];
        for (padded, input) in padded.iter_mut().zip(inputs) {
            padded.as_flattened_mut()[..len].copy_from_slice(input);
        }
        let mut results = [[0; PANEL]; PANELS];
        let bytes = map(padded.each_ref().map(|padded| &padded[..]), 0);
        isa.store_vector(bytes, &mut results.as_flattened_mut()[..lanes]);
        output.copy_from_slice(&results.as_flattened()[..len]);
        return;
    }
    let mut first = 0;
    loop {
        let mut panels = [&[][..]; K];
        for (panels, input) in panels.iter_mut().zip(inputs) {
            *panels = input[first..first + lanes].as_chunks().0;
        }
        let bytes = map(panels, first);
        isa.store_vector(bytes, &mut output[first..first + lanes]);
        if first + lanes == len {
            break;
        }
        first = (first + lanes).min(len - lanes);
    }
}

/// Vector `v` of some panels, which are bytes with a shift, as integers.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn load<S: FloatVectors>(isa: S, panels: &[[u8; PANEL]], v: usize, shift: u8) -> S::Integers {
    let panel = &panels[v * S::LANES / PANEL];
    let part = v % (PANEL / S::LANES);
    if shift == 0 {
        isa.load_bytes(panel, part)
    } else {
        isa.load_bytes(&panel.map(|byte| byte.wrapping_add(shift)), part)
    }
}

/// Their distances from a zero point, which is shifted too.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn steps<S: FloatVectors>(
    isa: S,
    panels: &[[u8; PANEL]],
    v: usize,
    shift: u8,
    zero_point: S::Integers,
) -> S::Floats {
    isa.to_floats(isa.sub_integers(load(isa, panels, v, shift), zero_point))
}

#[cfg(target_arch = "x86_64")]
impl Rounding {
    #[inline(always)]
    fn to_bytes<S: FloatVectors>(self, isa: S, integers: [S::Integers; 4]) -> S::Bytes {
        let shift = i32::from(self.shift);
        let limits =
            Limits { offset: self.zero_point + shift, low: self.low + shift, high: self.high + shift };
        isa.to_bytes(integers, Some(limits))
    }

    #[inline(always)]
    fn unshift(self, output: &mut [u8]) {
        if self.shift != 0 {
            output.iter_mut().for_each(|byte| *byte = byte.wrapping_sub(self.shift));
        }
    }
}

/// [`map_pairs`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn map_pairs_with<S: FloatVectors>(
    isa: S,
    map: &BinaryMap,
    a: &[u8],
    b: &[u8],
    output: &mut [u8],
) {
    let BinaryMap { operation, zero_points, scales, multiplier, rounding } = *map;
    let shift = rounding.shift;
    let [zero_a, zero_b] = zero_points.map(|zero_point| zero_point + i32::from(shift));
    let zero_points = [isa.splat_integer(zero_a), isa.splat_integer(zero_b)];
    let [scale_a, scale_b] = [isa.splat(scales[0]), isa.splat(scales[1])];
    let multiplier = isa.splat(multiplier);
    macro_rules! run {
        (|$a:ident, $b:ident| $value:expr) => {
            for_each_vector(
                isa,
                [a, b],
                output,
                #[inline(always)]
                |panels, _| {
                    let mut integers = [isa.splat_integer(0); 4];
                    for (v, integer) in integers.iter_mut().enumerate() {
                        let $a = steps(isa, panels[0], v, shift, zero_points[0]);
                        let $b = steps(isa, panels[1], v, shift, zero_points[1]);
                        *integer = isa.to_integers(isa.mul($value, multiplier));
                    }
                    rounding.to_bytes(isa, integers)
                },
            )
        };
    }
    match operation {
        Operation::Add => run!(|a, b| isa.add(isa.mul(a, scale_a), isa.mul(b, scale_b))),
        Operation::Sub => run!(|a, b| isa.sub(isa.mul(a, scale_a), isa.mul(b, scale_b))),
        Operation::Mul => run!(|a, b| isa.mul(a, b)),
    }
    rounding.unshift(output);
}

/// [`map_channels`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn map_channels_with<S: FloatVectors>(
    isa: S,
    map: &ChannelMap<'_>,
    input: &[u8],
    output: &mut [u8],
) {
    let ChannelMap { scale, offset, channels, input_zero_point, rounding } = *map;
    let shift = rounding.shift;
    assert!(channels > 0 && scale.len() == channels + PANEL - 1 && offset.len() == scale.len());
    let zero_point = isa.splat_integer(input_zero_point + i32::from(shift));
    let step = PANEL % channels;
    let (mut expected, mut channel) = (0, 0);
    for_each_vector(
        isa,
        [input],
        output,
        #[inline(always)]
        |[panels], first| {
            if first != expected {
                channel = first % channels;
            }
            let mut constants = [(&[0.0; PANEL], &[0.0; PANEL]); PANELS];
            for (_, constants) in panels.iter().zip(&mut constants) {
                let at = |values| crate::blocks::at(values, channel);
                *constants = (at(scale), at(offset));
                channel = if channel + step < channels { channel + step } else { channel + step - channels };
            }
            expected = first + panels.len().min(4 * S::LANES / PANEL) * PANEL;
            let mut integers = [isa.splat_integer(0); 4];
            for (v, integer) in integers.iter_mut().enumerate() {
                let (scale, offset) = constants[v * S::LANES / PANEL];
                let part = v % (PANEL / S::LANES);
                let value = isa.mul(steps(isa, panels, v, shift, zero_point), isa.load_floats(scale, part));
                *integer = isa.to_integers(isa.add(value, isa.load_floats(offset, part)));
            }
            rounding.to_bytes(isa, integers)
        },
    );
    rounding.unshift(output);
}
