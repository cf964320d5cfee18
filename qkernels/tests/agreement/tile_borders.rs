//! The integer matrix product just below, at and above the sizes of its tiles, at extreme values.

use qkernels::linear::PackedLinear;

use crate::problem::in_every_way;

fn sums(rows: usize, depth: usize, columns: usize, a: &[u8], za: i32, w: &[i8], zw: &[i32]) -> Vec<i32> {
    let mut sums = Vec::with_capacity(rows * columns);
    for row in a.chunks_exact(depth) {
        for (o, column) in w.chunks_exact(depth).enumerate() {
            let zw = zw[o % zw.len()];
            let products = row.iter().zip(column).map(|(&a, &w)| (i32::from(a) - za) * (i32::from(w) - zw));
            sums.push(products.sum());
        }
    }
    sums
}

fn check(
    rows: usize,
    depth: usize,
    columns: usize,
    activation: impl Fn(usize) -> u8,
    weight: fn(usize) -> i8,
) {
    let a: Vec<u8> = (0..rows * depth).map(activation).collect();
    let w: Vec<i8> = (0..columns * depth).map(weight).collect();
    for zero_points in [vec![0], (0..columns).map(|o| (o as i32 * 29) % 256 - 128).collect()] {
        let packed = PackedLinear::new(&w, &zero_points, columns, depth).unwrap();
        for za in [0, 255] {
            let actual = in_every_way(|| {
                let mut output = vec![0; rows * columns];
                packed.accumulate(rows, &a, za, &mut output).unwrap();
                output
            });
            let expected = sums(rows, depth, columns, &a, za, &w, &zero_points);
            assert!(actual == expected, "{rows} rows, depth {depth}, {columns} columns, za {za}");
        }
    }
}

#[test]
fn rows_and_columns_around_the_tile() {
    for rows in 1..=14 {
        for columns in [1, 15, 16, 17, 33] {
            check(rows, 21, columns, |i| (i * 151) as u8, |i| (i * 83) as i8);
        }
    }
}

/// Where whole tiles of bytes are multiplied: depths that are a whole number of them, that are cut in smaller ones, and
/// that are hard to cut.
#[test]
fn rows_columns_and_depths_of_tiles_of_bytes() {
    for (rows, depth, columns) in [
        (15, 61, 33),
        (16, 64, 16),
        (17, 100, 17),
        (31, 128, 32),
        (32, 148, 15),
        (33, 192, 33),
        (49, 64, 32),
        (64, 128, 47),
        (65, 132, 20),
        (70, 64, 64),
    ] {
        check(rows, depth, columns, |i| (i * 151) as u8, |i| (i * 83) as i8);
        check(rows, depth, columns, |_| 255, |_| -128);
        check(rows, depth, columns, |_| 255, |_| 127);
    }
}

#[test]
fn depths_around_the_block() {
    for depth in [1, 3, 4, 5, 15, 16, 17, 1151, 1152, 1153, 2304, 2321] {
        for rows in [1, 2, 3, 7] {
            check(rows, depth, 18, |i| (i * 151) as u8, |i| (i * 83) as i8);
        }
    }
}

#[test]
fn extreme_values_do_not_saturate() {
    for rows in [1, 2, 6] {
        for activation in [0, 127, 128, 255] {
            check(rows, 530, 17, |_| activation, |_| -128);
            check(rows, 530, 17, |_| activation, |_| 127);
            check(rows, 530, 17, |_| activation, |i| if i % 2 == 0 { -128 } else { 127 });
        }
    }
}

/// One pair of activations in many, at any position of a row, leaves the 16 bits that two products have.
#[test]
fn a_single_large_pair_does_not_saturate() {
    for (rows, depth) in [(1, 70), (3, 130), (13, 33), (29, 44)] {
        for position in 0..depth - 1 {
            let row = position % rows;
            let is_large = |i: usize| i / depth == row && [position, position + 1].contains(&(i % depth));
            for weight in [|_| -128, |_| 127, |i: usize| if i.is_multiple_of(3) { -128 } else { 127 }] {
                check(rows, depth, 17, |i| if is_large(i) { 255 } else { 3 }, weight);
            }
        }
    }
}

/// Four products that are added up in 16 bits, as large as they may be there, and beyond.
#[test]
fn sums_of_four_products_do_not_wrap_around() {
    // Two quads that just fit and two of which one sum just does not (if both did not, their errors would cancel),
    // for each bound of activations; then others.
    let weights: [fn(usize) -> i8; 9] = [
        |i| [104, 0, -104, 0, 100, 2, -2, -100][i % 8],
        |i| [104, 0, -104, 0, 100, 4, -2, -100][i % 8],
        |i| [-58, -58, 50, 64, -112, 0, 57, 57][i % 8],
        |i| [-58, -58, 50, 64, -114, 0, 57, 57][i % 8],
        |i| [127, 1, -128, 0, 127, 3, -127, -3][i % 8],
        |i| [127, 1, -128, 0, 127, 4, -127, -3][i % 8],
        |i| [127, 127, 127, 127, 2, 2, 2, 2][i % 8],
        |i| if i % 21 < 4 { -128 } else { (i % 5) as i8 },
        |i| (i * 83 % 121) as i8 - 60,
    ];
    for weight in weights {
        for depth in [8, 64, 65, 132, 260] {
            for rows in [4, 5, 6, 11] {
                for most in [127, 128, 143, 144, 159, 160] {
                    check(rows, depth, 17, |_| most, weight);
                }
            }
        }
    }
}
