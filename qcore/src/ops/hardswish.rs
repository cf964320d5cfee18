//! `hardswish`: `x * relu6(x + 3) / 6`.

use super::activation::limit;
use super::pointwise::{Pointwise, pointwise};

pointwise!(
    Hardswish,
    hardswish,
    "x * relu6(x + 3) / 6",
    Pointwise::new("hardswish", function).divides_on_qnnpack(),
    derivative: |x, _| match x {
        x if x < -3.0 => 0.0,
        x if x <= 3.0 => x / 3.0 + 0.5,
        _ => 1.0,
    }
);

fn function(x: f32) -> f32 {
    x * limit(x + 3.0, [0.0, 6.0]) / 6.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{
        assert_values, float, i8_qparams, integers, qtensor, run_int8, tensor, u8_qparams,
    };
    use crate::{Backend, QTensor};

    #[test]
    fn floats_are_bent_around_zero() {
        let x = tensor(&[6], &[-4.0, -3.0, -1.5, 0.0, 1.0, 8.0]);
        assert_values(&float(&Hardswish, &[&x]).unwrap(), &[0.0, 0.0, -0.375, 0.0, 4.0 / 6.0, 8.0]);
        let nan = float(&hardswish().unwrap(), &[&tensor(&[1], &[f32::NAN])]).unwrap();
        assert!(nan.view()[[0].as_slice()].is_nan());
    }

    /// From the reference data that PyTorch made.
    #[test]
    fn integers_are_those_of_pytorch() {
        let x = qtensor(&[10], &[0, 5, 20, 50, 90, 100, 110, 130, 140, 255], 0.058_744_78, 28);
        let y = run_int8(&Hardswish, Backend::Fbgemm, &[&x], &u8_qparams(0.051_023_394, 106)).unwrap();
        assert_eq!(integers(&y), [99, 99, 102, 124, 177, 189, 200, 223, 235, 255]);
        let x = qtensor(&[10], &[0, 5, 20, 50, 90, 100, 110, 130, 140, 255], 0.085_369_12, 111);
        let y = run_int8(&Hardswish, Backend::Qnnpack, &[&x], &u8_qparams(0.083_409_525, 174)).unwrap();
        assert_eq!(integers(&y), [174, 174, 174, 174, 170, 170, 174, 189, 201, 255]);
        let signed = ndarray::arr1(&[-128_i8, -123, -108, -78, -38, -28, -18, 2, 12, 127]);
        let x = QTensor::from_int_repr(signed, i8_qparams(0.117_971_41, -128)).unwrap();
        let y = run_int8(&Hardswish, Backend::Fbgemm, &[&x], &i8_qparams(0.088_511_76, -38)).unwrap();
        assert_eq!(integers(&y), [-38, -34, -14, 29, 82, 95, 109, 127, 127, 127]);
    }

    #[test]
    fn qnnpack_divides_by_the_scale_of_the_output() {
        // 286.2890625 is 52.5 steps of 5.453125, but its product with the reciprocal is more.
        let run = |backend| {
            let x = qtensor(&[1], &[1], 286.289_06, 0);
            integers(&run_int8(&Hardswish, backend, &[&x], &u8_qparams(5.453_125, 0)).unwrap())
        };
        assert_eq!(run(Backend::Qnnpack), [52]);
        assert_eq!(run(Backend::Native), [53]);
    }
}
