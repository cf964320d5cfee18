//! Topic `numeric_suite`: how far tensors are from each other.

use anyhow::{Result, bail};
use qcore::error_metrics;

use crate::comparison::Findings;
use crate::index::Case;

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let [x, y] = match case.op() {
        "metrics" => [case.tensor("x")?, case.tensor("y")?],
        "metrics_weight" => [case.tensor("float")?, case.quantized("quantized")?.dequantize()],
        other => bail!("no operation `{other}`"),
    };
    let metrics = error_metrics(&x, &y)?;
    for role in case.expected_roles() {
        let found = match role {
            "sqnr" => metrics.sqnr,
            "normalized_l2" => metrics.normalized_l2,
            "cosine" => metrics.cosine_similarity,
            other => bail!("no metric `{other}`"),
        };
        findings.floats(role, &[found as f32])?;
    }
    Ok(())
}
