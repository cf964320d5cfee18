//! Products of matrices.

use proptest::prelude::*;
use qkernels::float::matmul_into;
use qkernels::geometry::MatmulGeometry;

use crate::float::on_every_isa;
use crate::problem::{cases, floats};

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

#[test]
fn matrices_without_elements_are_no_work_and_without_depth_zeros() {
    let geometry = MatmulGeometry::new([2, 0, 3], vec![[0, 0]], false).unwrap();
    let mut output = [9.0; 6];
    matmul_into(&geometry, &[], &[], &mut output).unwrap();
    assert_eq!(output, [0.0; 6]);
    let geometry = MatmulGeometry::new([0, 5, 3], vec![[0, 0]], true).unwrap();
    matmul_into(&geometry, &[], &[1.0; 15], &mut []).unwrap();
    assert!(matmul_into(&geometry, &[], &[1.0; 14], &mut []).is_err());
    assert!(MatmulGeometry::new([1, usize::MAX, 2], vec![[0, 0]], false).is_err());
    assert!(MatmulGeometry::new([1, 2, 3], vec![[usize::MAX, 0]], false).is_err());
}
