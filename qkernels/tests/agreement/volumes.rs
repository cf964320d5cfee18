//! Convolutions of videos and transposed ones, integer and float, against loops over every tap.

use proptest::prelude::*;
use qkernels::QParams;
use qkernels::conv::{PackedConv3d, PackedConvTranspose};
use qkernels::float::{Epilogue, Weight, conv2d_into, gather_depths, place_phases};
use qkernels::geometry::{Conv3dGeometry, Conv3dParameters, ConvTransposeGeometry, ConvTransposeParameters};
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};

use crate::float::close;
use crate::problem::{bytes, cases, floats, in_every_way, signed_bytes, zero_point};

/// Where a tap of the filter meets input and output, of three axes: `output * stride + tap * dilation = input + padding`
/// for a convolution; for a transposed one input and output change places.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    /// Of the side that is `stride` times as long, `[D, H, W]`.
    long: [usize; 3],
    short: [usize; 3],
    kernel: [usize; 3],
    stride: [usize; 3],
    padding: [usize; 3],
    dilation: [usize; 3],
}

fn flat(extents: [usize; 3], [a, b, c]: [usize; 3]) -> usize {
    (a * extents[1] + b) * extents[2] + c
}

fn indices(extents: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [depth, height, width] = extents;
    (0..depth * height * width).map(move |i| [i / width / height, i / width % height, i % width])
}

impl Sizes {
    /// All that meet: batch, place on the long side, place on the short side, tap, each as an index.
    fn meetings(self) -> Vec<[usize; 4]> {
        let mut found = Vec::new();
        for n in 0..self.batch {
            for short in indices(self.short) {
                for tap in indices(self.kernel) {
                    let place = [0, 1, 2].map(|axis| {
                        let place = short[axis] * self.stride[axis] + tap[axis] * self.dilation[axis];
                        place.checked_sub(self.padding[axis]).filter(|&place| place < self.long[axis])
                    });
                    if let [Some(z), Some(y), Some(x)] = place {
                        let long = flat(self.long, [z, y, x]);
                        found.push([n, long, flat(self.short, short), flat(self.kernel, tap)]);
                    }
                }
            }
        }
        found
    }
}

/// The sums of products of a convolution, `[N, places, O]`, of `input(n, place, c)` and `weight(o, c, tap)`.
fn conv3d<T: std::ops::AddAssign + Default + Clone>(
    g: &Conv3dGeometry,
    product: impl Fn([usize; 3], [usize; 3]) -> T,
) -> Vec<T> {
    let sizes = Sizes {
        batch: g.batch,
        long: g.size,
        short: g.output(),
        kernel: g.kernel,
        stride: g.stride,
        padding: g.padding,
        dilation: g.dilation,
    };
    let places: usize = g.output().iter().product();
    let (inputs, outputs) = (g.in_channels / g.groups, g.out_channels / g.groups);
    let mut sums = vec![T::default(); g.batch * places * g.out_channels];
    for [n, from, to, tap] in sizes.meetings() {
        for o in 0..g.out_channels {
            for c in 0..inputs {
                sums[(n * places + to) * g.out_channels + o] +=
                    product([n, from, o / outputs * inputs + c], [o, c, tap]);
            }
        }
    }
    sums
}

/// Those of a transposed convolution, of `input(n, place, c)` and `weight(c, o, tap)`.
fn conv_transpose<T: std::ops::AddAssign + Default + Clone>(
    g: &ConvTransposeGeometry,
    product: impl Fn([usize; 3], [usize; 3]) -> T,
) -> Vec<T> {
    let sizes = Sizes {
        batch: g.batch,
        long: g.output(),
        short: g.size,
        kernel: g.kernel,
        stride: g.stride,
        padding: g.padding,
        dilation: g.dilation,
    };
    let places: usize = g.output().iter().product();
    let (inputs, outputs) = (g.in_channels / g.groups, g.out_channels / g.groups);
    let mut sums = vec![T::default(); g.batch * places * g.out_channels];
    for [n, to, from, tap] in sizes.meetings() {
        for c in 0..g.in_channels {
            for o in 0..outputs {
                sums[(n * places + to) * g.out_channels + c / inputs * outputs + o] +=
                    product([n, from, c], [c, o, tap]);
            }
        }
    }
    sums
}

fn triple(range: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = [usize; 3]> {
    prop::array::uniform3(range)
}

/// Channels of a group, of the input and of the output, and the number of groups.
fn channels() -> impl Strategy<Value = [usize; 3]> {
    prop_oneof![
        3 => (1..=20_usize, 1..=20_usize).prop_map(|(c, o)| [c, o, 1]),
        1 => (1..=3_usize, 1..=3_usize, 2..=4_usize).prop_map(|(c, o, groups)| [c, o, groups]),
        1 => (1..=2_usize, 2..=9_usize).prop_map(|(o, groups)| [1, o, groups]),
    ]
}

fn conv3d_geometry() -> impl Strategy<Value = Conv3dGeometry> {
    (1..=2_usize, channels(), triple(1..=5), triple(1..=3), triple(1..=2), triple(0..=2), triple(1..=2))
        .prop_filter_map("no output", |(batch, [c, o, groups], size, kernel, stride, padding, dilation)| {
            Conv3dGeometry::new(Conv3dParameters {
                batch,
                in_channels: c * groups,
                size,
                out_channels: o * groups,
                kernel,
                stride,
                padding,
                dilation,
                groups,
            })
            .ok()
        })
}

fn transposed_geometry() -> impl Strategy<Value = ConvTransposeGeometry> {
    let sizes = (triple(1..=4), triple(1..=4), triple(1..=3), triple(0..=3), triple(0..=2), triple(1..=3));
    (1..=2_usize, channels(), sizes).prop_filter_map(
        "no output",
        |(batch, [c, o, groups], (size, kernel, stride, padding, output_padding, dilation))| {
            ConvTransposeGeometry::new(ConvTransposeParameters {
                batch,
                in_channels: c * groups,
                size,
                out_channels: o * groups,
                kernel,
                stride,
                padding,
                output_padding,
                dilation,
                groups,
            })
            .ok()
        },
    )
}

/// `[N, C, places]` to `[N, places, C]`.
fn channels_last(values: &[f32], channels: usize, places: usize) -> Vec<f32> {
    let images = values.chunks_exact(channels * places);
    images
        .flat_map(|image| (0..places * channels).map(move |i| image[i % channels * places + i / channels]))
        .collect()
}

fn requantization(formula: Formula, bias: &[f32]) -> Requantization {
    Requantization::new(&RequantizationParameters {
        formula,
        channels: bias.len(),
        input_scale: 0.03,
        weight_scales: WeightScales::PerTensor(0.02),
        bias: Some(bias),
        output: QParams::new(0.4, 77),
        relu: false,
        quant_min: 0,
        quant_max: 255,
    })
    .unwrap()
}

fn bias(channels: usize) -> Vec<f32> {
    (0..channels).map(|o| o as f32 * 0.3 - 2.0).collect()
}

fn formula() -> impl Strategy<Value = Formula> {
    prop_oneof![Just(Formula::Fbgemm), Just(Formula::Qnnpack), Just(Formula::Onednn)]
}

/// So many elements, of which the last pixel has no gap behind it.
fn strided_len(pixels: usize, channels: usize, gap: usize) -> usize {
    pixels * (channels + gap) - gap
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn a_convolution_of_videos_equals_its_definition(
        (g, input, weight) in conv3d_geometry().prop_flat_map(|g| {
            (Just(g), bytes(g.input_len()), signed_bytes(g.images().weight_len()))
        }),
        zero_point in zero_point(),
        weight_zero_point in prop_oneof![Just(0), -128..=127_i32],
        formula in formula(),
        gap in 0..=1_usize,
    ) {
        let bias = bias(g.out_channels);
        let requantization = requantization(formula, &bias);
        let packed = PackedConv3d::new(&weight, &[weight_zero_point], &g).unwrap();
        let (places, channels) = (g.images().output_len() / g.out_channels, g.out_channels);
        let actual = in_every_way(|| {
            let mut output = vec![1; strided_len(places, channels, gap)];
            let mut scratch = vec![9; g.gathered_len()];
            packed
                .run_into(&g, &input, zero_point, &requantization, None, &mut output, channels + gap, &mut scratch)
                .unwrap();
            output
        });
        let (inputs, taps) = (g.in_channels / g.groups, g.kernel.iter().product::<usize>());
        let size: usize = g.size.iter().product();
        let sums = conv3d(&g, |[n, place, c], [o, i, tap]| {
            let q = i32::from(input[(n * size + place) * g.in_channels + c]) - zero_point;
            q * (i32::from(weight[(o * inputs + i) * taps + tap]) - weight_zero_point)
        });
        for (index, sum) in sums.into_iter().enumerate() {
            let (place, o) = (index / channels, index % channels);
            prop_assert_eq!(actual[place * (channels + gap) + o], requantization.requantize(sum, o));
        }
        if let Some(unpacked) = packed.unpack() {
            prop_assert_eq!(unpacked, weight);
        }
    }

    #[test]
    fn a_transposed_convolution_equals_its_definition(
        (g, input, weight) in transposed_geometry().prop_flat_map(|g| {
            (Just(g), bytes(g.conv().input_len()), signed_bytes(g.weight_len()))
        }),
        zero_point in zero_point(),
        weight_zero_point in prop_oneof![Just(0), -128..=127_i32],
        formula in formula(),
        gap in 0..=1_usize,
    ) {
        let bias = bias(g.out_channels);
        let (of_phases, requantization) =
            (requantization(formula, &g.for_phases(&bias)), requantization(formula, &bias));
        let packed = PackedConvTranspose::new(&weight, weight_zero_point, &g).unwrap();
        let (places, channels) = (g.output_len() / g.out_channels, g.out_channels);
        let actual = in_every_way(|| {
            let mut output = vec![1; strided_len(places, channels, gap)];
            let mut scratch = vec![9; PackedConvTranspose::scratch_len(&g)];
            packed
                .run_into(&g, &input, zero_point, &of_phases, &mut output, channels + gap, &mut scratch)
                .unwrap();
            output
        });
        let (outputs, taps) = (g.out_channels / g.groups, g.kernel.iter().product::<usize>());
        let size: usize = g.size.iter().product();
        let sums = conv_transpose(&g, |[n, place, c], [_, o, tap]| {
            let q = i32::from(input[(n * size + place) * g.in_channels + c]) - zero_point;
            q * (i32::from(weight[(c * outputs + o) * taps + tap]) - weight_zero_point)
        });
        for (index, sum) in sums.into_iter().enumerate() {
            let (place, o) = (index / channels, index % channels);
            prop_assert_eq!(actual[place * (channels + gap) + o], requantization.requantize(sum, o));
        }
        if let Some(unpacked) = packed.unpack(&g) {
            prop_assert_eq!(unpacked, weight);
        }
    }

    #[test]
    fn float_convolutions_of_videos_are_those_of_gathered_images(
        (g, input, weight) in conv3d_geometry().prop_flat_map(|g| {
            (Just(g), floats(g.input_len()), floats(g.images().weight_len()))
        }),
    ) {
        let images = in_every_way(|| {
            let mut images = vec![f32::NAN; g.images().input_len()];
            gather_depths(&g, &input, &mut images).unwrap();
            images
        });
        let mut output = vec![f32::NAN; g.images().output_len()];
        let epilogue = Epilogue::affine(vec![[1.0, 0.0]; g.out_channels]);
        conv2d_into(g.images(), &images, Weight::Whole(&weight), &epilogue, &mut output).unwrap();
        let size: usize = g.size.iter().product();
        let (inputs, taps) = (g.in_channels / g.groups, g.kernel.iter().product::<usize>());
        let expected = conv3d(&g, |[n, place, c], [o, i, tap]| {
            input[(n * g.in_channels + c) * size + place] * weight[(o * inputs + i) * taps + tap]
        });
        // `[N * OD, O, OH * OW]` with the channels last is `[N, OD * OH * OW, O]`.
        let [_, height, width] = g.output();
        prop_assert!(close(&channels_last(&output, g.out_channels, height * width), &expected));
    }

    #[test]
    fn float_transposed_convolutions_are_those_of_their_phases(
        (g, input, weight) in transposed_geometry().prop_flat_map(|g| {
            (Just(g), floats(g.conv().input_len()), floats(g.weight_len()))
        }),
    ) {
        let conv = g.conv();
        let mut images = vec![f32::NAN; conv.images().input_len()];
        gather_depths(conv, &input, &mut images).unwrap();
        let mut phases = vec![f32::NAN; conv.images().output_len()];
        let of_phases = g.conv_weight(&weight, 0.0).unwrap();
        let epilogue = Epilogue::affine(vec![[1.0, 0.0]; conv.out_channels]);
        conv2d_into(conv.images(), &images, Weight::Whole(&of_phases), &epilogue, &mut phases).unwrap();
        let output = in_every_way(|| {
            let mut output = vec![f32::NAN; g.output_len()];
            place_phases(&g, &phases, &mut output).unwrap();
            output
        });
        let size: usize = g.size.iter().product();
        let (outputs, taps) = (g.out_channels / g.groups, g.kernel.iter().product::<usize>());
        let expected = conv_transpose(&g, |[n, place, c], [_, o, tap]| {
            input[(n * g.in_channels + c) * size + place] * weight[(c * outputs + o) * taps + tap]
        });
        let places = g.output().iter().product();
        prop_assert!(close(&channels_last(&output, g.out_channels, places), &expected));
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let parameters = ConvTransposeParameters {
        batch: 1,
        in_channels: 4,
        size: [1, 3, 3],
        out_channels: 6,
        kernel: [1, 2, 2],
        stride: [1, 2, 2],
        padding: [0; 3],
        output_padding: [0; 3],
        dilation: [1; 3],
        groups: 2,
    };
    assert_eq!(ConvTransposeGeometry::new(parameters).unwrap().output(), [1, 6, 6]);
    for wrong in [
        ConvTransposeParameters { groups: 3, ..parameters },
        ConvTransposeParameters { groups: 0, ..parameters },
        ConvTransposeParameters { output_padding: [0, 2, 0], ..parameters },
        ConvTransposeParameters { padding: [0, 3, 0], ..parameters },
        ConvTransposeParameters { padding: [0, 0, usize::MAX], ..parameters },
        ConvTransposeParameters { dilation: [1, 0, 1], ..parameters },
        ConvTransposeParameters { stride: [1, usize::MAX, 1], ..parameters },
        ConvTransposeParameters { dilation: [1, usize::MAX, 1], ..parameters },
        ConvTransposeParameters { size: [1, 3, usize::MAX], ..parameters },
    ] {
        assert!(ConvTransposeGeometry::new(wrong).is_err(), "{wrong:?}");
    }
    let parameters = Conv3dParameters {
        batch: 1,
        in_channels: 4,
        size: [3; 3],
        out_channels: 6,
        kernel: [2; 3],
        stride: [1; 3],
        padding: [0; 3],
        dilation: [1; 3],
        groups: 2,
    };
    assert_eq!(Conv3dGeometry::new(parameters).unwrap().output(), [2; 3]);
    for wrong in [
        Conv3dParameters { groups: 4, ..parameters },
        Conv3dParameters { kernel: [4, 1, 1], ..parameters },
        Conv3dParameters { stride: [0, 1, 1], ..parameters },
        Conv3dParameters { padding: [usize::MAX, 0, 0], ..parameters },
        Conv3dParameters { size: [0, 3, 3], ..parameters },
    ] {
        assert!(Conv3dGeometry::new(wrong).is_err(), "{wrong:?}");
    }
}
