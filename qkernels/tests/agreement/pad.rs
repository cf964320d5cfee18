//! Borders.

use proptest::prelude::*;
use qkernels::pad::{Pad, PadAxis, PadMode};

use crate::problem::{cases, in_every_way};

const MODES: [PadMode; 4] = [PadMode::Constant, PadMode::Reflect, PadMode::Replicate, PadMode::Circular];

/// Where PyTorch takes a value from.
fn source(axis: PadAxis, position: usize, mode: PadMode) -> Option<usize> {
    let (extent, place) = (axis.extent as isize, position as isize - axis.before as isize);
    match mode {
        _ if (0..extent).contains(&place) => Some(place as usize),
        PadMode::Constant => None,
        PadMode::Replicate => Some(place.clamp(0, extent - 1) as usize),
        PadMode::Reflect if place < 0 => Some(-place as usize),
        PadMode::Reflect => Some((2 * (extent - 1) - place) as usize),
        PadMode::Circular => Some(place.rem_euclid(extent) as usize),
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn borders_equal_the_definition(
        axes in prop::collection::vec((1..=6_usize, 0..=5_usize, 0..=5_usize, any::<bool>()), 1..=4),
        mode in prop::sample::select(&MODES[..]),
    ) {
        let axes: Vec<PadAxis> = axes.into_iter().map(|(extent, before, after, is_padded)| {
            let most = match mode {
                _ if !is_padded => 0,
                PadMode::Constant | PadMode::Replicate => 5,
                PadMode::Reflect => extent - 1,
                PadMode::Circular => extent,
            };
            PadAxis { extent, before: before.min(most), after: after.min(most) }
        }).collect();
        let pad = Pad::new(mode, &axes).unwrap();
        let input: Vec<u16> = (0..axes.iter().map(|axis| axis.extent).product::<usize>() as u16).collect();
        let actual = in_every_way(|| {
            let mut output = vec![7777; pad.output_len()];
            pad.run(9999, &input, &mut output).unwrap();
            output
        });
        let sources = pad.sources().map(|place| place.map_or(9999, |place| input[place]));
        prop_assert_eq!(&actual, &sources.collect::<Vec<_>>());
        let mut expected = Vec::new();
        for index in 0..pad.output_len() {
            let (mut rest, mut place, mut stride, mut is_inside) = (index, 0, 1, true);
            for &axis in axes.iter().rev() {
                match source(axis, rest % axis.output(), mode) {
                    Some(source) => place += source * stride,
                    None => is_inside = false,
                }
                rest /= axis.output();
                stride *= axis.extent;
            }
            expected.push(if is_inside { input[place] } else { 9999 });
        }
        prop_assert_eq!(actual, expected);
    }
}

#[test]
fn borders_that_need_more_values_are_refused() {
    let axis = |extent, before| PadAxis { extent, before, after: 0 };
    let is_fine = |mode, extent, before| Pad::new(mode, &[axis(2, 0), axis(extent, before)]).is_ok();
    assert!(is_fine(PadMode::Reflect, 3, 2) && !is_fine(PadMode::Reflect, 3, 3));
    assert!(is_fine(PadMode::Circular, 3, 3) && !is_fine(PadMode::Circular, 3, 4));
    assert!(is_fine(PadMode::Replicate, 1, 9) && !is_fine(PadMode::Replicate, 0, 1));
    assert!(is_fine(PadMode::Constant, 0, 1) && !is_fine(PadMode::Constant, 1, usize::MAX));
    let pad = Pad::new(PadMode::Constant, &[]).unwrap();
    let mut output = [0_u8];
    pad.run(1, &[5], &mut output).unwrap();
    assert_eq!(output, [5]);
    assert!(pad.run(1, &[5], &mut [0_u8; 2]).is_err());
    let pad = Pad::new(PadMode::Constant, &[axis(0, 2), PadAxis { extent: 0, before: 0, after: 1 }]).unwrap();
    let mut output = [0_u8; 2];
    pad.run(3, &[], &mut output).unwrap();
    assert_eq!(output, [3; 2]);
}
