//! Sums of very many values, compared with exact ones: a float that has grown takes nothing more in.

use qkernels::QParams;
use qkernels::float::{self, Epilogue, Weight, conv2d_into, linear, mean_into};
use qkernels::geometry::{
    AdaptivePool2dGeometry, Conv2dGeometry, Conv2dParameters, Pool2dGeometry, Pool2dParameters,
};
use qkernels::isa::{Isa, set_isa};
use qkernels::pool::{self, AveragePool2d, MeanExtents, MeanRule, TieRule};

/// Everything that [`VALUE`] is added up to has a rounding error.
const VALUE: f32 = 0.1;

fn assert_close(found: &[f32], expected: f64, tolerance: f64) {
    for &found in found {
        let error = (f64::from(found) - expected).abs() / expected;
        assert!(error <= tolerance, "{found} {expected}");
    }
}

/// A pool of one window, the size of the image.
fn whole(height: usize, width: usize) -> Pool2dGeometry {
    Pool2dGeometry::new(Pool2dParameters {
        batch: 1,
        channels: 1,
        height,
        width,
        kernel: [height, width],
        stride: [1; 2],
        padding: [0; 2],
        dilation: [1; 2],
        ceil_mode: false,
    })
    .unwrap()
}

#[test]
fn averages_in_float_are_those_of_sums_in_double() {
    let values = vec![VALUE; 1_000_000];
    let mut output = [0.0];
    for [height, width] in [[1000, 1000], [1, 1_000_000], [1_000_000, 1]] {
        let geometry = AdaptivePool2dGeometry::new(1, 1, [height, width], [1, 1]).unwrap();
        float::adaptive_avg_pool2d(&geometry, &values, &mut output).unwrap();
        assert_close(&output, f64::from(VALUE), 6e-8);
        float::avg_pool2d(&whole(height, width), true, &values, &mut output).unwrap();
        assert_close(&output, f64::from(VALUE), 6e-8);
    }
    for (reduced, inner) in [(1_000_000, 1), (200_000, 5)] {
        let mut output = vec![0.0; inner];
        mean_into(MeanExtents { outer: 1, reduced, inner }, &values, &mut output).unwrap();
        assert_close(&output, f64::from(VALUE), 6e-8);
    }
}

/// Sums in parts: one after the other, a million of these would be off by nearly a percent.
#[test]
fn products_in_float_are_summed_in_parts() {
    let conv = |in_channels, width, kernel, groups| {
        Conv2dGeometry::new(Conv2dParameters {
            batch: 1,
            in_channels,
            height: 1,
            width,
            out_channels: 2,
            kernel: [1, kernel],
            stride: [1; 2],
            padding: [0; 2],
            dilation: [1; 2],
            groups,
        })
        .unwrap()
    };
    let epilogue = Epilogue::bias(2, None).unwrap();
    // Few pixels, tiles of pixels that mix many channels or have a long filter, and a long filter for each channel.
    let geometries = [
        conv(300_000, 1, 1, 1),
        conv(20_000, 10, 1, 1),
        conv(1, 100_009, 100_000, 1),
        conv(2, 100_009, 100_000, 2),
    ];
    for isa in Isa::available() {
        set_isa(Some(isa));
        for geometry in &geometries {
            let [input, weight] = [geometry.input_len(), geometry.weight_len()].map(|len| vec![VALUE; len]);
            let mut output = vec![0.0; geometry.output_len()];
            conv2d_into(geometry, &input, Weight::Whole(&weight), &epilogue, &mut output).unwrap();
            let depth = (geometry.weight_len() / 2) as f64;
            assert_close(&output, depth * f64::from(VALUE) * f64::from(VALUE), 1e-4);
        }
        let values = vec![VALUE; 1_000_000];
        let mut output = [0.0; 2];
        linear(1, &values[..500_000], &values, &epilogue, &mut output).unwrap();
        assert_close(&output, 5e5 * f64::from(VALUE) * f64::from(VALUE), 1e-4);
    }
}

/// More bytes than have their sum in 32 bits.
#[test]
fn averages_of_integers_are_exact() {
    let len = (1 << 24) + 5;
    // Most are 254, so that the sum of all is beyond 32 bits, and 254.3 their mean.
    let bytes: Vec<u8> = (0..len).map(|i| if i % 10 < 7 { 254 } else { 255 }).collect();
    let mut output = [0_u8];
    for tie_rule in [TieRule::Centered, TieRule::Raw, TieRule::CenteredPrime] {
        let qparams = QParams::new(0.03, 200);
        for [height, width] in [[1, len], [len, 1]] {
            let geometry = AdaptivePool2dGeometry::new(1, 1, [height, width], [1, 1]).unwrap();
            pool::adaptive_avg_pool2d(&geometry, qparams, tie_rule, &bytes, &mut output).unwrap();
            assert_eq!(output, [254]);
            let average = AveragePool2d { qparams, tie_rule, count_include_pad: true };
            pool::avg_pool2d(&whole(height, width), &average, &bytes, &mut output).unwrap();
            assert_eq!(output, [254]);
        }
    }
    for rule in [MeanRule::Raw, MeanRule::CenteredPrime, MeanRule::Dequantized] {
        let extents = MeanExtents { outer: 1, reduced: len, inner: 1 };
        pool::mean(extents, QParams::new(0.03, 200), rule, &bytes, &mut output).unwrap();
        assert_eq!(output, [254]);
    }
    // Columns whose mean is 254.5001 and 254.4999, on either side of the tie.
    for (larger, expected) in [(500_100, 255), (499_900, 254)] {
        let columns: Vec<u8> =
            (0..1_000_000).flat_map(|i| if i < larger { [255; 3] } else { [254; 3] }).collect();
        let extents = MeanExtents { outer: 1, reduced: 1_000_000, inner: 3 };
        let mut output = [0_u8; 3];
        pool::mean(extents, QParams::new(0.5, 0), MeanRule::Dequantized, &columns, &mut output).unwrap();
        assert_eq!(output, [expected; 3]);
    }
}
