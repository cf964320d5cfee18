//! Topic `pooling`: pools and means, in both memory formats and with each backend's way to break ties.

use anyhow::Result;
use qcore::Pair;
use qcore::op;

use crate::Ran;
use crate::comparison::Findings;
use crate::index::Case;
use crate::lowering::{in_layout, run_following};

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<Ran> {
    let x = || in_layout(case, case.quantized("x")?);
    let pair = |name: &str| Ok::<_, anyhow::Error>(Pair::from(case.param::<[usize; 2]>(name)?));
    let y = match case.op() {
        "max_pool2d" => {
            let pool = op::max_pool2d(
                pair("kernel")?,
                Some(pair("stride")?),
                Some(pair("padding")?),
                Some(pair("dilation")?),
                Some(case.param("ceil_mode")?),
            )?;
            run_following(case, &pool, &x()?)?
        }
        "avg_pool2d" => {
            let pool = op::avg_pool2d(
                pair("kernel")?,
                Some(pair("stride")?),
                Some(pair("padding")?),
                Some(case.param("ceil_mode")?),
                Some(case.param("count_include_pad")?),
            )?;
            run_following(case, &pool, &x()?)?
        }
        "adaptive_avg_pool2d" => run_following(case, &op::adaptive_avg_pool2d(pair("output_size")?)?, &x()?)?,
        "mean" => {
            let dims: Vec<isize> = case.param("dim")?;
            run_following(case, &op::mean(dims, Some(case.param("keepdim")?))?, &x()?)?
        }
        _ => return Ok(Ran::NotInTheProject),
    };
    findings.quantized("y", &y)?;
    Ok(Ran::Yes)
}
