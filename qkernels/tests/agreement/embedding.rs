//! Rows of tables, against the formula row by row.

use proptest::prelude::*;
use qkernels::Error;
use qkernels::embedding::{Bags, Offsets, QuantizedTable, Reduction, Table, TableBits, bags, lookup};

use crate::problem::{cases, floats, in_every_way};

/// The integers of a table, of 4 bits or 8, and scale and zero point of each row.
struct Rows {
    bits: TableBits,
    width: usize,
    integers: Vec<u8>,
    scale: Vec<f32>,
    zero_point: Vec<f32>,
}

impl Rows {
    fn new(bits: TableBits, rows: usize, width: usize) -> Self {
        let levels = if bits == TableBits::Four { 16 } else { 256 };
        Self {
            bits,
            width,
            integers: (0..rows * width).map(|i| (i * 89 % levels) as u8).collect(),
            // Powers of 2 and their like are exact in half precision.
            scale: (0..rows).map(|row| 0.25 + row as f32 / 32.0).collect(),
            zero_point: (0..rows).map(|row| row as f32 - 2.5).collect(),
        }
    }

    fn table(&self) -> QuantizedTable {
        QuantizedTable::from_integers(self.bits, &self.integers, &self.scale, &self.zero_point, self.width)
            .unwrap()
    }

    /// `out = fma(w * scale, q, out + w * bias)`.
    fn add(&self, row: usize, weight: f32, output: &mut [f32]) {
        let (scale, bias) = (weight * self.scale[row], weight * -(self.zero_point[row] * self.scale[row]));
        for (output, &q) in output.iter_mut().zip(&self.integers[row * self.width..]) {
            *output = scale.mul_add(f32::from(q), *output + bias);
        }
    }
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn bags_of_rows_are_the_formula(
        four in any::<bool>(),
        rows in 1..9_usize,
        width in prop_oneof![1..70_usize, Just(128), Just(515)],
        picks in prop::collection::vec(0..1000_usize, 0..40),
        cuts in prop::collection::vec(0..1000_usize, 0..6),
        has_weights in any::<bool>(),
        weights in floats(40),
    ) {
        let bits = if four { TableBits::Four } else { TableBits::Eight };
        let of = Rows::new(bits, rows, width);
        let ids: Vec<f32> = picks.iter().map(|pick| (pick % rows) as f32).collect();
        let mut offsets: Vec<usize> = cuts.iter().map(|cut| cut % (ids.len() + 1)).collect();
        offsets.sort_unstable();
        offsets.insert(0, 0);
        let mut expected = vec![0.0; offsets.len() * width];
        for (bag, output) in expected.chunks_mut(width).enumerate() {
            for index in offsets[bag]..offsets.get(bag + 1).copied().unwrap_or(ids.len()) {
                let weight = if has_weights { weights[index] } else { 1.0 };
                of.add(ids[index] as usize, weight, output);
            }
        }
        let starts: Vec<f32> = offsets.iter().map(|&offset| offset as f32).collect();
        let table = of.table();
        let found = in_every_way(|| {
            let mut output = vec![f32::NAN; expected.len()];
            let weights = has_weights.then(|| &weights[..ids.len()]);
            let of = Bags { ids: &ids, offsets: Offsets::At(&starts), weights, reduction: Reduction::Sum };
            bags(Table::Quantized(&table), &of, &mut output).unwrap();
            output
        });
        prop_assert_eq!(found, expected);

        let mut expected = vec![0.0; ids.len() * width];
        ids.iter().zip(expected.chunks_mut(width)).for_each(|(&id, output)| of.add(id as usize, 1.0, output));
        let found = in_every_way(|| {
            let mut output = vec![f32::NAN; expected.len()];
            lookup(Table::Quantized(&table), &ids, &mut output).unwrap();
            output
        });
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn bags_of_floats_are_summed_averaged_and_compared() {
    let values: Vec<f32> = (0..12).map(|i| [1.0, -2.0, 0.5, 4.0][i % 4] * (i / 4 + 1) as f32).collect();
    let table = Table::Float { values: &values, width: 4 };
    let run = |reduction, offsets, weights| {
        in_every_way(|| {
            let mut output = [f32::NAN; 12];
            let ids = &[2.0, 0.0, 1.0, 1.0];
            bags(table, &Bags { ids, offsets, weights, reduction }, &mut output).unwrap();
            output
        })
    };
    let starts = Offsets::At(&[0.0, 2.0, 2.0]);
    assert_eq!(
        run(Reduction::Sum, starts, None),
        [4.0, -8.0, 2.0, 16.0, 0.0, 0.0, 0.0, 0.0, 4.0, -8.0, 2.0, 16.0]
    );
    assert_eq!(run(Reduction::Mean, starts, None)[..4], [2.0, -4.0, 1.0, 8.0]);
    assert_eq!(run(Reduction::Max, starts, None)[..4], [3.0, -2.0, 1.5, 12.0]);
    let weights = Some(&[1.0, 2.0, 0.0, -1.0][..]);
    assert_eq!(run(Reduction::Sum, starts, weights)[8..], [-2.0, 4.0, -1.0, -8.0]);
    let between = Offsets::Between(&[0.0, 1.0, 1.0, 2.0]);
    assert_eq!(run(Reduction::Sum, between, None)[8..], [1.0, -2.0, 0.5, 4.0]);
}

/// A row of one value, one of values that are equal, and one whose range half precision rounds to nothing.
#[test]
fn tables_of_floats_keep_their_ends() {
    for bits in [TableBits::Four, TableBits::Eight] {
        for width in [1, 2, 7] {
            let values: Vec<f32> = (0..width).chain(0..width).map(|i| i as f32 / 2.0 - 1.0).collect();
            let table = QuantizedTable::from_floats(bits, &values, width).unwrap();
            for (found, value) in table.to_floats().iter().zip(&values) {
                assert!((found - value).abs() <= 0.11, "{bits:?}: {found} for {value}");
            }
        }
        assert_eq!(QuantizedTable::from_floats(bits, &[0.5; 6], 3).unwrap().to_floats(), [0.5; 6]);
        let tiny = QuantizedTable::from_floats(bits, &[0.0, 1e-9], 2).unwrap().to_floats();
        assert!(tiny.iter().all(|value| value.abs() < 1e-8), "{tiny:?}");
    }
}

#[test]
fn wrong_ids_offsets_and_tables_are_errors() {
    let values = [1.0; 6];
    let table = Table::Float { values: &values, width: 2 };
    for id in [3.0, -1.0, 0.5, f32::NAN, f32::INFINITY] {
        let error = lookup(table, &[0.0, id], &mut [0.0; 4]).unwrap_err();
        let Error::Index { index: 1, id: found, rows: 3 } = error else { panic!("{error}") };
        assert_eq!(found.to_bits(), id.to_bits());
    }
    assert!(lookup(table, &[-0.0, 2.0], &mut [0.0; 4]).is_ok());
    assert!(lookup(table, &[0.0], &mut [0.0; 4]).is_err());
    assert!(lookup(Table::Float { values: &values, width: 4 }, &[0.0], &mut [0.0; 4]).is_err());
    assert!(lookup(Table::Float { values: &values, width: 0 }, &[0.0], &mut []).is_err());

    let of = |offsets, reduction, weights, len: usize| {
        let ids = &[0.0, 1.0, 2.0];
        bags(table, &Bags { ids, offsets, weights, reduction }, &mut vec![0.0; len])
    };
    let sum = |offsets, len| of(offsets, Reduction::Sum, None, len);
    assert!(sum(Offsets::At(&[0.0, 3.0]), 4).is_ok());
    assert!(sum(Offsets::At(&[0.0, 3.0]), 2).is_err());
    for offsets in [&[1.0, 2.0], &[0.0, 4.0], &[0.0, 0.5], &[0.0, f32::NAN], &[0.0, -1.0]] {
        assert!(sum(Offsets::At(offsets), 4).is_err(), "{offsets:?}");
    }
    assert!(sum(Offsets::At(&[0.0, 2.0, 1.0]), 6).is_err());
    assert!(sum(Offsets::Between(&[]), 0).is_err());
    assert!(sum(Offsets::Every(2), 2).is_err());
    assert!(sum(Offsets::Every(0), 0).is_err());
    assert!(of(Offsets::Every(3), Reduction::Max, Some(&[1.0; 3]), 2).is_err());
    assert!(of(Offsets::Every(3), Reduction::Sum, Some(&[1.0; 2]), 2).is_err());

    let four = TableBits::Four;
    assert!(QuantizedTable::from_integers(four, &[16, 0], &[1.0], &[0.0], 2).is_err());
    assert!(QuantizedTable::from_integers(four, &[1, 0], &[1e6], &[0.0], 2).is_err());
    assert!(QuantizedTable::from_integers(four, &[1, 0, 2], &[1.0], &[0.0], 2).is_err());
    assert!(QuantizedTable::from_integers(four, &[], &[], &[], 2).is_err());
    assert!(QuantizedTable::from_floats(four, &[0.0, f32::NAN], 2).is_err());
    assert!(QuantizedTable::from_floats(four, &[0.0; 3], 2).is_err());
    assert!(QuantizedTable::from_floats(four, &[0.0; 3], 0).is_err());
}
