//! Linear layers whose weights alone are integers, against the formula in `f64`.

use proptest::prelude::*;
use qkernels::file_bytes::{FileBytes, SharedBytes};
use qkernels::weight_only::{WeightBits, WeightOnlyLinear};

use crate::problem::{cases, in_every_way};

/// Integers of so many bits, all of them by turns.
fn weights(bits: WeightBits, len: usize, step: usize) -> Vec<i8> {
    let count = if bits == WeightBits::Four { 16 } else { 256 };
    (0..len).map(|i| ((i * step + i / 7) % count) as i32 - count as i32 / 2).map(|w| w as i8).collect()
}

fn bits(layer: &WeightOnlyLinear, rows: usize, x: &[f32], bias: Option<&[f32]>) -> Vec<u32> {
    let mut scratch = vec![0_i32; layer.scratch(rows).div_ceil(4)];
    let scratch = &mut qkernels::elements::bytes_mut(&mut scratch)[..layer.scratch(rows)];
    let mut output = vec![1.0; rows * layer.out_features()];
    layer.run(rows, x, bias, [-1e6, 1e6], scratch, &mut output).unwrap();
    output.into_iter().map(f32::to_bits).collect()
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn products_are_those_of_floats_up_to_a_step_of_the_activations(
        rows in 1..=3_usize,
        out_features in 1..=40_usize,
        groups in 1..=4_usize,
        group_size in prop_oneof![1..=20_usize, Just(32), Just(64), Just(128), 100..=300_usize],
        is_four in any::<bool>(),
        has_bias in any::<bool>(),
        seed in 1..1000_usize,
    ) {
        let in_features = groups * group_size;
        let kind = if is_four { WeightBits::Four } else { WeightBits::Eight };
        let weight = weights(kind, out_features * in_features, seed);
        let scales: Vec<f32> = (0..out_features * groups).map(|i| 0.01 + (i * seed % 17) as f32 / 100.0).collect();
        let x: Vec<f32> = (0..rows * in_features)
            .map(|i| ((i * 7919 + seed * 31) % 2001) as f32 / 100.0 - 10.0)
            .map(|x| if seed % 5 == 0 && x < 0.0 { 0.0 } else { x })
            .collect();
        let bias: Vec<f32> = (0..out_features).map(|o| o as f32 - 5.0).collect();
        let bias = has_bias.then_some(&bias[..]);
        let layer = WeightOnlyLinear::new(kind, &weight, &scales, [out_features, in_features], group_size).unwrap();
        let found = in_every_way(|| bits(&layer, rows, &x, bias));
        for (index, found) in found.iter().enumerate() {
            let (row, o) = (index / out_features, index % out_features);
            let (mut exact, mut magnitude) = (bias.map_or(0.0, |bias| f64::from(bias[o])), 0.0);
            for k in 0..in_features {
                let w = f64::from(weight[o * in_features + k]) * f64::from(scales[o * groups + k / group_size]);
                exact += w * f64::from(x[row * in_features + k]);
                magnitude += w.abs();
            }
            // Half of a step, of the largest magnitude of all activations, and roundings of sums.
            let allowed = magnitude * (0.5 / 32767.0 * 10.1 + 1e-5);
            let found = f64::from(f32::from_bits(*found));
            prop_assert!((found - exact).abs() <= allowed + 1e-5, "{found} in place of {exact}, {allowed}");
        }
    }
}

#[test]
fn a_packed_weight_is_the_same_layer() {
    let weight = weights(WeightBits::Four, 20 * 64, 3);
    let layer = WeightOnlyLinear::new(WeightBits::Four, &weight, &[0.5; 40], [20, 64], 32).unwrap();
    let path = std::env::temp_dir().join(format!("weight_only_{}", std::process::id()));
    std::fs::write(&path, layer.as_bytes()).unwrap();
    let file = std::sync::Arc::new(FileBytes::read(&std::fs::File::open(&path).unwrap()).unwrap());
    std::fs::remove_file(&path).unwrap();
    let shared = |len: usize| SharedBytes::new(std::sync::Arc::clone(&file), 0..len).unwrap();
    // Half a byte a weight, of panels that are filled up.
    assert_eq!(layer.as_bytes().len(), 32 * 64 / 2);
    let packed = |len, groups| {
        WeightOnlyLinear::from_packed(WeightBits::Four, shared(len), &[0.5; 40], [20, 64], groups)
    };
    let loaded = packed(1024, 32).unwrap();
    let x: Vec<f32> = (0..64).map(|k| k as f32 / 10.0 - 3.0).collect();
    assert_eq!(bits(&loaded, 1, &x, None), bits(&layer, 1, &x, None));
    assert!(packed(1023, 32).is_err());
    assert!(packed(1024, 64).is_err());
}

#[test]
fn what_is_not_finite_gives_nan_and_nothing_gives_the_bias() {
    let layer = WeightOnlyLinear::new(WeightBits::Eight, &[1; 16], &[1.0; 4], [2, 8], 4).unwrap();
    for bad in [f32::NAN, f32::INFINITY] {
        let x = [1.0, 1.0, 1.0, 1.0, 1.0, bad, 1.0, 1.0];
        assert!(bits(&layer, 1, &x, None).into_iter().all(|bits| f32::from_bits(bits).is_nan()));
    }
    let found = bits(&layer, 1, &[1e-40; 8], Some(&[2.0, -3.0]));
    assert_eq!(found, [2.0_f32, -3.0].map(f32::to_bits));
    assert_eq!(bits(&layer, 0, &[], None), []);
}

#[test]
fn what_does_not_fit_is_an_error() {
    let new = |weight: &[i8], scales: usize, group_size| {
        WeightOnlyLinear::new(WeightBits::Four, weight, &vec![1.0; scales], [2, 6], group_size)
    };
    assert!(new(&[7; 12], 4, 3).is_ok());
    assert!(new(&[8; 12], 4, 3).is_err());
    assert!(new(&[7; 11], 4, 3).is_err());
    assert!(new(&[7; 12], 3, 3).is_err());
    assert!(new(&[7; 12], 4, 4).is_err());
    assert!(new(&[7; 12], 4, 0).is_err());
    let layer = new(&[7; 12], 4, 3).unwrap();
    assert!(layer.run(1, &[0.0; 6], None, [-1.0, 1.0], &mut [], &mut [0.0; 2]).is_err());
}
