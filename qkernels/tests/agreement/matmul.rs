//! Products of matrices.

use proptest::prelude::*;
use qkernels::elementwise::BinaryQParams;
use qkernels::float::matmul_into;
use qkernels::geometry::MatmulGeometry;
use qkernels::matmul::QuantizedMatmul;
use qkernels::{EightBit, QParams};

use crate::float::on_every_isa;
use crate::problem::{bytes, cases, floats, in_every_way, zero_point};

/// Sizes around those of tiles and panels, which matrices are multiplied with which, and whether the right ones lie
/// transposed.
fn problem() -> impl Strategy<Value = ([usize; 3], Vec<[usize; 2]>, bool)> {
    let size = || prop_oneof![1..=9_usize, 1..=70_usize];
    let depth = prop_oneof![4 => 1..=9_usize, 4 => 1..=70_usize, 1 => 250..=530_usize];
    let sizes = (size(), depth, size()).prop_map(|(rows, depth, columns)| [rows, depth, columns]);
    (sizes, prop::collection::vec(prop::array::uniform2(0..=2_usize), 1..=5), any::<bool>())
}

/// For each element of the output, the places of the elements in `left` and `right` whose products are its sum.
fn places(sizes: [usize; 3], pairs: &[[usize; 2]], transposed: bool) -> Vec<Vec<[usize; 2]>> {
    let [rows, depth, columns] = sizes;
    let mut places = Vec::new();
    for [left, right] in pairs {
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            let place = |k: usize| if transposed { column * depth + k } else { k * columns + column };
            let one = |k| [(left * rows + row) * depth + k, right * depth * columns + place(k)];
            places.push((0..depth).map(one).collect());
        }
    }
    places
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn float_products_agree_with_sums_in_double(
        (sizes, pairs, transposed, left, right) in problem().prop_flat_map(|(sizes, pairs, transposed)| {
            let geometry = MatmulGeometry::new(sizes, pairs.clone(), transposed).unwrap();
            let operands = (floats(geometry.left_len()), floats(geometry.right_len()));
            (Just(sizes), Just(pairs), Just(transposed), operands.0, operands.1)
        }),
    ) {
        let geometry = MatmulGeometry::new(sizes, pairs.clone(), transposed).unwrap();
        let places = places(sizes, &pairs, transposed);
        for output in on_every_isa(|| {
            let mut output = vec![f32::NAN; geometry.output_len()];
            matmul_into(&geometry, &left, &right, &mut output).unwrap();
            output
        }) {
            prop_assert_eq!(output.len(), places.len());
            for (found, places) in output.iter().zip(&places) {
                let products = places.iter().map(|&[l, r]| f64::from(left[l]) * f64::from(right[r]));
                let (sum, added) = products.fold((0.0, 0.0), |(sum, added), x| (sum + x, added + x.abs()));
                prop_assert!((f64::from(*found) - sum).abs() <= 4e-6 * f64::max(added, 1.0), "{found} {sum}");
            }
        }
    }
}

/// Agrees with the definition for integers of `T`, of which `bytes` are the patterns.
fn check_integers<T: EightBit>(
    (sizes, pairs, transposed): (&[usize; 3], &[[usize; 2]], bool),
    [left, right]: [&[T]; 2],
    zero_points: [i32; 3],
) {
    let lowest = *T::RANGE.start();
    let [a, b, output] = zero_points.map(|zero_point| zero_point + lowest);
    let qparams = BinaryQParams {
        a: QParams::new(0.021, a),
        b: QParams::new(0.013, b),
        output: QParams::new(0.4, output),
        relu: false,
    };
    let geometry = MatmulGeometry::new(*sizes, pairs.to_vec(), transposed).unwrap();
    let matmul = QuantizedMatmul::<T>::new(&qparams).unwrap();
    let actual = in_every_way(|| {
        let mut output = vec![T::default(); geometry.output_len()];
        matmul.run(&geometry, left, right, &mut output).unwrap();
        output
    });
    let scale = |qparams: QParams| f64::from(qparams.scale);
    let expected = places(*sizes, pairs, transposed).into_iter().map(|places| {
        let product = |[l, r]: [usize; 2]| i64::from(left[l].to_i32() - a) * i64::from(right[r].to_i32() - b);
        let sum: i64 = places.into_iter().map(product).sum();
        let value = (sum as f64 * scale(qparams.a) * scale(qparams.b)) as f32;
        let steps = (value * qparams.output.scale.recip()).round_ties_even() as i32;
        T::from_i32((steps + output).clamp(lowest, *T::RANGE.end()))
    });
    assert_eq!(actual, expected.collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn integer_products_equal_the_definition(
        (sizes, pairs, transposed, left, right) in problem().prop_flat_map(|(sizes, pairs, transposed)| {
            let geometry = MatmulGeometry::new(sizes, pairs.clone(), transposed).unwrap();
            let operands = (bytes(geometry.left_len()), bytes(geometry.right_len()));
            (Just(sizes), Just(pairs), Just(transposed), operands.0, operands.1)
        }),
        zero_points in prop::array::uniform3(zero_point()),
    ) {
        let problem = (&sizes, &pairs[..], transposed);
        check_integers::<u8>(problem, [&left, &right], zero_points);
        let [left, right] = [left, right].map(|bytes| bytes.into_iter().map(u8::cast_signed).collect::<Vec<_>>());
        check_integers::<i8>(problem, [&left, &right], zero_points);
    }
}

#[test]
fn deep_sums_do_not_leave_their_type() {
    let sizes = [2, 40_000, 3];
    for transposed in [false, true] {
        let left: Vec<u8> = (0..80_000).map(|i| if i % 7 == 0 { 3 } else { 255 }).collect();
        let right: Vec<u8> = (0..120_000).map(|i| if i % 11 == 0 { 40 } else { 255 }).collect();
        check_integers::<u8>((&sizes, &[[0, 0]], transposed), [&left, &right], [0, 0, 7]);
        check_integers::<i8>(
            (&sizes, &[[0, 0]], transposed),
            [&vec![-128; 80_000], &vec![-128; 120_000]],
            [255; 3],
        );
    }
}

#[test]
fn matrices_without_elements_are_no_work_and_without_depth_zeros() {
    let geometry = MatmulGeometry::new([2, 0, 3], vec![[0, 0]], false).unwrap();
    let mut output = [9.0; 6];
    matmul_into(&geometry, &[], &[], &mut output).unwrap();
    assert_eq!(output, [0.0; 6]);
    let geometry = MatmulGeometry::new([0, 5, 3], vec![[0, 0]], true).unwrap();
    matmul_into(&geometry, &[], &[1.0; 15], &mut []).unwrap();
    assert!(matmul_into(&geometry, &[], &[1.0; 14], &mut []).is_err());
    let qparams = QParams::new(1.0, 5);
    let qparams = BinaryQParams { a: qparams, b: qparams, output: qparams, relu: false };
    let integers = QuantizedMatmul::<u8>::new(&qparams).unwrap();
    assert!(integers.run(&geometry, &[], &[1; 14], &mut []).is_err());
    let geometry = MatmulGeometry::new([2, 0, 3], vec![[0, 0]], false).unwrap();
    let mut output = [9; 6];
    integers.run(&geometry, &[], &[], &mut output).unwrap();
    assert_eq!(output, [5; 6]);
    assert!(QuantizedMatmul::<i8>::new(&BinaryQParams { a: QParams::new(1.0, 200), ..qparams }).is_err());
    assert!(MatmulGeometry::new([1, usize::MAX, 2], vec![[0, 0]], false).is_err());
    assert!(MatmulGeometry::new([1, 2, 3], vec![[usize::MAX, 0]], false).is_err());
}
