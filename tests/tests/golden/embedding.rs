//! Topic `embedding`: rows of tables of 8 and 4 bits, and tables packed straight from floats.

use anyhow::{Result, bail, ensure};
use qcore::ops::{BagMode, Format, Lowering, Op, Precision};
use qcore::prelude::*;
use qcore::{AnyTensor, FloatQParams, evaluate};
use qkernels::embedding::{QuantizedTable, TableBits};

use crate::comparison::Findings;
use crate::index::Case;
use crate::lowering::backend;

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let table = case.tensor("w_float")?;
    let &[rows, width] = table.shape() else { bail!("a table of {:?}", table.shape()) };
    let (bits, qconfig) = match case.param::<usize>("bits")? {
        8 => (TableBits::Eight, QConfig::float_qparams_weight_only_qconfig()),
        4 => (TableBits::Four, QConfig::float_qparams_weight_only_qconfig_4bit()),
        other => bail!("tables of {other} bits"),
    };
    match case.op() {
        "embedding" => {
            check_quantization(case, &qconfig, &table)?;
            let layer = Embedding::new(rows, width).with_weight(table)?;
            let y = run_layer(case, &layer, &qconfig, &[ids(case, "indices")?])?;
            findings.tensor("y", &y)
        }
        "embedding_bag" => {
            let mode = match case.param::<String>("mode")?.as_str() {
                "sum" => BagMode::Sum,
                other => bail!("mode `{other}`"),
            };
            let layer = EmbeddingBag::new(rows, width).with_weight(table)?.mode(mode);
            let mut inputs = vec![ids(case, "indices")?, ids(case, "offsets")?];
            inputs.extend(case.optional_tensor("per_sample_weights")?);
            findings.tensor("y", &run_layer(case, &layer, &qconfig, &inputs)?)
        }
        "rowwise_prepack" => {
            let values: Vec<f32> = table.view().iter().copied().collect();
            let packed = QuantizedTable::from_floats(bits, &values, width)?;
            let bytes: Vec<i32> = packed.as_bytes().iter().map(|&byte| i32::from(byte)).collect();
            findings.integers("packed", &bytes)?;
            findings.tensor("unpacked", &Tensor::from_vec(&[rows, width], packed.to_floats())?)
        }
        other => bail!("no operation `{other}`"),
    }
}

/// That the observer of the qconfig gives the parameters of the case, and these its integers.
fn check_quantization(case: &Case<'_>, qconfig: &QConfig, table: &Tensor) -> Result<()> {
    let expected = case.input_quantized("w")?;
    let mut observer = qconfig.weight_observer();
    observer.observe(table)?;
    let qparams = observer.calculate_float_qparams()?;
    let zero_point = expected.zero_point.iter().map(|&zero_point| zero_point as f32).collect();
    ensure!(qparams == FloatQParams::new(expected.scale, zero_point, 0, expected.dtype)?, "{qparams:?}");
    let found = qparams.quantize(table)?;
    ensure!(found.iter().map(|&q| i64::from(q)).eq(expected.integers.values), "other integers");
    Ok(())
}

/// Ids or offsets, which the case has as integers.
fn ids(case: &Case<'_>, role: &str) -> Result<Tensor> {
    let stored = case.input_integers(role)?;
    Ok(Tensor::from_vec(&stored.shape, stored.values.into_iter().map(|id| id as f32).collect())?)
}

fn run_layer(case: &Case<'_>, layer: &dyn Op, qconfig: &QConfig, inputs: &[Tensor]) -> Result<Tensor> {
    let formats = vec![Format::F32; inputs.len()];
    let observer = qconfig.weight_observer();
    let lowering = Lowering::new(Precision::WeightOnly, backend(case)?, &formats, &formats[..1], observer);
    let inputs: Vec<AnyTensor> = inputs.iter().cloned().map(AnyTensor::from).collect();
    match <[AnyTensor; 1]>::try_from(evaluate(&*layer.lower(&lowering)?, &inputs)?) {
        Ok([AnyTensor::Float(y)]) => Ok(y),
        other => bail!("{other:?} in place of one float tensor"),
    }
}
