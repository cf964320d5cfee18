//! Topic `quantize`: whole tensors to integers and back.

use anyhow::{Result, bail};
use qcore::{DType, FloatQParams, QParams, QTensor, choose_qparams, round_to_float16};

use crate::comparison::Findings;
use crate::index::{Case, Stored};

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    match case.op() {
        "quantize_per_tensor" => {
            let (scale, zero_point) = (case.param("scale")?, case.param("zero_point")?);
            round_trip(case, &QParams::per_tensor(scale, zero_point, case.param("dtype")?)?, findings)
        }
        "quantize_per_channel" => {
            let scale = case.tensor("scale")?.view().iter().copied().collect();
            let zero_point = case.input_integers("zero_point")?.values.iter().map(|&z| z as i32).collect();
            let qparams = QParams::per_channel(scale, zero_point, case.param("axis")?, case.param("dtype")?)?;
            round_trip(case, &qparams, findings)
        }
        "quantize_float_qparams" => float_qparams(case, findings),
        "quantize_per_tensor_dynamic" => dynamic(case, findings),
        "fp16_weight" => findings.floats("y", round_to_float16(&case.tensor("x")?).view().iter()),
        other => bail!("no operation `{other}`"),
    }
}

fn round_trip(case: &Case<'_>, qparams: &QParams, findings: &mut Findings<'_>) -> Result<()> {
    let q = QTensor::quantize(&case.tensor("x")?, qparams)?;
    findings.quantized("q", &q)?;
    findings.floats("dq", q.dequantize().view().iter())
}

fn float_qparams(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let scale = case.tensor("scale")?.view().iter().copied().collect();
    let zero_point = case.tensor("zero_point")?.view().iter().copied().collect();
    let qparams = FloatQParams::new(scale, zero_point, case.param("axis")?, case.param("dtype")?)?;
    let q = qparams.quantize(&case.tensor("x")?)?;
    let stored = Stored { shape: q.shape().to_vec(), values: q.iter().map(|&q| i64::from(q)).collect() };
    findings.float_qparams("q", &qparams, &stored)?;
    findings.floats("dq", qparams.dequantize(q.view())?.view().iter())
}

/// The scale follows from the range of the tensor; `reduce_range` narrows the range for the scale only.
fn dynamic(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let x = case.tensor("x")?;
    let min = x.view().iter().copied().fold(f32::INFINITY, f32::min);
    let max = x.view().iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let dtype: DType = case.param("dtype")?;
    let range = match (dtype, case.param("reduce_range")?) {
        (DType::QInt8, false) => (-128, 127),
        (DType::QInt8, true) => (-64, 63),
        (_, false) => (0, 255),
        (_, true) => (0, 127),
    };
    let (scale, zero_point) = choose_qparams(min, max, range, false);
    findings.quantized("q", &QTensor::quantize(&x, &QParams::per_tensor(scale, zero_point, dtype)?)?)
}
