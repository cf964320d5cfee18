//! Programs give what arrays give: random chains of operations that move values, against `ndarray`.

use std::sync::Arc;

use ndarray::{ArrayD, Axis, IxDyn, Slice, concatenate};
use qkernels::elementwise::{self, BinaryQParams};
use qkernels::pool::{MeanExtents, MeanRule};

use super::record::Recorder;
use super::workspace::Workspace;
use super::{InputKey, Program, ProgramOutput};
use crate::observer::MinMaxObserver;
use crate::ops::{self, Format, Lowering, Op, Precision};
use crate::{Backend, DType, QParams, Tensor};

/// Numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) as usize % limit
    }

    /// Extents whose product is `total`.
    fn factors(&mut self, mut total: usize) -> Vec<usize> {
        let mut factors = Vec::new();
        while total > 1 || self.below(3) == 0 {
            let divisors: Vec<usize> = (1..=total).filter(|&divisor| total.is_multiple_of(divisor)).collect();
            factors.push(divisors[self.below(divisors.len())]);
            total /= factors[factors.len() - 1];
        }
        factors
    }

    fn permutation(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        for index in (1..len).rev() {
            order.swap(index, self.below(index + 1));
        }
        order
    }
}

fn quint8(scale: f32, zero_point: i32) -> QParams {
    QParams::per_tensor(scale, zero_point, DType::QUInt8).unwrap()
}

/// A value of the program, and the integers that it must have.
#[derive(Clone)]
struct Known {
    value: usize,
    integers: ArrayD<u8>,
    qparams: QParams,
}

/// A chain of calls, recorded and computed at once.
struct Chain {
    recorder: Recorder,
    known: Known,
    calls: Vec<String>,
}

impl Chain {
    fn call(&mut self, op: impl Op, expected: ArrayD<u8>) {
        let (inputs, output) = ([self.known.clone()], self.known.qparams.clone());
        self.call_with(op, Backend::Native, &inputs, output, expected);
    }

    fn call_with(
        &mut self,
        op: impl Op,
        backend: Backend,
        inputs: &[Known],
        output: QParams,
        expected: ArrayD<u8>,
    ) {
        self.calls.push(format!("{op:?}"));
        let formats: Vec<Format> = inputs.iter().map(|input| Format::of(Some(&input.qparams))).collect();
        let outputs = [Format::of(Some(&output))];
        let observer = Box::new(MinMaxObserver::new());
        let lowering = Lowering::new(Precision::Static, backend, &formats, &outputs, observer);
        let executable = op.lower(&lowering).unwrap();
        let values: Vec<usize> = inputs.iter().map(|input| input.value).collect();
        let path = Arc::from(format!("call {}", self.calls.len()));
        let made = self.recorder.call(&path, executable.as_ref(), true, &values, values.len()).unwrap();
        self.known = Known { value: made[0], integers: expected, qparams: output };
    }

    fn call_one(&mut self, numbers: &mut Numbers) {
        let x = self.known.integers.clone();
        let shape = x.shape().to_vec();
        let axis = |numbers: &mut Numbers| numbers.below(shape.len());
        let slice = |axis: usize, start: usize, end: usize| {
            x.slice_axis(Axis(axis), Slice::from(start..end)).to_owned()
        };
        match numbers.below(if shape.is_empty() { 2 } else { 8 }) {
            0 => {
                let extents = numbers.factors(x.len());
                let expected =
                    x.as_standard_layout().into_owned().into_shape_with_order(IxDyn(&extents)).unwrap();
                let op = ops::reshape(extents.into_iter().map(ops::Extent::from).collect()).unwrap();
                self.call(op, expected);
            }
            1 => {
                let zero_point = self.known.qparams.tensor_zero_point() as u8;
                self.call(ops::relu().unwrap(), x.mapv(|q| q.max(zero_point)));
            }
            2 => {
                let order = numbers.permutation(shape.len());
                let dims: Vec<isize> = order.iter().map(|&axis| axis as isize).collect();
                self.call(ops::permute(dims).unwrap(), x.permuted_axes(IxDyn(&order)));
            }
            3 => {
                let (a, b) = (axis(numbers), axis(numbers));
                let mut expected = x.clone();
                expected.swap_axes(a, b);
                self.call(ops::transpose(a as isize, b as isize).unwrap(), expected);
            }
            4 if x.len() < 2000 => {
                let axis = axis(numbers);
                let expected = concatenate(Axis(axis), &[x.view(), x.view()]).unwrap();
                let (one, output) = (self.known.clone(), self.known.qparams.clone());
                let cat = ops::cat(Some(axis as isize)).unwrap();
                self.call_with(cat, Backend::Native, &[one.clone(), one], output, expected);
            }
            5 => {
                // The first along an axis, added to all.
                let axis = axis(numbers);
                let one = self.known.clone();
                self.call(ops::split(1, Some(axis as isize), 0).unwrap(), slice(axis, 0, 1));
                let (first, output) = (self.known.clone(), quint8(0.2, 70));
                let operands = if numbers.below(2) == 0 { [one, first] } else { [first, one] };
                let expected = added(&operands, &shape, &output);
                self.call_with(ops::add().unwrap(), Backend::Native, &operands, output, expected);
            }
            6 => {
                let (chunks, axis) = (1 + numbers.below(3), axis(numbers));
                let size = shape[axis].div_ceil(chunks);
                self.call(ops::chunk(chunks, Some(axis as isize), 0).unwrap(), slice(axis, 0, size));
            }
            _ => {
                let axis = axis(numbers);
                let size = 1 + numbers.below(shape[axis]);
                let index = numbers.below(shape[axis].div_ceil(size));
                let (start, end) = (index * size, ((index + 1) * size).min(shape[axis]));
                self.call(ops::split(size, Some(axis as isize), index).unwrap(), slice(axis, start, end));
            }
        }
    }
}

/// The sum of two operands, repeated to `shape`.
fn added(operands: &[Known; 2], shape: &[usize], output: &QParams) -> ArrayD<u8> {
    let kernel =
        |qparams: &QParams| qkernels::QParams::new(qparams.tensor_scale(), qparams.tensor_zero_point());
    let [a, b] = operands.each_ref().map(|operand| {
        operand
            .integers
            .broadcast(IxDyn(shape))
            .unwrap()
            .as_standard_layout()
            .into_owned()
            .into_raw_vec_and_offset()
            .0
    });
    let qparams = BinaryQParams {
        a: kernel(&operands[0].qparams),
        b: kernel(&operands[1].qparams),
        output: kernel(output),
        relu: false,
    };
    let mut sums = vec![0; a.len()];
    elementwise::add(&qparams, &a, &b, &mut sums).unwrap();
    ArrayD::from_shape_vec(IxDyn(shape), sums).unwrap()
}

fn input(numbers: &mut Numbers) -> Tensor {
    let shape: Vec<usize> = (0..1 + numbers.below(5)).map(|_| 1 + numbers.below(6)).collect();
    let count = shape.iter().product();
    let values = (0..count).map(|_| numbers.below(256) as f32 / 10.0 - 4.0).collect();
    Tensor::from_vec(&shape, values).unwrap()
}

/// Records `calls` on `input`, and runs the program.
#[track_caller]
fn assert_as_arrays(input: &Tensor, calls: impl FnOnce(&mut Chain)) {
    let qparams = quint8(0.1, 40);
    let mut recorder = Recorder::default();
    let value = recorder.input(0, input, Some(Arc::new(qparams.clone())));
    let integers = input.view().mapv(|x| ((x * 10.0).round_ties_even() as i32 + 40).clamp(0, 255) as u8);
    let known = Known { value, integers, qparams };
    let mut chain = Chain { recorder, known, calls: vec![format!("{:?}", input.shape())] };
    calls(&mut chain);
    let Chain { recorder, known, calls } = chain;
    let program: Program = recorder.finish(vec![InputKey::of(input)], &[known.value]).unwrap();
    let scale = known.qparams.tensor_scale();
    let zero_point = known.qparams.tensor_zero_point();
    let expected = known.integers.mapv(|q| (i32::from(q) - zero_point) as f32 * scale);
    let take = &mut |_, output: ProgramOutput<'_>| {
        assert_eq!(output.to_tensor()?.into_array(), expected, "{calls:?}: {program:?}");
        Ok(())
    };
    program.run(&mut Workspace::default(), &[input], take).unwrap();
}

#[test]
fn values_are_moved_as_in_arrays() {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for _ in 0..2000 {
        let input = input(&mut numbers);
        assert_as_arrays(&input, |chain| {
            for _ in 0..1 + numbers.below(6) {
                chain.call_one(&mut numbers);
            }
        });
    }
}

#[test]
fn means_over_any_axes_are_those_of_arrays() {
    let mut numbers = Numbers(0xD1B5_4A32_D192_ED03);
    for round in 0..1000 {
        let mut input = input(&mut numbers);
        let rank = input.shape().len();
        let mut is_row_major = true;
        if rank == 4 && numbers.below(2) == 0 {
            // A channels-last image.
            let order = IxDyn(&[0, 2, 3, 1]);
            let pixels = input.view().permuted_axes(order).as_standard_layout().into_owned();
            let image = pixels.permuted_axes(IxDyn(&[0, 3, 1, 2]));
            is_row_major = image.is_standard_layout();
            input = Tensor::from(image);
        }
        let keepdim = round % 2 == 0;
        let order = numbers.permutation(rank);
        let dims: Vec<isize> = order[..1 + numbers.below(rank)].iter().map(|&axis| axis as isize).collect();
        let backend = if numbers.below(2) == 0 { Backend::Native } else { Backend::Qnnpack };
        assert_as_arrays(&input, |chain| {
            let known = chain.known.clone();
            let expected = averaged(&known, &dims, keepdim, is_row_major, backend);
            let output = known.qparams.clone();
            chain.call_with(ops::mean(dims, Some(keepdim)).unwrap(), backend, &[known], output, expected);
        });
    }
}

/// The means by PyTorch's rule (NUMERICS section 9), of the kept axes outside and the averaged ones inside.
fn averaged(
    known: &Known,
    dims: &[isize],
    keepdim: bool,
    is_row_major: bool,
    backend: Backend,
) -> ArrayD<u8> {
    let shape = known.integers.shape();
    let is_averaged = |axis: &usize| dims.contains(&(*axis as isize));
    let (averaged, kept): (Vec<usize>, Vec<usize>) = (0..shape.len()).partition(is_averaged);
    let order = [kept.clone(), averaged.clone()].concat();
    let is_trailing = order.is_sorted();
    let rule = if backend == Backend::Qnnpack && shape.len() == 4 && averaged == [2, 3] {
        MeanRule::CenteredPrime
    } else if is_trailing && is_row_major {
        MeanRule::Raw
    } else {
        MeanRule::Dequantized
    };
    let extent = |axes: &[usize]| axes.iter().map(|&axis| shape[axis]).product();
    let extents = MeanExtents { outer: extent(&kept), reduced: extent(&averaged), inner: 1 };
    let ordered = known.integers.view().permuted_axes(IxDyn(&order)).as_standard_layout().into_owned();
    let qparams = qkernels::QParams::new(known.qparams.tensor_scale(), known.qparams.tensor_zero_point());
    let mut means = vec![0_u8; extents.outer];
    qkernels::pool::mean(extents, qparams, rule, ordered.as_slice().unwrap(), &mut means).unwrap();
    let output: Vec<usize> = match keepdim {
        true => (0..shape.len()).map(|axis| if is_averaged(&axis) { 1 } else { shape[axis] }).collect(),
        false => kept.iter().map(|&axis| shape[axis]).collect(),
    };
    ArrayD::from_shape_vec(IxDyn(&output), means).unwrap()
}
