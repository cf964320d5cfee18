//! Kernels on slices with any geometry, which fit it or do not.

use qkernels::conv::PackedConv2d;
use qkernels::elementwise::{self, BinaryQParams, LookupTable};
use qkernels::float::{self, Epilogue, PackedWeight, Weight};
use qkernels::geometry::{
    AdaptivePool2dGeometry, Conv2dGeometry, Conv2dParameters, Pool2dGeometry, Pool2dParameters,
};
use qkernels::linear::PackedLinear;
use qkernels::pool::{self, AveragePool2d, MeanExtents, MeanRule, TieRule};
use qkernels::quantize::{self, ImageShape};
use qkernels::rearrange::StridedCopy;
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};
use qkernels::{QParams, Result};

use super::{Cases, Outcome};
use crate::random::{Random, count};

pub(crate) struct KernelCases;

/// The length that fits, mostly.
fn len(random: &mut Random, fitting: usize) -> usize {
    match random.below(12) {
        0 => random.small(),
        1 => fitting.saturating_add(1).min(1 << 14),
        _ => fitting.min(1 << 14),
    }
}

fn qparams(random: &mut Random) -> QParams {
    QParams::new(random.scale(), random.zero_point())
}

fn two(random: &mut Random) -> [usize; 2] {
    [random.size(), random.size()]
}

fn conv_geometry(random: &mut Random) -> Result<Conv2dGeometry> {
    let groups = 1 + random.below(3);
    let is_depthwise = random.once_in(3);
    let channels = if is_depthwise { groups } else { groups * (1 + random.below(20)) };
    let shape = random.shape(3);
    Conv2dGeometry::new(Conv2dParameters {
        batch: shape[0],
        in_channels: if random.once_in(9) { random.size() } else { channels },
        height: shape[1],
        width: shape[2],
        out_channels: groups * (1 + random.below(40)),
        kernel: [1 + random.below(4), 1 + random.below(4)],
        stride: if random.once_in(2) { [1, 1] } else { two(random) },
        padding: if random.once_in(2) { [1, 1] } else { two(random) },
        dilation: if random.once_in(2) { [1, 1] } else { two(random) },
        groups: if random.once_in(9) { random.size() } else { groups },
    })
}

/// Not more work than a test may take.
fn is_small(geometry: &Conv2dGeometry) -> bool {
    geometry.output_len() <= 1 << 14
        && geometry.input_len() <= 1 << 14
        && geometry.weight_len() <= 1 << 14
        && geometry.multiply_accumulates() <= 1 << 24
}

fn conv(random: &mut Random) -> Result<()> {
    let geometry = conv_geometry(random)?;
    if !is_small(&geometry) {
        return Ok(());
    }
    let weight_len = len(random, geometry.weight_len());
    let weight: Vec<i8> = random.bytes(weight_len).into_iter().map(|byte| byte as i8).collect();
    let zero_points: Vec<i32> = match random.below(3) {
        0 => (0..geometry.out_channels).map(|_| random.below(256) as i32 - 128).collect(),
        _ => vec![random.zero_point()],
    };
    let packed = PackedConv2d::new(&weight, &zero_points, &geometry)?;
    let scale = random.scale();
    let requantization = Requantization::new(&RequantizationParameters {
        formula: *random.pick(&[Formula::Fbgemm, Formula::Qnnpack, Formula::Onednn]),
        channels: geometry.out_channels,
        input_scale: random.scale(),
        weight_scales: WeightScales::PerTensor(scale),
        bias: None,
        output: qparams(random),
        relu: random.once_in(2),
        quant_min: 0,
        quant_max: 255,
    })?;
    let (input_len, output_len) = (len(random, geometry.input_len()), len(random, geometry.output_len()));
    let input = random.bytes(input_len);
    packed.run(&geometry, &input, random.zero_point(), &requantization, &mut vec![0; output_len])
}

fn float_conv(random: &mut Random) -> Result<()> {
    let geometry = conv_geometry(random)?;
    if !is_small(&geometry) {
        return Ok(());
    }
    let weight_len = len(random, geometry.weight_len());
    let weight = random.floats(weight_len);
    let packed = PackedWeight::new(&geometry, &weight)?;
    let weight = match &packed {
        Some(packed) if random.once_in(2) => Weight::Packed(packed),
        _ => Weight::Whole(&weight),
    };
    let (input_len, output_len) = (len(random, geometry.input_len()), len(random, geometry.output_len()));
    let input = random.floats(input_len);
    let epilogue = Epilogue::bias(geometry.out_channels, None)?;
    float::conv2d_into(&geometry, &input, weight, &epilogue, &mut vec![0.0; output_len])
}

fn linear(random: &mut Random) -> Result<()> {
    let (rows, inputs, outputs) = (random.size(), 1 + random.below(40), 1 + random.below(40));
    let weight = random.bytes(inputs * outputs).into_iter().map(|byte| byte as i8).collect::<Vec<_>>();
    let packed = PackedLinear::new(&weight, &[random.zero_point()], outputs, inputs)?;
    let (input, output) =
        (len(random, rows.saturating_mul(inputs)), len(random, rows.saturating_mul(outputs)));
    let input = random.bytes(input);
    packed.accumulate(rows, &input, random.zero_point(), &mut vec![0; output])?;
    let (input, weight) = (random.floats(input.len()), random.floats(inputs * outputs));
    float::linear(rows, &input, &weight, &Epilogue::bias(outputs, None)?, &mut vec![0.0; output])
}

fn pools(random: &mut Random) -> Result<()> {
    let shape = random.shape(4);
    let (batch, channels) = (shape[0], shape[1]);
    if random.once_in(4) {
        let output = two(random);
        let geometry = AdaptivePool2dGeometry::new(batch, channels, [shape[2], shape[3]], output)?;
        let (input, output) = (len(random, geometry.input_len()), geometry.output_len());
        if output > 1 << 14 {
            return Ok(());
        }
        let floats = random.floats(input);
        float::adaptive_avg_pool2d(&geometry, &floats, &mut vec![0.0; output])?;
        let bytes = random.bytes(input);
        return pool::adaptive_avg_pool2d(
            &geometry,
            qparams(random),
            TieRule::Raw,
            &bytes,
            &mut vec![0; output],
        );
    }
    let geometry = Pool2dGeometry::new(Pool2dParameters {
        batch,
        channels,
        height: shape[2],
        width: shape[3],
        kernel: two(random),
        stride: two(random),
        padding: if random.once_in(2) { [0, 0] } else { two(random) },
        dilation: if random.once_in(2) { [1, 1] } else { two(random) },
        ceil_mode: random.once_in(2),
    })?;
    if geometry.output_len() > 1 << 14 {
        return Ok(());
    }
    let (input, output) = (len(random, geometry.input_len()), len(random, geometry.output_len()));
    let (floats, bytes) = (random.floats(input), random.bytes(input));
    let _ = float::max_pool2d(&geometry, &floats, &mut vec![0.0; output]);
    let _ = pool::max_pool2d(&geometry, &bytes, &mut vec![0; output]);
    let _ = float::avg_pool2d(&geometry, random.once_in(2), &floats, &mut vec![0.0; output]);
    let tie_rule = *random.pick(&[TieRule::Raw, TieRule::Centered, TieRule::CenteredPrime]);
    let average = AveragePool2d { qparams: qparams(random), tie_rule, count_include_pad: random.once_in(2) };
    pool::avg_pool2d(&geometry, &average, &bytes, &mut vec![0; output])
}

fn means(random: &mut Random) -> Result<()> {
    let shape = random.shape(3);
    let extents = MeanExtents { outer: shape[0], reduced: shape[1], inner: shape[2] };
    let (input, output) =
        (len(random, count(&shape).unwrap_or(0)), count(&[shape[0], shape[2]]).unwrap_or(0));
    let (floats, bytes) = (random.floats(input), random.bytes(input));
    let output = len(random, output);
    let _ = float::mean_into(extents, &floats, &mut vec![0.0; output]);
    let rule = *random.pick(&[MeanRule::Raw, MeanRule::CenteredPrime, MeanRule::Dequantized]);
    pool::mean(extents, qparams(random), rule, &bytes, &mut vec![0; output])
}

fn elements(random: &mut Random) -> Result<()> {
    let n = random.below(300);
    let (a, b) = (random.bytes(n), len(random, n));
    let b = random.bytes(b);
    let mut output = vec![0_u8; len(random, n)];
    let parameters = BinaryQParams {
        a: qparams(random),
        b: qparams(random),
        output: qparams(random),
        relu: random.once_in(2),
    };
    match random.below(6) {
        0 => elementwise::add(&parameters, &a, &b, &mut output),
        1 => elementwise::mul(&parameters, &a, &b, &mut output),
        2 => elementwise::add_qnnpack(&parameters, &a, &b, &mut output),
        3 => LookupTable::<u8>::from_float(parameters.a, parameters.b, f32::exp)?.apply(&a, &mut output),
        4 => elementwise::requantize(&a, parameters.a, parameters.b, parameters.relu, &mut output),
        _ => elementwise::clamp(&a, parameters.a, random.float(), random.float(), &mut output),
    }
}

fn layouts(random: &mut Random) -> Result<()> {
    let shape = random.shape(4);
    let image = ImageShape { batch: shape[0], channels: shape[1], height: shape[2], width: shape[3] };
    let fitting = count(&shape).unwrap_or(0);
    let (input, output) = (len(random, fitting), len(random, fitting));
    let floats = random.floats(input);
    let _ =
        quantize::quantize_nchw_to_nhwc::<u8>(&floats, image, qparams(random), 0..=255, &mut vec![0; output]);
    let bytes = random.bytes(input);
    quantize::dequantize_nhwc_to_nchw::<u8>(&bytes, image, qparams(random), &mut vec![0.0; output])
}

fn copies(random: &mut Random) -> Result<()> {
    let rank = 1 + random.below(4);
    let shape = random.shape(rank);
    let strides: Vec<usize> =
        shape.iter().map(|_| if random.once_in(3) { random.size() } else { random.small() }).collect();
    let copy = StridedCopy::new(&shape, &strides, random.small(), random.size())?;
    let (input, output) = (random.below(600), len(random, count(&shape).unwrap_or(0)));
    let input = random.bytes(input);
    copy.run(&input, &mut vec![0; output], random.size())
}

impl Cases for KernelCases {
    fn run(&mut self, seed: u64, case: u64) -> Outcome {
        let mut random = Random::new(seed, case);
        match random.below(10) {
            0 | 1 => conv(&mut random),
            2 | 3 => float_conv(&mut random),
            4 => linear(&mut random),
            5 => pools(&mut random),
            6 => means(&mut random),
            7 => elements(&mut random),
            8 => layouts(&mut random),
            _ => copies(&mut random),
        }
        .into()
    }
}
