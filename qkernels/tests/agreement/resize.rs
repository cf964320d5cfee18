//! Images in another size.

use proptest::prelude::*;
use qkernels::resize::{Resize, ResizeAxis};
use qkernels::{EightBit, QParams};

use crate::problem::{bytes, cases, floats, in_every_way, zero_point};

/// The place of each position along an axis, its neighbour, and their weights, by the formulas.
fn taps(
    input: usize,
    output: usize,
    scale: Option<f32>,
    align_corners: Option<bool>,
) -> Vec<([usize; 2], [f32; 2])> {
    let ratio = scale.unwrap_or(input as f32 / output as f32);
    let one = |i: usize| match align_corners {
        None => ([((i as f32 * ratio).floor() as usize).min(input - 1); 2], [1.0, 0.0]),
        Some(align_corners) => {
            let source = if !align_corners {
                f32::max(ratio * (i as f32 + 0.5) - 0.5, 0.0)
            } else if output > 1 {
                i as f32 * ((input - 1) as f32 / (output - 1) as f32)
            } else {
                0.0
            };
            let place = (source as usize).min(input - 1);
            let next = if place < input - 1 { place + 1 } else { place };
            ([place, next], [1.0 - (source - place as f32), source - place as f32])
        }
    };
    (0..output).map(one).collect()
}

#[derive(Clone, Debug)]
struct Problem {
    batch: usize,
    channels: usize,
    input: [usize; 2],
    output: [usize; 2],
    scale: Option<f32>,
    align_corners: Option<bool>,
}

impl Problem {
    fn resize(&self) -> Resize {
        let axis = |i: usize| match self.align_corners {
            None => ResizeAxis::nearest(self.input[i], self.output[i], self.scale),
            Some(align) => ResizeAxis::linear(self.input[i], self.output[i], self.scale, align),
        };
        Resize::new(self.batch, self.channels, [axis(0).unwrap(), axis(1).unwrap()]).unwrap()
    }

    fn input_len(&self) -> usize {
        self.batch * self.channels * self.input[0] * self.input[1]
    }

    /// `f(weights, values)` of the four neighbours of each value of the output, rows first.
    fn each<T: Copy, O>(&self, input: &[T], f: impl Fn([[f32; 2]; 2], [[T; 2]; 2]) -> O) -> Vec<O> {
        let [rows, columns] =
            [0, 1].map(|i| taps(self.input[i], self.output[i], self.scale, self.align_corners));
        let mut output = Vec::new();
        for image in 0..self.batch {
            for (row, column) in rows.iter().flat_map(|row| columns.iter().map(move |column| (row, column))) {
                for channel in 0..self.channels {
                    let value = |y: usize, x: usize| {
                        input[((image * self.input[0] + y) * self.input[1] + x) * self.channels + channel]
                    };
                    let values = row.0.map(|y| column.0.map(|x| value(y, x)));
                    output.push(f([row.1, column.1], values));
                }
            }
        }
        output
    }
}

fn problem() -> impl Strategy<Value = Problem> {
    let size = || prop::array::uniform2(1..=11_usize);
    let scale = prop::option::of(prop_oneof![Just(0.5_f32), Just(1.0 / 3.0), 0.2..3.0_f32]);
    let align_corners = prop_oneof![Just(None), Just(Some(false)), Just(Some(true))];
    let channels = prop_oneof![Just(1_usize), 1..=5_usize, 30..=70_usize];
    (1..=2_usize, channels, size(), size(), scale, align_corners).prop_map(
        |(batch, channels, input, output, scale, align_corners)| Problem {
            batch,
            channels,
            input,
            output,
            scale,
            align_corners,
        },
    )
}

fn check_integers<T: EightBit>(problem: &Problem, input: &[T], zero_point: i32, fused: bool) {
    let resize = problem.resize();
    let actual = in_every_way(|| {
        let mut output = vec![T::default(); resize.output_len()];
        match problem.align_corners {
            None => resize.nearest(input, &mut output).unwrap(),
            Some(_) => resize.bilinear(QParams::new(0.1, zero_point), fused, input, &mut output).unwrap(),
        }
        output
    });
    let sum =
        |[w0, w1]: [f32; 2], [a, b]: [f32; 2]| if fused { w0.mul_add(a, w1 * b) } else { w0 * a + w1 * b };
    let expected = problem.each(input, |[rows, columns], values| {
        if problem.align_corners.is_none() {
            return values[0][0];
        }
        let values = values.map(|row| sum(columns, row.map(|q| q.to_i32() as f32)));
        let steps = (sum(rows, values) - zero_point as f32).round_ties_even() as i32 + zero_point;
        T::from_i32(steps.clamp(*T::RANGE.start(), *T::RANGE.end()))
    });
    assert_eq!(actual, expected);
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn integers_equal_the_definition(
        (problem, input) in problem().prop_flat_map(|problem| (Just(problem.clone()), bytes(problem.input_len()))),
        zero_point in zero_point(),
        fused in any::<bool>(),
    ) {
        check_integers::<u8>(&problem, &input, zero_point, fused);
        let signed: Vec<i8> = input.into_iter().map(u8::cast_signed).collect();
        check_integers::<i8>(&problem, &signed, zero_point - 128, fused);
    }

    #[test]
    fn floats_equal_the_definition(
        (problem, input) in problem().prop_flat_map(|problem| (Just(problem.clone()), floats(problem.input_len()))),
    ) {
        let resize = problem.resize();
        let actual = in_every_way(|| {
            let mut output = vec![f32::NAN; resize.output_len()];
            match problem.align_corners {
                None => resize.nearest(&input, &mut output).unwrap(),
                Some(_) => resize.bilinear_float(&input, &mut output).unwrap(),
            }
            output
        });
        let expected = problem.each(&input, |[[h0, h1], [w0, w1]], [[a, b], [c, d]]| {
            if problem.align_corners.is_none() { a } else { h0 * (w0 * a + w1 * b) + h1 * (w0 * c + w1 * d) }
        });
        prop_assert_eq!(actual, expected);
    }
}

#[test]
fn sizes_of_nothing_are_refused() {
    assert!(ResizeAxis::nearest(0, 1, None).is_err());
    assert!(ResizeAxis::linear(1, 0, None, true).is_err());
    assert!(ResizeAxis::nearest(1, usize::MAX, None).is_err());
    let axis = || ResizeAxis::nearest(2, 3, None).unwrap();
    assert!(Resize::new(1, 0, [axis(), axis()]).is_err());
    assert!(Resize::new(usize::MAX, 1, [axis(), axis()]).is_err());
    let resize = Resize::new(1, 1, [axis(), axis()]).unwrap();
    assert!(resize.nearest(&[1_u8; 4], &mut [0; 8]).is_err());
    assert!(resize.bilinear(QParams::new(1.0, 300), true, &[1_u8; 4], &mut [0; 9]).is_err());
}
