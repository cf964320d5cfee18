//! Topic `activations`: operations of one tensor, most of them over all 256 integers.

use anyhow::{Result, bail};
use qcore::ops;

use crate::comparison::Findings;
use crate::index::Case;
use crate::lowering::{run_following, run_observed};

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let x = case.quantized("x")?;
    let y = match case.op() {
        "relu" => run_following(case, &ops::relu()?, None, x)?,
        "relu6" => run_following(case, &ops::relu6()?, None, x)?,
        "hardtanh" | "clamp" => {
            let (min, max): (f64, f64) = (case.param("min")?, case.param("max")?);
            run_following(case, &ops::clamp(min, max)?, None, x)?
        }
        "hardswish" => run_observed(case, &ops::hardswish()?, None, &[x])?,
        other => bail!("no operation `{other}`"),
    };
    findings.quantized("y", &y)
}
