//! What the tests of the operations share.

use super::{Lowering, Op, OutputRule, QuantizedOp};
use crate::archive::{Archive, ArchiveWriter, Record};
use crate::observer::{MinMaxObserver, Observer};
use crate::{Backend, DType, QParams, QScheme, QTensor, Tensor};

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

pub(super) fn qtensor(shape: &[usize], integers: &[u8], scale: f32, zero_point: i32) -> QTensor {
    let array = ndarray::ArrayD::from_shape_vec(shape, integers.to_vec()).unwrap();
    QTensor::from_int_repr(array, u8_qparams(scale, zero_point)).unwrap()
}

/// The same image, lying channels-last.
pub(super) fn channels_last(x: &QTensor) -> QTensor {
    let nhwc = x
        .int_repr()
        .as_u8()
        .unwrap()
        .permuted_axes(ndarray::IxDyn(&[0, 2, 3, 1]))
        .as_standard_layout()
        .into_owned();
    QTensor::from_int_repr(nhwc.permuted_axes(ndarray::IxDyn(&[0, 3, 1, 2])), x.qparams().clone()).unwrap()
}

pub(super) fn integers(x: &QTensor) -> Vec<i32> {
    x.int_repr().to_i32().iter().copied().collect()
}

pub(super) fn assert_values(found: &Tensor, expected: &[f32]) {
    assert_eq!(found.view().iter().copied().collect::<Vec<_>>(), expected);
}

/// A symmetric weight observer without rounding surprises: weights of at most 1 get a scale of 1/127.5.
pub(super) fn lowering<'a>(backend: Backend, inputs: &'a [QParams], output: &'a QParams) -> Lowering<'a> {
    let observer = MinMaxObserver::new().dtype(DType::QInt8).qscheme(QScheme::PerTensorSymmetric);
    Lowering { backend, inputs, output, weight_observer: Box::new(observer) as Box<dyn Observer> }
}

/// What a file makes of it.
pub(super) fn reloaded<R: Record>(value: &R) -> R {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("operation.safetensors");
    let mut archive = ArchiveWriter::new();
    value.save(&mut archive, "op").unwrap();
    archive.write(&path).unwrap();
    R::load(&Archive::open(&path).unwrap(), "op").unwrap()
}

/// What a file with this record makes of it.
fn load_record<R: Record>(record: serde_json::Value) -> crate::Result<R> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("operation.safetensors");
    let mut archive = ArchiveWriter::new();
    archive.put("op", &record).unwrap();
    archive.put_tensor("op.weight", &Tensor::zeros(&[2, 3, 1, 1]));
    archive.write(&path).unwrap();
    R::load(&Archive::open(&path).unwrap(), "op")
}

#[test]
fn every_operation_survives_a_file() {
    fn check<O: Op>(op: O, x: Tensor) {
        let (rule, name) = (op.output_rule(), op.name());
        let mut inputs = vec![x];
        if matches!(name, "add" | "sub" | "mul" | "cat") {
            inputs.push(inputs[0].clone());
        }
        let qparams = u8_qparams(0.5, 3);
        let of_inputs = vec![qparams.clone(); inputs.len()];
        let output =
            if rule == OutputRule::Derived { op.derive_output(&qparams).unwrap() } else { qparams.clone() };
        let quantized = op.lower(&lowering(Backend::Fbgemm, &of_inputs, &output)).unwrap();
        let integers: Vec<QTensor> = inputs.iter().map(|x| QTensor::quantize(x, &qparams).unwrap()).collect();
        let result = quantized.forward(&mut integers.clone()).unwrap();
        assert_eq!(result.qparams(), &output, "{name}");
        assert_eq!(reloaded(&quantized).forward(&mut integers.clone()).unwrap(), result, "{name}");
        let float = op.forward(&mut inputs.clone()).unwrap();
        assert_eq!(float.shape(), result.shape(), "{name}");
        assert_eq!(reloaded(&op).forward(&mut inputs).unwrap(), float, "{name}");
    }
    let image = || counting(&[1, 2, 4, 4]);
    check(super::relu().unwrap(), image());
    check(super::relu6().unwrap(), image());
    check(super::clamp(1, 2.5).unwrap(), image());
    check(super::add().unwrap(), image());
    check(super::sub().unwrap(), image());
    check(super::mul().unwrap(), image());
    check(super::add_scalar(1.5_f32).unwrap(), image());
    check(super::mul_scalar(-2).unwrap(), image());
    check(super::cat(Some(-3)).unwrap(), image());
    check(super::max_pool2d(2, None, None, None, None).unwrap(), image());
    check(super::avg_pool2d((2, 1), None, None, Some(true), None).unwrap(), image());
    check(super::adaptive_avg_pool2d(3).unwrap(), image());
    check(super::flatten(Some(1), None).unwrap(), image());
    check(super::reshape(vec![2.into(), super::Extent::Is(-1)]).unwrap(), image());
    check(super::permute([0, 2, -1, 1]).unwrap(), image());
    check(super::transpose(1, -1).unwrap(), image());
    check(super::chunk(2, Some(1), 1).unwrap(), image());
    check(super::split(3, Some(-1), 1).unwrap(), image());
    check(super::mean([-1, -2], Some(true)).unwrap(), image());
    check(super::dropout(None).unwrap(), image());
    check(super::Identity::default(), image());
    check(super::quant().unwrap(), image());
    check(super::dequant().unwrap(), image());
    let batch_norm = crate::layers::BatchNorm2d::new(2);
    check(crate::Layer::op(&batch_norm).unwrap(), image());
}

#[test]
fn a_record_that_makes_no_sense_is_refused() {
    use serde_json::json;
    let options =
        |groups: u64| json!({"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": groups});
    let conv = |groups| json!({"options": options(groups), "relu": false, "bias": false});
    assert!(load_record::<super::Conv2d>(conv(1)).is_ok());
    assert!(load_record::<super::Conv2d>(conv(0)).is_err());
    assert!(load_record::<super::Conv2d>(conv(u64::MAX)).is_err());
    assert!(
        load_record::<super::Conv2d>(json!({"options": options(1), "relu": false, "bias": true})).is_err()
    );
    assert!(load_record::<super::Linear>(json!({"relu": false, "bias": false})).is_err());
    assert!(load_record::<super::Chunk>(json!({"chunks": 0, "dim": 0, "piece": 0})).is_err());
    assert!(load_record::<super::Clamp>(json!({"min": 2.0, "max": 1.0})).is_err());
    assert!(load_record::<super::Reshape>(json!({"extents": [{"is": -1}, {"is": -1}]})).is_err());
    let window = json!({"kernel_size": [2, 0], "stride": [1, 1], "padding": [0, 0], "dilation": [1, 1],
        "ceil_mode": false});
    assert!(load_record::<super::MaxPool2d>(json!({"window": window})).is_err());
    let qparams = json!({"scale": [], "zero_point": [], "axis": null, "dtype": "quint8", "quant_min": 0,
        "quant_max": 255});
    let add = json!({"kind": "add", "relu": false, "backend": "native", "output": qparams});
    assert!(load_record::<super::QuantizedArithmetic>(add).is_err());
}
