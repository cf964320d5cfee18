//! Float convolutions of images with long rows and of filters with distant taps, which are cut into parts.

use qkernels::float::{Epilogue, PackedWeight, Weight, conv2d_into};
use qkernels::geometry::{Conv2dGeometry, Conv2dParameters};
use qkernels::isa::{Isa, set_isa};
use qkernels::threads::{set_num_threads, set_work_threshold};

use crate::problem;
use crate::reference;

/// Compares with the definition, on small integers, whose sums are exact in any order.
fn check(geometry: &Conv2dGeometry, pack: bool) {
    let values = |len: usize| (0..len).map(|i| (i * 37 % 11) as f32 - 5.0).collect::<Vec<_>>();
    let (input, weight) = (values(geometry.input_len()), values(geometry.weight_len()));
    let bias = values(geometry.out_channels);
    let expected = reference::conv2d_float(geometry, &input, &weight, Some(&bias));
    let epilogue = Epilogue::bias(geometry.out_channels, Some(&bias)).unwrap();
    for isa in Isa::available() {
        for threads in [1, 3] {
            set_isa(Some(isa));
            set_num_threads(threads);
            set_work_threshold(0);
            let packed = pack.then(|| PackedWeight::new(geometry, &weight).unwrap().unwrap());
            let weight = packed.as_ref().map_or(Weight::Whole(&weight), Weight::Packed);
            let mut output = vec![f32::NAN; geometry.output_len()];
            conv2d_into(geometry, &input, weight, &epilogue, &mut output).unwrap();
            assert!(output == expected, "{geometry:?} on {isa:?} with {threads} threads");
        }
    }
}

#[test]
fn tiles_of_long_rows_agree_with_the_definition() {
    let cases = [
        ([4, 3, 1], [1, 3001], [1, 3], [1, 1], [0, 1], [1, 1]),
        ([4, 13, 1], [3, 1031], [3, 5], [1, 2], [1, 2], [1, 1]),
        ([2, 3, 1], [2, 1100], [2, 3], [1, 1], [1, 7], [1, 9]),
        ([2, 2, 1], [5, 600], [1, 1], [2, 1], [0, 0], [1, 1]),
        ([3, 3, 3], [2, 1500], [3, 3], [1, 2], [1, 1], [1, 1]),
        ([2, 2, 1], [3001, 1], [3, 1], [2, 1], [1, 0], [1, 1]),
    ];
    for ([in_channels, out_channels, groups], [height, width], kernel, stride, padding, dilation) in cases {
        let parameters = Conv2dParameters {
            batch: 2,
            in_channels,
            height,
            width,
            out_channels,
            kernel,
            stride,
            padding,
            dilation,
            groups,
        };
        check(&Conv2dGeometry::new(parameters).unwrap(), false);
    }
}

#[test]
fn distant_taps_agree_with_the_definition() {
    for (dilation, stride, padding) in [
        ([40, 1], [1, 1], [3, 1]),
        ([1, 55], [1, 2], [0, 20]),
        ([33, 47], [2, 2], [30, 0]),
        ([33, 47], [5, 3], [70, 95]),
        ([7, 64], [40, 50], [0, 3]),
    ] {
        for [in_channels, out_channels, groups] in [[3, 14, 1], [4, 4, 2], [3, 3, 3]] {
            let parameters = Conv2dParameters {
                batch: 1,
                in_channels,
                height: 75,
                width: 131,
                out_channels,
                kernel: [3, 3],
                stride,
                padding,
                dilation,
                groups,
            };
            check(&Conv2dGeometry::new(parameters).unwrap(), false);
        }
    }
}

#[test]
fn patches_of_long_rows_agree_with_the_definition() {
    for (size, padding) in [([3, 701], [1, 1]), ([4, 640], [0, 2]), ([2, 900], [2, 0])] {
        check(&problem::conv2d_3x3(1, [16, 18], size, padding).unwrap(), true);
    }
}
