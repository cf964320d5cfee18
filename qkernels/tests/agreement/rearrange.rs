//! Permutations, cuts and repetitions of axes.

use proptest::prelude::*;
use qkernels::elements::Element;
use qkernels::rearrange::StridedCopy;

use crate::problem::{bytes, in_every_way};

/// Part of an array with its axes in another order, some of them repeated.
#[derive(Clone, Debug)]
struct Problem {
    extents: Vec<usize>,
    strides: Vec<usize>,
    start: usize,
    /// How many of the innermost axes make up a row.
    row_axes: usize,
    gap: usize,
    input: Vec<u8>,
}

fn problem() -> impl Strategy<Value = Problem> {
    let axis = || {
        let extent = prop_oneof![6 => 1..=9_usize, 2 => 14..=35_usize, 1 => 60..=130_usize];
        (extent, 0..3_usize, 0..3_usize, prop::bool::weighted(0.1))
    };
    let axes = prop::collection::vec(axis(), 1..=4).prop_filter("too large", |axes| {
        axes.iter().map(|(extent, before, after, _)| extent + before + after).product::<usize>() < 60_000
    });
    let order = |axes: Vec<(usize, usize, usize, bool)>| {
        let order: Vec<usize> = (0..axes.len()).collect();
        (Just(axes), Just(order).prop_shuffle(), prop::bool::ANY, 0..=4_usize, 0..=3_usize)
    };
    axes.prop_flat_map(order).prop_flat_map(|(axes, order, is_cut, row_axes, gap)| {
        let (mut strides, mut start, mut len) = (vec![0; axes.len()], 0, 1);
        for (index, &(extent, before, after, is_repeated)) in axes.iter().enumerate().rev() {
            let [before, after] = if is_cut { [before, after] } else { [0; 2] };
            (strides[index], start) = (len, start + before * len);
            if is_repeated {
                strides[index] = 0;
            }
            len *= before + extent + after;
        }
        let extents: Vec<usize> = order.iter().map(|&axis| axes[axis].0).collect();
        let strides: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
        bytes(len).prop_map(move |mut input| {
            let reach: usize =
                extents.iter().zip(&strides).map(|(extent, stride)| (extent - 1) * stride).sum();
            input.truncate(start + reach + 1);
            let (extents, strides) = (extents.clone(), strides.clone());
            let row_axes = row_axes.min(extents.len());
            Problem { extents, strides, start, row_axes, gap, input }
        })
    })
}

/// The bytes of the output in order.
fn expected(problem: &Problem) -> Vec<u8> {
    let mut places = vec![problem.start];
    for (&extent, &stride) in problem.extents.iter().zip(&problem.strides) {
        places = places.iter().flat_map(|&place| (0..extent).map(move |i| place + i * stride)).collect();
    }
    places.into_iter().map(|place| problem.input[place]).collect()
}

fn values<T: From<u8>>(bytes: &[u8]) -> Vec<T> {
    bytes.iter().copied().map(T::from).collect()
}

/// Copies elements with the values of some bytes.
fn copy_elements<T: Element>(
    copy: &StridedCopy,
    input: &[u8],
    output_len: usize,
    row_stride: usize,
    element: impl Fn(u8) -> T + Copy,
) -> Vec<T> {
    let input: Vec<T> = input.iter().copied().map(element).collect();
    in_every_way(|| {
        let mut output = vec![element(77); output_len];
        copy.run(&input, &mut output, row_stride).unwrap();
        output
    })
}

proptest! {
    #[test]
    fn every_byte_comes_from_its_place(problem in problem()) {
        let Problem { extents, strides, start, row_axes, gap, input } = &problem;
        let row: usize = extents[extents.len() - row_axes..].iter().product();
        let copy = StridedCopy::new(extents, strides, *start, row).unwrap();
        prop_assert!(copy.takes_row_stride());
        let rows: Vec<Vec<u8>> = expected(&problem).chunks(row).map(<[u8]>::to_vec).collect();
        let row_stride = row + gap;
        let output = in_every_way(|| {
            let mut output = vec![77; (rows.len() - 1) * row_stride + row];
            copy.run(input, &mut output, row_stride).unwrap();
            output
        });
        prop_assert_eq!(&output, &rows.join(&vec![77; *gap][..]));
        // The same places in arrays of larger elements.
        prop_assert_eq!(copy_elements(&copy, input, output.len(), row_stride, f32::from), values(&output));
        prop_assert_eq!(copy_elements(&copy, input, output.len(), row_stride, u16::from), values(&output));
    }
}

#[test]
fn rows_may_end_within_an_axis() {
    let input: Vec<u8> = (0..24).collect();
    // Columns of [6, 4] in rows of two, and of four, which six bytes are not made of.
    let copy = StridedCopy::new(&[4, 6], &[1, 4], 0, 2).unwrap();
    let mut output = vec![77; 35];
    copy.run(&input, &mut output, 3).unwrap();
    assert_eq!(output[..9], [0, 4, 77, 8, 12, 77, 16, 20, 77]);
    let copy = StridedCopy::new(&[4, 6], &[1, 4], 0, 4).unwrap();
    assert!(!copy.takes_row_stride());
    assert!(copy.run(&input, &mut output, 5).is_err());
    copy.run(&input, &mut output, 4).unwrap();
    assert_eq!(output[..8], [0, 4, 8, 12, 16, 20, 1, 5]);
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(StridedCopy::new(&[2, 3], &[1], 0, 1).is_err());
    assert!(StridedCopy::new(&[2, 3], &[3, 1], 0, 0).is_err());
    assert!(StridedCopy::new(&[2, 3], &[3, 1], 0, 4).is_err());
    assert!(StridedCopy::new(&[2, 3], &[usize::MAX, 1], 0, 3).is_err());
    assert!(StridedCopy::new(&[usize::MAX, 3], &[0, 0], 0, 3).is_err());
    let copy = StridedCopy::new(&[2, 3], &[3, 1], 1, 3).unwrap();
    assert!(copy.run(&[0; 6], &mut [0; 6], 3).is_err());
    assert!(copy.run(&[0; 7], &mut [0; 5], 3).is_err());
    assert!(copy.run(&[0; 7], &mut [0; 6], 2).is_err());
    assert!(copy.run(&[0; 7], &mut [0; 6], 3).is_ok());
    assert!(StridedCopy::new(&[0, 3], &[3, 1], 9, 3).unwrap().run::<u8>(&[], &mut [], 3).is_ok());
}
