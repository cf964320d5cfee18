//! Topic `activations`: operations of one tensor, most of them over all 256 integers.

use anyhow::Result;
use qcore::op;

use crate::Ran;
use crate::comparison::Findings;
use crate::index::Case;
use crate::lowering::run_following;

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<Ran> {
    let x = case.quantized("x");
    let y = match case.op() {
        "relu" => run_following(case, &op::relu()?, &x?)?,
        "relu6" => run_following(case, &op::relu6()?, &x?)?,
        "hardtanh" | "clamp" => {
            let (min, max): (f64, f64) = (case.param("min")?, case.param("max")?);
            run_following(case, &op::clamp(min, max)?, &x?)?
        }
        _ => return Ok(Ran::NotInTheProject),
    };
    findings.quantized("y", &y)?;
    Ok(Ran::Yes)
}
