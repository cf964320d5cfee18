//! Batches of nothing: whatever the other extents are, there is nothing to do and nothing to allocate.

use qkernels::conv::PackedConv2d;
use qkernels::float::{self, Epilogue, Weight};
use qkernels::geometry::{
    AdaptivePool2dGeometry, Conv2dGeometry, Conv2dParameters, Pool2dGeometry, Pool2dParameters,
};
use qkernels::linear::PackedLinear;
use qkernels::pool::{self, AveragePool2d, MeanExtents, MeanRule, TieRule};
use qkernels::quantize::{ImageShape, dequantize_nhwc_to_nchw, quantize_nchw_to_nhwc};
use qkernels::rearrange::StridedCopy;
use qkernels::{QParams, Result};

const FAR: usize = 1 << 40;

fn qparams() -> QParams {
    QParams::new(0.5, 3)
}

#[test]
fn convolutions_of_no_image_are_done_at_once() -> Result<()> {
    for (groups, height, width) in [(4, 8, FAR), (4, FAR, 8), (2, 8, FAR), (1, FAR, 3)] {
        let geometry = Conv2dGeometry::new(Conv2dParameters {
            batch: 0,
            in_channels: 4,
            height,
            width,
            out_channels: 4,
            kernel: [3, 3],
            stride: [1, 1],
            padding: [1, 1],
            dilation: [1, 1],
            groups,
        })?;
        let packed = PackedConv2d::new(&vec![1; geometry.weight_len()], &[0], &geometry)?;
        packed.accumulate(&geometry, &[], 0, &mut [])?;
        let weight = vec![1.0; geometry.weight_len()];
        float::conv2d_into(&geometry, &[], Weight::Whole(&weight), &Epilogue::bias(4, None)?, &mut [])?;
    }
    Ok(())
}

#[test]
fn pools_of_no_image_are_done_at_once() -> Result<()> {
    for (height, width) in [(8, FAR), (FAR, 8), (FAR, 1 << 16)] {
        let geometry = Pool2dGeometry::new(Pool2dParameters {
            batch: 0,
            channels: 2,
            height,
            width,
            kernel: [3, 3],
            stride: [1, 1],
            padding: [1, 1],
            dilation: [1, 1],
            ceil_mode: false,
        })?;
        let average = AveragePool2d { qparams: qparams(), tie_rule: TieRule::Raw, count_include_pad: true };
        pool::avg_pool2d::<u8>(&geometry, &average, &[], &mut [])?;
        pool::max_pool2d::<u8>(&geometry, &[], &mut [])?;
        float::avg_pool2d(&geometry, true, &[], &mut [])?;
        float::max_pool2d(&geometry, &[], &mut [])?;
        let geometry = AdaptivePool2dGeometry::new(0, 2, [7, 7], [height, width])?;
        pool::adaptive_avg_pool2d::<u8>(&geometry, qparams(), TieRule::Centered, &[], &mut [])?;
        float::adaptive_avg_pool2d(&geometry, &[], &mut [])?;
        let image = ImageShape { batch: 0, channels: 2, height, width };
        quantize_nchw_to_nhwc::<u8>(&[], image, qparams(), 0..=255, &mut [])?;
        dequantize_nhwc_to_nchw::<u8>(&[], image, qparams(), &mut [])?;
    }
    Ok(())
}

#[test]
fn rows_and_copies_of_nothing_are_done_at_once() -> Result<()> {
    let packed = PackedLinear::new(&[1; 12], &[0], 3, 4)?;
    packed.accumulate(0, &[], 0, &mut [])?;
    float::linear(0, &[], &[1.0; 12], &Epilogue::bias(3, None)?, &mut [])?;
    for extents in [[0, FAR, 4], [FAR, 0, 4], [4, FAR, 0]] {
        StridedCopy::new(&extents, &[FAR, 1, 4], 0, 1)?.run::<u8>(&[], &mut [], 1)?;
    }
    for (outer, inner) in [(0, FAR), (FAR, 0)] {
        let extents = MeanExtents { outer, reduced: 3, inner };
        pool::mean::<u8>(extents, qparams(), MeanRule::Raw, &[], &mut [])?;
        float::mean_into(extents, &[], &mut [])?;
    }
    Ok(())
}

#[test]
fn what_cannot_be_addressed_without_its_empty_axis_is_refused() {
    assert!(AdaptivePool2dGeometry::new(0, 2, [7, 7], [FAR, FAR]).is_err());
    let extents = MeanExtents { outer: FAR, reduced: FAR, inner: 0 };
    assert!(float::mean_into(extents, &[], &mut []).is_err());
}

#[test]
fn a_window_far_larger_than_the_image_takes_as_long_as_the_image_has_pixels() -> Result<()> {
    let x: Vec<f32> = (0_u8..12).map(|i| f32::from(i * 7 % 12)).collect();
    for ceil_mode in [false, true] {
        let geometry = Pool2dGeometry::new(Pool2dParameters {
            batch: 1,
            channels: 1,
            height: 3,
            width: 4,
            kernel: [FAR, FAR],
            stride: [FAR / 2, FAR / 2],
            padding: [FAR / 2, FAR / 2],
            dilation: [1, 1],
            ceil_mode,
        })?;
        let mut y = vec![0.0; geometry.output_len()];
        float::max_pool2d(&geometry, &x, &mut y)?;
        assert!(y.iter().all(|&y| y == 11.0), "{y:?}");
        float::avg_pool2d(&geometry, false, &x, &mut y)?;
        assert!((y[0] - 5.5).abs() < 1e-6, "{y:?}");
    }
    Ok(())
}
