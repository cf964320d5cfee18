//! Functions shared by the tests of the operations.

use std::collections::BTreeSet;
use std::sync::Arc;

use ndarray::{ArrayD, IxDyn};
use serde::de::DeserializeOwned;

use super::{Activation, Executable, Format, Lowering, Op, OutputRule, Precision};
use crate::observer::MinMaxObserver;
use crate::program::evaluate;
use crate::tensor::AnyTensor;
use crate::{Backend, DType, IntRepr, QParams, QScheme, QTensor, Result, Tensor};

pub(super) fn tensor(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_vec(shape, values.to_vec()).unwrap()
}

/// 0, 1, 2, ... in this shape.
pub(super) fn counting(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    Tensor::from_vec(shape, (0..count).map(|value| value as f32).collect()).unwrap()
}

pub(super) fn u8_qparams(scale: f32, zero_point: i32) -> QParams {
    QParams::per_tensor(scale, zero_point, DType::QUInt8).unwrap()
}

pub(super) fn i8_qparams(scale: f32, zero_point: i32) -> QParams {
    QParams::per_tensor(scale, zero_point, DType::QInt8).unwrap()
}

pub(super) fn qtensor(shape: &[usize], integers: &[u8], scale: f32, zero_point: i32) -> QTensor {
    let array = ArrayD::from_shape_vec(shape, integers.to_vec()).unwrap();
    QTensor::from_int_repr(array, u8_qparams(scale, zero_point)).unwrap()
}

/// The same real numbers as `qint8`: integers and zero point are 128 less.
pub(super) fn signed(x: &QTensor) -> QTensor {
    let integers = x.int_repr().to_i32().mapv(|integer| (integer - 128) as i8);
    let qparams = x.qparams();
    let qparams = i8_qparams(qparams.tensor_scale(), qparams.tensor_zero_point() - 128);
    QTensor::from_int_repr(integers, qparams).unwrap()
}

/// The same image, lying channels-last.
pub(super) fn channels_last(x: &QTensor) -> QTensor {
    let nhwc =
        x.int_repr().as_u8().unwrap().permuted_axes(IxDyn(&[0, 2, 3, 1])).as_standard_layout().into_owned();
    QTensor::from_int_repr(nhwc.permuted_axes(IxDyn(&[0, 3, 1, 2])), x.qparams().clone()).unwrap()
}

pub(super) fn integers(x: &QTensor) -> Vec<i32> {
    x.int_repr().to_i32().iter().copied().collect()
}

pub(super) fn strides(x: &QTensor) -> Vec<isize> {
    match x.int_repr() {
        IntRepr::QUInt8(integers) => integers.strides().to_vec(),
        IntRepr::QInt8(integers) => integers.strides().to_vec(),
        IntRepr::QInt32(integers) => integers.strides().to_vec(),
    }
}

pub(super) fn assert_values(found: &Tensor, expected: &[f32]) {
    assert_eq!(found.view().iter().copied().collect::<Vec<_>>(), expected);
}

/// The operation in float.
pub(super) fn float(op: &dyn Op, inputs: &[&Tensor]) -> Result<Tensor> {
    float_with(op, None, inputs)
}

/// The operation in float, with an activation fused behind it.
pub(super) fn float_with(op: &dyn Op, activation: Option<Activation>, inputs: &[&Tensor]) -> Result<Tensor> {
    let executable = op.lower(&Lowering::float().with_activation(activation))?;
    let inputs: Vec<AnyTensor> = inputs.iter().map(|&x| AnyTensor::Float(x.clone())).collect();
    match <[AnyTensor; 1]>::try_from(evaluate(&*executable, &inputs)?) {
        Ok([AnyTensor::Float(y)]) => Ok(y),
        other => panic!("not one float tensor: {other:?}"),
    }
}

/// The operation on integers, whose output has the parameters that follow from the first input's.
pub(super) fn int8(op: &dyn Op, inputs: &[&QTensor]) -> Result<QTensor> {
    int8_with(op, None, inputs)
}

/// [`int8`] with an activation fused behind it.
pub(super) fn int8_with(op: &dyn Op, activation: Option<Activation>, inputs: &[&QTensor]) -> Result<QTensor> {
    let output = op.derive_output(inputs[0].qparams())?;
    run(op, Backend::Native, activation, inputs, &output)
}

/// The operation on integers, whose output has these parameters.
pub(super) fn run_int8(
    op: &dyn Op,
    backend: Backend,
    inputs: &[&QTensor],
    output: &QParams,
) -> Result<QTensor> {
    run(op, backend, None, inputs, output)
}

fn run(
    op: &dyn Op,
    backend: Backend,
    activation: Option<Activation>,
    inputs: &[&QTensor],
    output: &QParams,
) -> Result<QTensor> {
    let qparams: Vec<&QParams> = inputs.iter().map(|x| x.qparams()).collect();
    let executable = lower_int8(op, backend, activation, &qparams, output)?;
    let inputs: Vec<AnyTensor> = inputs.iter().map(|&x| AnyTensor::Quantized(x.clone())).collect();
    match <[AnyTensor; 1]>::try_from(evaluate(&*executable, &inputs)?) {
        Ok([AnyTensor::Quantized(y)]) => Ok(y),
        other => panic!("not one tensor of integers: {other:?}"),
    }
}

/// The operation lowered to integers. A weight of at most 1 gets a scale of 1/127.5.
pub(super) fn lower_int8(
    op: &dyn Op,
    backend: Backend,
    activation: Option<Activation>,
    inputs: &[&QParams],
    output: &QParams,
) -> Result<Arc<dyn Executable>> {
    let observer = MinMaxObserver::new().dtype(DType::QInt8).qscheme(QScheme::PerTensorSymmetric);
    let inputs: Vec<Format> = inputs.iter().map(|&qparams| Format::of(Some(qparams))).collect();
    let outputs = [Format::of(Some(output))];
    let lowering = Lowering::new(Precision::Static, backend, &inputs, &outputs, Box::new(observer));
    op.lower(&lowering.with_activation(activation))
}

/// Whether an operation with this configuration cannot be loaded or used.
pub(super) fn refuses<O: Op + DeserializeOwned>(config: serde_json::Value) -> bool {
    serde_json::from_value::<O>(config).map_or(true, |op| op.lower(&Lowering::float()).is_err())
}

#[test]
fn every_operation_survives_a_file() {
    fn check<O: Op + DeserializeOwned + PartialEq>(names: &mut BTreeSet<&'static str>, op: O, count: usize) {
        let name = op.name();
        names.insert(name);
        let reloaded: O = serde_json::from_value(op.config().unwrap()).unwrap();
        assert_eq!(reloaded, op);
        let shape: &[usize] = if name.ends_with("1d") { &[1, 4, 8] } else { &[1, 2, 4, 4] };
        let (x, qparams) = (counting(shape), u8_qparams(0.5, 3));
        let output = match op.output_rule() {
            OutputRule::Derived => op.derive_output(&qparams).unwrap(),
            _ => qparams.clone(),
        };
        let q = QTensor::quantize(&x, &qparams).unwrap();
        let precisions = reloaded.precisions();
        let result = float(&reloaded, &vec![&x; count]).unwrap();
        if precisions.contains(&Precision::Static) {
            let quantized = run_int8(&reloaded, Backend::Fbgemm, &vec![&q; count], &output).unwrap();
            assert_eq!((quantized.qparams(), quantized.shape()), (&output, result.shape()), "{name}");
        }
        for precision in Precision::ALL {
            let observer = Box::new(MinMaxObserver::new());
            let inputs = vec![Format::of(Some(&qparams)); count];
            let outputs = [Format::of(Some(&output))];
            let lowering = Lowering::new(precision, Backend::Native, &inputs, &outputs, observer);
            assert_eq!(reloaded.lower(&lowering).is_ok(), precisions.contains(&precision), "{name}");
        }
    }
    let mut names = BTreeSet::new();
    check(&mut names, super::relu().unwrap(), 1);
    check(&mut names, super::relu6().unwrap(), 1);
    check(&mut names, super::hardtanh(None, Some(3.0)).unwrap(), 1);
    check(&mut names, super::leaky_relu(Some(0.2)).unwrap(), 1);
    check(&mut names, super::elu(Some(0.5)).unwrap(), 1);
    check(&mut names, super::celu(Some(0.5)).unwrap(), 1);
    check(&mut names, super::threshold(0.5, -1).unwrap(), 1);
    check(&mut names, super::sigmoid().unwrap(), 1);
    check(&mut names, super::tanh().unwrap(), 1);
    check(&mut names, super::hardsigmoid().unwrap(), 1);
    check(&mut names, super::hardswish().unwrap(), 1);
    check(&mut names, super::silu().unwrap(), 1);
    check(&mut names, super::mish().unwrap(), 1);
    check(&mut names, super::gelu(Some("tanh")).unwrap(), 1);
    check(&mut names, super::softmax(-1).unwrap(), 1);
    check(&mut names, super::log_softmax(1).unwrap(), 1);
    check(&mut names, super::clamp(1, 2.5).unwrap(), 1);
    check(&mut names, super::add().unwrap(), 2);
    check(&mut names, super::sub().unwrap(), 2);
    check(&mut names, super::mul().unwrap(), 2);
    check(&mut names, super::abs().unwrap(), 1);
    check(&mut names, super::neg().unwrap(), 1);
    check(&mut names, super::exp().unwrap(), 1);
    check(&mut names, super::sqrt().unwrap(), 1);
    check(&mut names, super::square().unwrap(), 1);
    check(&mut names, super::maximum().unwrap(), 2);
    check(&mut names, super::minimum().unwrap(), 2);
    check(&mut names, super::stack(Some(-1)).unwrap(), 2);
    check(&mut names, super::interpolate(None, Some(1.5), Some("bilinear"), Some(true)).unwrap(), 1);
    check(&mut names, super::pad([1, 2], Some("reflect"), None).unwrap(), 1);
    check(&mut names, super::ZeroPad2d::new(1), 1);
    check(&mut names, super::ConstantPad2d::new(1, 0.5), 1);
    check(&mut names, super::ReflectionPad2d::sides([1, 0, 2, 3]), 1);
    check(&mut names, super::ReplicationPad2d::new(2), 1);
    check(&mut names, super::pixel_shuffle(1).unwrap(), 1);
    check(&mut names, super::pixel_unshuffle(2).unwrap(), 1);
    check(&mut names, super::squeeze(None).unwrap(), 1);
    check(&mut names, super::unsqueeze(1).unwrap(), 1);
    check(&mut names, super::narrow(-1, 1, 2).unwrap(), 1);
    check(&mut names, super::select(1, -1).unwrap(), 1);
    check(&mut names, super::expand([3, 2, 4, -1]).unwrap(), 1);
    check(&mut names, super::matmul().unwrap(), 2);
    check(&mut names, super::add_scalar(1.5_f32).unwrap(), 1);
    check(&mut names, super::mul_scalar(-2).unwrap(), 1);
    check(&mut names, super::cat(Some(-3)).unwrap(), 3);
    check(&mut names, super::max_pool1d(2, None, None, None, None).unwrap(), 1);
    check(&mut names, super::avg_pool1d(2, None, None, Some(true), None).unwrap(), 1);
    check(&mut names, super::adaptive_avg_pool1d(3).unwrap(), 1);
    check(&mut names, super::max_pool2d(2, None, None, None, None).unwrap(), 1);
    check(&mut names, super::avg_pool2d((2, 1), None, None, Some(true), None).unwrap(), 1);
    check(&mut names, super::adaptive_avg_pool2d(3).unwrap(), 1);
    check(&mut names, super::flatten(Some(1), None).unwrap(), 1);
    check(&mut names, super::reshape(vec![2.into(), super::Extent::Is(-1)]).unwrap(), 1);
    check(&mut names, super::permute([0, 2, -1, 1]).unwrap(), 1);
    check(&mut names, super::transpose(1, -1).unwrap(), 1);
    check(&mut names, super::chunk(2, Some(1), 1).unwrap(), 1);
    check(&mut names, super::split(3, Some(-1), 1).unwrap(), 1);
    check(&mut names, super::mean([-1, -2], Some(true)).unwrap(), 1);
    check(&mut names, super::dropout(None).unwrap(), 1);
    check(&mut names, super::Identity, 1);
    check(&mut names, super::quant().unwrap(), 1);
    check(&mut names, super::dequant().unwrap(), 1);
    use qcatalogue::Role::{BatchNorm, Conv, ConvTranspose, Linear};
    let is_norm = |name: &str| name.ends_with("Norm") || name.starts_with("InstanceNorm");
    let rows = qcatalogue::operations().iter();
    let has_tensors = ["PReLU", "LSTM", "GRU", "LSTMCell", "GRUCell", "RNNCell", "Embedding", "EmbeddingBag"];
    let without_tensors = rows.filter(|row| {
        !matches!(row.role, Conv | ConvTranspose | Linear | BatchNorm)
            && !is_norm(row.name)
            && !has_tensors.contains(&row.name)
    });
    assert_eq!(names, without_tensors.map(|row| row.name).collect());
}

#[test]
fn users_find_the_layers_in_the_prelude_and_the_functions_in_functional() {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let prelude: BTreeSet<&str> = include_str!("../prelude.rs").split(|c| !is_word(c)).collect();
    let missing: Vec<&str> = qcatalogue::layers().filter(|layer| !prelude.contains(layer)).collect();
    assert!(missing.is_empty(), "{missing:?}");

    let functional = include_str!("../functional.rs");
    let functions = qcatalogue::operations().iter().filter_map(|row| row.function);
    let missing: Vec<&str> =
        functions.filter(|name| !functional.contains(&format!("pub fn {name}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");

    use qcatalogue::ParameterKind::{Float, IntegerOrPair, IntegerOrTriple};
    let named = include_str!("../named.rs");
    let takes_numbers = |row: &&qcatalogue::Operation| {
        row.parameters.iter().any(|each| matches!(each.kind, Float | IntegerOrPair | IntegerOrTriple))
    };
    let functions = qcatalogue::operations().iter().filter(takes_numbers).filter_map(|row| row.function);
    let missing: Vec<&str> = functions.filter(|name| !named.contains(&format!(" {name}("))).collect();
    assert!(missing.is_empty(), "`named.rs` settles their arguments: {missing:?}");
}
