//! The formulas as loops: obvious, slow, right.

use qkernels::geometry::{Conv2dGeometry, Pool2dGeometry};
use qkernels::pool::TieRule;

/// `clamp(rne(value) + zero_point, low, high)` without any trick.
pub fn quantize_steps(value: f32, zero_point: i32, low: i32, high: i32) -> i32 {
    let rounded = f64::from(value).round_ties_even();
    (rounded + f64::from(zero_point)).clamp(f64::from(low), f64::from(high)) as i32
}

pub fn dequantize(q: i32, scale: f32, zero_point: i32) -> f32 {
    (q - zero_point) as f32 * scale
}

/// `sum (xq - zx) * (wq - zw)` for every `[N, OH, OW, O]`, padding left out.
pub fn conv2d(
    g: &Conv2dGeometry,
    input: &[u8],
    input_zero_point: i32,
    weight: &[i8],
    zero_points: &[i32],
) -> Vec<i32> {
    let channels = g.in_channels / g.groups;
    let outputs = g.out_channels / g.groups;
    let [kernel_h, kernel_w] = g.kernel;
    let mut sums = Vec::new();
    for n in 0..g.batch {
        for y in 0..g.output_height() {
            for x in 0..g.output_width() {
                for o in 0..g.out_channels {
                    let zero_point = zero_points[o % zero_points.len()];
                    let mut sum = 0;
                    for c in 0..channels {
                        for ky in 0..kernel_h {
                            for kx in 0..kernel_w {
                                let iy = (y * g.stride[0] + ky * g.dilation[0]) as i64 - g.padding[0] as i64;
                                let ix = (x * g.stride[1] + kx * g.dilation[1]) as i64 - g.padding[1] as i64;
                                if iy < 0 || ix < 0 || iy >= g.height as i64 || ix >= g.width as i64 {
                                    continue;
                                }
                                let channel = o / outputs * channels + c;
                                let pixel = (n * g.height + iy as usize) * g.width + ix as usize;
                                let q = i32::from(input[pixel * g.in_channels + channel]);
                                let w = weight[((o * channels + c) * kernel_h + ky) * kernel_w + kx];
                                sum += (q - input_zero_point) * (i32::from(w) - zero_point);
                            }
                        }
                    }
                    sums.push(sum);
                }
            }
        }
    }
    sums
}

/// The input values under one window of a pool, channels-last, `None` in the padding.
fn window(g: &Pool2dGeometry, input: &[u8], at: [usize; 4]) -> Vec<Option<u8>> {
    let [n, y, x, c] = at;
    let mut values = Vec::new();
    for ky in 0..g.kernel[0] {
        for kx in 0..g.kernel[1] {
            let iy = (y * g.stride[0] + ky * g.dilation[0]) as i64 - g.padding[0] as i64;
            let ix = (x * g.stride[1] + kx * g.dilation[1]) as i64 - g.padding[1] as i64;
            // Taps beyond the right padding belong to no window.
            if iy >= (g.height + g.padding[0]) as i64 || ix >= (g.width + g.padding[1]) as i64 {
                continue;
            }
            let inside = (0..g.height as i64).contains(&iy) && (0..g.width as i64).contains(&ix);
            values.push(
                inside
                    .then(|| input[((n * g.height + iy as usize) * g.width + ix as usize) * g.channels + c]),
            );
        }
    }
    values
}

fn pool(g: &Pool2dGeometry, input: &[u8], f: impl Fn(Vec<Option<u8>>) -> u8) -> Vec<u8> {
    let mut output = Vec::new();
    for n in 0..g.batch {
        for y in 0..g.output_height() {
            for x in 0..g.output_width() {
                for c in 0..g.channels {
                    output.push(f(window(g, input, [n, y, x, c])));
                }
            }
        }
    }
    output
}

pub fn max_pool2d(g: &Pool2dGeometry, input: &[u8]) -> Vec<u8> {
    pool(g, input, |window| window.into_iter().flatten().max().unwrap_or(0))
}

pub fn avg_pool2d(
    g: &Pool2dGeometry,
    input: &[u8],
    (scale, zero_point): (f32, i32),
    rule: TieRule,
    count_include_pad: bool,
) -> Vec<u8> {
    pool(g, input, |window| average(&window, (scale, zero_point), rule, count_include_pad))
}

pub fn average(
    window: &[Option<u8>],
    (scale, zero_point): (f32, i32),
    rule: TieRule,
    count_include_pad: bool,
) -> u8 {
    let counted: Vec<i32> = window
        .iter()
        .filter(|value| count_include_pad || value.is_some())
        .map(|value| value.map_or(zero_point, i32::from))
        .collect();
    let n = counted.len() as f32;
    let centered: i32 = counted.iter().map(|q| q - zero_point).sum();
    let raw: i32 = counted.iter().sum();
    let result = match rule {
        TieRule::Centered => quantize_steps(centered as f32 * (1.0 / n), zero_point, 0, 255),
        TieRule::CenteredPrime => quantize_steps(centered as f32 * (scale / (scale * n)), zero_point, 0, 255),
        TieRule::Raw => quantize_steps(raw as f32 * (1.0 / n), 0, 0, 255),
    };
    result as u8
}

/// Float convolution in double, `[N, C, H, W]`.
pub fn conv2d_float(g: &Conv2dGeometry, input: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let channels = g.in_channels / g.groups;
    let outputs = g.out_channels / g.groups;
    let mut result = Vec::new();
    for n in 0..g.batch {
        for o in 0..g.out_channels {
            for y in 0..g.output_height() {
                for x in 0..g.output_width() {
                    let mut sum = bias.map_or(0.0, |bias| f64::from(bias[o]));
                    for c in 0..channels {
                        for ky in 0..g.kernel[0] {
                            for kx in 0..g.kernel[1] {
                                let iy = (y * g.stride[0] + ky * g.dilation[0])
                                    .checked_sub(g.padding[0])
                                    .filter(|&iy| iy < g.height);
                                let ix = (x * g.stride[1] + kx * g.dilation[1])
                                    .checked_sub(g.padding[1])
                                    .filter(|&ix| ix < g.width);
                                let (Some(iy), Some(ix)) = (iy, ix) else {
                                    continue;
                                };
                                let channel = n * g.in_channels + o / outputs * channels + c;
                                let v = input[(channel * g.height + iy) * g.width + ix];
                                let w = weight[((o * channels + c) * g.kernel[0] + ky) * g.kernel[1] + kx];
                                sum += f64::from(v) * f64::from(w);
                            }
                        }
                    }
                    result.push(sum as f32);
                }
            }
        }
    }
    result
}
