//! Convolutions of mostly padding or with very long filters, one output after the other.

use crate::float::Epilogue;
use crate::geometry::Conv2dGeometry;
use crate::threads::for_each_chunk;

pub(super) fn convolve(
    geometry: &Conv2dGeometry,
    input: &[f32],
    weight: &[f32],
    epilogue: &Epilogue,
    output: &mut [f32],
) {
    let channels = geometry.in_channels / geometry.groups;
    let out_channels = geometry.out_channels / geometry.groups;
    let [kernel_height, kernel_width] = geometry.kernel;
    let width = geometry.output_width();
    for_each_chunk(output, geometry.output_height() * width, geometry.work(), |index, output| {
        let (image, channel) = (index / geometry.out_channels, index % geometry.out_channels);
        let plane = image * geometry.in_channels + channel / out_channels * channels;
        let finish = epilogue.of(channel..channel + 1);
        for (pixel, output) in output.iter_mut().enumerate() {
            let mut sum = 0.0_f64;
            let rows =
                (0..kernel_height).filter_map(|tap| Some((tap, geometry.source(0, pixel / width, tap)?)));
            for (tap_y, y) in rows {
                let columns =
                    (0..kernel_width).filter_map(|tap| Some((tap, geometry.source(1, pixel % width, tap)?)));
                for (tap_x, x) in columns {
                    for c in 0..channels {
                        let tap = ((channel * channels + c) * kernel_height + tap_y) * kernel_width + tap_x;
                        let value = input[((plane + c) * geometry.height + y) * geometry.width + x];
                        sum += f64::from(weight[tap] * value);
                    }
                }
            }
            *output = finish.apply(0, sum as f32);
        }
    });
}
