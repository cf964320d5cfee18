//! Topic `qparams`: the two rules by which a range becomes a scale and zero point.

use anyhow::{Result, bail};
use qcore::observer::ObserverSettings;
use qcore::{QScheme, choose_qparams};

use crate::comparison::Findings;
use crate::index::Case;
use crate::observers::settings;

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    match case.op() {
        "calculate_qparams" => calculate_qparams(case, findings),
        "choose_qparams_per_tensor" => choose_qparams_per_tensor(case, findings),
        other => bail!("no operation `{other}`"),
    }
}

/// The observers' rule, on one range after the other.
fn calculate_qparams(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let settings: ObserverSettings = settings(case)?;
    let (min, max) = (values(case, "min")?, values(case, "max")?);
    let observer = "calculate_qparams";
    if settings.qscheme == QScheme::PerChannelAffineFloatQParams {
        let qparams = settings.float_qparams(observer, &min, &max, 0)?;
        findings.floats("scale", &qparams.scale)?;
        findings.floats("zero_point", &qparams.zero_point)?;
    } else {
        let qparams = settings.per_channel_qparams(observer, &min, &max, 0)?;
        findings.floats("scale", &qparams.scale)?;
        findings.integers("zero_point", &qparams.zero_point)?;
    }
    Ok(())
}

/// The rule of dynamic quantization, on the range of a `quint8` tensor.
fn choose_qparams_per_tensor(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let range = if case.param("reduce_range")? { (0, 127) } else { (0, 255) };
    let values = values(case, "x")?;
    let min = values.iter().copied().fold(f32::INFINITY, f32::min);
    let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (scale, zero_point) = choose_qparams(min, max, range, false);
    findings.floats("scale", &[scale])?;
    findings.integers("zero_point", &[zero_point])
}

fn values(case: &Case<'_>, role: &str) -> Result<Vec<f32>> {
    Ok(case.tensor(role)?.view().iter().copied().collect())
}
