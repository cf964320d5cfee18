//! The calls that are timed.

use std::hint::black_box;

use qkernels::QParams;
use qkernels::conv::PackedConv2d;
use qkernels::elementwise::{self, BatchNorm, BinaryQParams, CatInput};
use qkernels::float::{self, Epilogue, PackedWeight, Weight};
use qkernels::geometry::Conv2dGeometry;
use qkernels::linear::PackedLinear;
use qkernels::pool::{self, AveragePool2d, MeanExtents, MeanRule, TieRule};
use qkernels::quantize::ChannelExtents;
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};

use crate::geometries::{Geometry, Image};

/// One geometry in int8 and in float.
pub struct Case {
    pub integer: Box<dyn FnMut()>,
    pub float: Box<dyn FnMut()>,
}

const QPARAMS: QParams = QParams { scale: 0.02, zero_point: 60 };
const OTHER_QPARAMS: QParams = QParams { scale: 0.03, zero_point: 70 };
const RULE: TieRule = TieRule::Centered;

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| ((i * i * 31) >> 3) as u8 >> 1).collect()
}

fn floats(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i % 997) as f32 * 0.005 - 2.5).collect()
}

fn weights(len: usize) -> Vec<i8> {
    (0..len).map(|i| ((i * i * 37) >> 2) as i8).collect()
}

impl Case {
    fn new_of(integer: impl FnMut() + 'static, float: impl FnMut() + 'static) -> Self {
        Self { integer: Box::new(integer), float: Box::new(float) }
    }

    /// Of functions from `input` elements to `output` elements.
    fn of_tensors(
        [input, output]: [usize; 2],
        integer: impl Fn(&[u8], &mut [u8]) + 'static,
        float: impl Fn(&[f32], &mut [f32]) + 'static,
    ) -> Self {
        let (q, mut qy) = (bytes(input), vec![0; output]);
        let (x, mut y) = (floats(input), vec![0.0; output]);
        Self::new_of(
            move || integer(black_box(&q), black_box(&mut qy)),
            move || float(black_box(&x), black_box(&mut y)),
        )
    }

    pub fn new(geometry: &Geometry) -> Self {
        match geometry {
            &Geometry::MaxPool(g) => Self::of_tensors(
                [g.input_len(), g.output_len()],
                move |x, y| pool::max_pool2d(&g, x, y).unwrap(),
                move |x, y| float::max_pool2d(&g, x, y).unwrap(),
            ),
            &Geometry::AveragePool(g) => {
                let pool = AveragePool2d { qparams: QPARAMS, tie_rule: RULE, count_include_pad: true };
                Self::of_tensors(
                    [g.input_len(), g.output_len()],
                    move |x, y| pool::avg_pool2d(&g, &pool, x, y).unwrap(),
                    move |x, y| float::avg_pool2d(&g, true, x, y).unwrap(),
                )
            }
            &Geometry::AdaptiveAveragePool(g) => Self::of_tensors(
                [g.input_len(), g.output_len()],
                move |x, y| pool::adaptive_avg_pool2d(&g, QPARAMS, RULE, x, y).unwrap(),
                move |x, y| float::adaptive_avg_pool2d(&g, x, y).unwrap(),
            ),
            &Geometry::Mean(image) => {
                let Image { batch, channels, size } = image;
                let reduced = size[0] * size[1];
                let extents = MeanExtents { outer: batch, reduced, inner: channels };
                let float_extents = MeanExtents { outer: batch * channels, reduced, inner: 1 };
                Self::of_tensors(
                    [image.len(), batch * channels],
                    move |x, y| pool::mean(extents, QPARAMS, MeanRule::Raw, x, y).unwrap(),
                    move |x, y| float::mean_into(float_extents, x, y).unwrap(),
                )
            }
            &Geometry::BatchNorm(image) => {
                let Image { channels, size, .. } = image;
                let extents = ChannelExtents { outer: image.pixels(), channels, inner: 1 };
                let (scale, offset) = (vec![0.9; channels], vec![1.5; channels]);
                let affine = vec![[0.9, 0.03]; channels];
                Self::of_tensors(
                    [image.len(); 2],
                    move |x, y| {
                        let batch_norm = BatchNorm {
                            scale: &scale,
                            offset: &offset,
                            input_zero_point: 60,
                            output: OTHER_QPARAMS,
                            relu: false,
                        };
                        elementwise::batch_norm(&batch_norm, extents, x, y).unwrap();
                    },
                    move |x, y| {
                        float::affine_into(&affine, size[0] * size[1], [f32::MIN, f32::MAX], x, y).unwrap();
                    },
                )
            }
            Geometry::Cat { image, channels, is_one_scale } => cat(*image, channels, *is_one_scale),
            &Geometry::Add(image) => {
                binary(image, elementwise::add, |a, b, y| float::zip_into(a, b, y, |a, b| a + b).unwrap())
            }
            &Geometry::AddSame(image) => {
                let qparams = binary_qparams(QPARAMS, QPARAMS);
                Self::of_tensors(
                    [image.len(); 2],
                    move |x, y| elementwise::add(&qparams, x, x, y).unwrap(),
                    |x, y| float::zip_into(x, x, y, |a, b| a + b).unwrap(),
                )
            }
            &Geometry::Mul(image) => {
                binary(image, elementwise::mul, |a, b, y| float::zip_into(a, b, y, |a, b| a * b).unwrap())
            }
            Geometry::Convolution(g) => convolution(*g),
            &Geometry::Linear { rows, inputs, outputs } => linear(rows, inputs, outputs),
        }
    }
}

fn binary_qparams(a: QParams, b: QParams) -> BinaryQParams {
    BinaryQParams { a, b, output: QParams::new(0.05, 80), relu: false }
}

type Binary = fn(&BinaryQParams, &[u8], &[u8], &mut [u8]) -> qkernels::Result<()>;

fn binary(image: Image, integer: Binary, float: impl Fn(&[f32], &[f32], &mut [f32]) + 'static) -> Case {
    let qparams = binary_qparams(QPARAMS, OTHER_QPARAMS);
    let (other_bytes, other_floats) = (bytes(image.len()), floats(image.len()));
    Case::of_tensors(
        [image.len(); 2],
        move |x, y| integer(&qparams, x, &other_bytes, y).unwrap(),
        move |x, y| float(x, &other_floats, y),
    )
}

fn cat(image: Image, channels: &[usize], is_one_scale: bool) -> Case {
    let (pixels, plane) = (image.pixels(), image.size[0] * image.size[1]);
    let sum: usize = channels.iter().sum();
    let integers: Vec<Vec<u8>> = channels.iter().map(|channels| bytes(pixels * channels)).collect();
    let values: Vec<Vec<f32>> = channels.iter().map(|channels| floats(pixels * channels)).collect();
    let (mut qy, mut y) = (vec![0; pixels * sum], vec![0.0; pixels * sum]);
    Case::new_of(
        move || {
            let inputs = integers.iter().enumerate().map(|(i, values)| {
                let qparams = if is_one_scale || i == 0 { QPARAMS } else { OTHER_QPARAMS };
                CatInput { values, qparams }
            });
            let inputs: Vec<_> = inputs.collect();
            elementwise::cat(pixels, &inputs, QPARAMS, false, black_box(&mut qy)).unwrap();
        },
        move || {
            for (image, output) in black_box(&mut y).chunks_exact_mut(sum * plane).enumerate() {
                let mut output = output;
                for values in &values {
                    let len = values.len() / (pixels / plane);
                    output.split_off_mut(..len).unwrap().copy_from_slice(&values[image * len..][..len]);
                }
            }
        },
    )
}

fn requantization(channels: usize) -> Requantization {
    Requantization::new(&RequantizationParameters {
        formula: Formula::Fbgemm,
        channels,
        input_scale: 0.02,
        weight_scales: WeightScales::PerTensor(0.01),
        bias: None,
        output: QParams::new(2.0, 60),
        relu: false,
        quant_min: 0,
        quant_max: 255,
    })
    .unwrap()
}

fn convolution(g: Conv2dGeometry) -> Case {
    let packed = PackedConv2d::new(&weights(g.weight_len()), &[0], &g).unwrap();
    let requantization = requantization(g.out_channels);
    let weight = floats(g.weight_len());
    let packed_weight = PackedWeight::new(&g, &weight).unwrap();
    let epilogue = Epilogue::bias(g.out_channels, None).unwrap();
    Case::of_tensors(
        [g.input_len(), g.output_len()],
        move |x, y| packed.run(&g, x, 57, &requantization, y).unwrap(),
        move |x, y| {
            let weight = packed_weight.as_ref().map_or(Weight::Whole(&weight), Weight::Packed);
            float::conv2d_into(&g, x, weight, &epilogue, y).unwrap();
        },
    )
}

fn linear(rows: usize, inputs: usize, outputs: usize) -> Case {
    let packed = PackedLinear::new(&weights(inputs * outputs), &[0], outputs, inputs).unwrap();
    let requantization = requantization(outputs);
    let weight = floats(inputs * outputs);
    let epilogue = Epilogue::bias(outputs, None).unwrap();
    Case::of_tensors(
        [rows * inputs, rows * outputs],
        move |x, y| packed.run(rows, x, 57, &requantization, y).unwrap(),
        move |x, y| float::linear(rows, x, &weight, &epilogue, y).unwrap(),
    )
}
