//! Random problems: geometries that fit together, and values that include the extremes.

use proptest::prelude::*;
use qkernels::float::PackedWeight;
use qkernels::geometry::{Conv2dGeometry, Conv2dParameters, Pool2dGeometry, Pool2dParameters};
use qkernels::isa::{Isa, set_isa};
use qkernels::threads;

/// As many cases as `PROPTEST_CASES` says, or else `count`.
pub fn cases(count: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(count),
    }
}

/// Bytes of `len` elements: random, mostly without the highest bit, small but for a few, or one value throughout.
pub fn bytes(len: usize) -> impl Strategy<Value = Vec<u8>> {
    let mostly_small = prop_oneof![15 => 0..=100_u8, 1 => 200..=255_u8];
    prop_oneof![
        6 => prop::collection::vec(any::<u8>(), len..=len),
        3 => prop::collection::vec(0..=150_u8, len..=len),
        3 => prop::collection::vec(mostly_small, len..=len),
        1 => Just(vec![0; len]),
        1 => Just(vec![127; len]),
        1 => Just(vec![255; len]),
    ]
}

/// The same for signed bytes.
pub fn signed_bytes(len: usize) -> impl Strategy<Value = Vec<i8>> {
    let mostly_small = prop_oneof![15 => -40..=40_i8, 1 => any::<i8>()];
    prop_oneof![
        6 => prop::collection::vec(any::<i8>(), len..=len),
        4 => prop::collection::vec(mostly_small, len..=len),
        1 => Just(vec![-128; len]),
        1 => Just(vec![127; len]),
    ]
}

pub fn floats(len: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(-4.0_f32..4.0, len..=len)
}

pub fn zero_point() -> impl Strategy<Value = i32> {
    prop_oneof![Just(0), Just(255), Just(128), 0..=255_i32]
}

/// No zero point for the weight, one for all channels, or one for each.
pub fn weight_zero_points(channels: usize) -> impl Strategy<Value = Vec<i32>> {
    prop_oneof![
        3 => Just(vec![0]),
        1 => Just(vec![-128]),
        1 => Just(vec![127]),
        2 => prop::collection::vec(-128..=127_i32, channels..=channels),
    ]
}

fn pair(range: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = [usize; 2]> {
    prop::array::uniform2(range)
}

/// Channels of input and output, and groups: dense, grouped, or depthwise.
fn channels() -> impl Strategy<Value = (usize, usize, usize)> {
    prop_oneof![
        3 => (1..=24_usize, 1..=24_usize).prop_map(|(c, o)| (c, o, 1)),
        1 => (prop_oneof![1..=130_usize, Just(64), Just(65)], 1..=6_usize)
            .prop_map(|(c, o)| (c, o, 1)),
        1 => (1..=5_usize, 60..=130_usize).prop_map(|(c, o)| (c, o, 1)),
        2 => (1..=6_usize, 1..=6_usize, 2..=4_usize).prop_map(|(c, o, g)| (c * g, o * g, g)),
        1 => (1..=9_usize, 1..=9_usize, 5..=20_usize).prop_map(|(c, o, g)| (c * g, o * g, g)),
        2 => (prop_oneof![2..=40_usize, Just(128), Just(130)], 1..=3_usize)
            .prop_map(|(c, multiplier)| (c, c * multiplier, c)),
        1 => (2..=9_usize, 4..=18_usize).prop_map(|(c, multiplier)| (c, c * multiplier, c)),
    ]
}

/// A 3x3 filter of stride 1, as Winograd's algorithm is for; `channels` are those of the input and the output.
pub fn conv2d_3x3(
    batch: usize,
    channels: [usize; 2],
    [height, width]: [usize; 2],
    padding: [usize; 2],
) -> qkernels::Result<Conv2dGeometry> {
    Conv2dGeometry::new(Conv2dParameters {
        batch,
        in_channels: channels[0],
        height,
        width,
        out_channels: channels[1],
        kernel: [3; 2],
        stride: [1; 2],
        padding,
        dilation: [1; 2],
        groups: 1,
    })
}

/// Float convolutions that are faster with a [`PackedWeight`].
pub fn conv2d_faster_packed() -> impl Strategy<Value = Conv2dGeometry> {
    let sizes = (1..=2_usize, 16..=40_usize, 16..=40_usize, pair(5..=40), pair(0..=2));
    sizes
        .prop_filter_map("padding is all there is", |(batch, in_channels, out_channels, size, padding)| {
            conv2d_3x3(batch, [in_channels, out_channels], size, padding).ok()
        })
        .prop_filter("few pixels", PackedWeight::is_faster)
}

pub fn conv2d() -> impl Strategy<Value = Conv2dGeometry> {
    (
        1..=2_usize,
        channels(),
        pair(1..=9),
        prop_oneof![2 => Just([1, 1]), 2 => Just([3, 3]), 3 => pair(1..=4)],
        pair(1..=3),
        pair(0..=3),
        pair(1..=3),
    )
        .prop_filter_map(
            "the filter is larger than the image",
            |(batch, (in_channels, out_channels, groups), size, kernel, stride, padding, dilation)| {
                Conv2dGeometry::new(Conv2dParameters {
                    batch,
                    in_channels,
                    height: size[0],
                    width: size[1],
                    out_channels,
                    kernel,
                    stride,
                    padding,
                    dilation,
                    groups,
                })
                .ok()
            },
        )
}

pub fn pool2d(max_dilation: usize) -> impl Strategy<Value = Pool2dGeometry> {
    (
        1..=2_usize,
        prop_oneof![1..=20_usize, Just(64), Just(130)],
        prop_oneof![4 => pair(1..=9), 1 => pair(10..=24)],
        prop_oneof![4 => pair(1..=4), 1 => pair(1..=13)],
        pair(1..=4),
        pair(0..=6),
        pair(1..=max_dilation),
        any::<bool>(),
    )
        .prop_filter_map(
            "the window does not fit",
            |(batch, channels, size, kernel, stride, padding, dilation, ceil_mode)| {
                Pool2dGeometry::new(Pool2dParameters {
                    batch,
                    channels,
                    height: size[0],
                    width: size[1],
                    kernel,
                    stride,
                    padding: [padding[0].min(kernel[0] / 2), padding[1].min(kernel[1] / 2)],
                    dilation,
                    ceil_mode,
                })
                .ok()
            },
        )
}

/// The result of `run` on one thread of plain Rust, after checking that every instruction set of this
/// machine gives the same, on one, two and five threads.
pub fn in_every_way<T: PartialEq + std::fmt::Debug>(run: impl Fn() -> T) -> T {
    // The settings are global and other tests change them too; that only mixes which results are
    // compared, and they may depend on none.
    let with = |isa: Isa, threads: usize, threshold: usize| {
        set_isa(Some(isa));
        threads::set_num_threads(threads);
        threads::set_work_threshold(threshold);
        run()
    };
    let definition = with(Isa::Scalar, 1, usize::MAX);
    for isa in Isa::available() {
        assert_eq!(definition, with(isa, 1, usize::MAX), "{isa}");
        assert_eq!(definition, with(isa, 2, 0), "{isa}, two threads");
        assert_eq!(definition, with(isa, 5, 0), "{isa}, five threads");
    }
    definition
}
